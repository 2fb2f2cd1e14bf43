"""One module of a graph, read from its attributes: a Record, or a real nn.Module that somebody built.

Looks at the kind of everything before it is used, for all of it comes from a file. Calls nothing but `detach` of a
tensor that torch made. Semantics: torch/nn/modules/module.py `_save_to_state_dict`, torch 2.13.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from safeload.document.cell import UNSET
from safeload.document.document import (
    Built,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.record import Record
from safeload.errors import Malformed, UsageError
from safeload.modules.computed import OVERRIDABLE, known_version, why_computed

_SPECS = (TensorSpec, WrappedTensor, QuantizedSpec, SparseSpec, NestedTensorSpec)
_PARTS = ("_parameters", "_buffers", "_modules")
_HOOKS = ("_state_dict_hooks", "_state_dict_pre_hooks")
_MODULE = "torch.nn.modules.module.Module"
_TENSOR = "torch.Tensor"
_LAZY = "torch.nn.parameter.UninitializedTensorMixin"
_SPECTRAL = "torch.nn.utils.spectral_norm"


@dataclass(frozen=True, slots=True)
class Node:
    """One module. `parameters`, `buffers` and `children` may hold None and Cells; names are checked.

    metadata   what `_metadata` says of it: its version, and `inferred` when the class is not known
    entries    how many names it holds, of every kind: what a visit of it costs
    """

    name: str
    parameters: Mapping[str, object]
    buffers: Mapping[str, object]
    children: Mapping[str, object]
    volatile: Set[object]
    metadata: Mapping[str, object]
    entries: int


def is_module(value: object) -> bool:
    """Whether a resolved value stands for an nn.Module: a made object with the three dicts of one."""
    if isinstance(value, Record):
        if value.args is None:
            return False
        found = attributes(value)
        return all(mapping(found.get(part)) is not None for part in _PARTS)
    return _inherits(value, _MODULE)


def computed(value: object) -> str | None:
    """Why `value` is an object whose state_dict is computed by code, None when nothing says so."""
    if isinstance(value, Record):
        if value.args is None:
            return None
        found = attributes(value)
        if any(resolve(keep) is True for keep in (mapping(found.get("_persistent")) or {}).values()) and (
            mapping(found.get("_defaults")) is not None
        ):
            return "adds the persistent states of a metric"
        return why_computed(_named(value))
    if not _inherits(value, _MODULE):
        return None
    for method in OVERRIDABLE:
        owner = next((k for k in type(value).__mro__ if method in vars(k)), None)
        if owner is not None and not f"{owner.__module__}.".startswith("torch."):
            return f"has a method {method} of its own (call its state_dict() instead)"
    return why_computed(_named(value))


def attributes(value: object) -> Mapping[str, Any]:
    """The attributes of a Record or of a real object."""
    if not isinstance(value, Record):
        return vars(value) if hasattr(value, "__dict__") else {}
    state = resolve(value.state)
    if isinstance(state, tuple) and len(state) == 2 and resolve(state[1]) is None:
        state = resolve(state[0])
    return state if isinstance(state, dict) else {}


def mapping(value: object) -> Mapping[Any, object] | None:
    """The dict that stands at a place, None when something else does."""
    value = resolve(value)
    if isinstance(value, Built) and value.kind == "collections.OrderedDict":
        value = value.items
    return value if isinstance(value, dict) else None


def read(value: object, place: str) -> Node:
    """The module that `value` stands for. `place` is its path in the graph, for errors.

    Raises UsageError where the class computes its state_dict, Malformed where the attributes are none of a module.
    """
    name = _named(value)
    if reason := computed(value):
        raise UsageError(
            f"the state_dict of {_text(name)} at {_text(place)} cannot be read from its attributes: it {reason}; "
            "build the model from its own code and load its parts"
        )
    if not is_module(value):
        raise Malformed(f"{_text(place)} should be a module and is {_text(name)}, which has no parameters and buffers")
    found = attributes(value)
    parameters, buffers, children = (_names(found.get(part), part, place) for part in _PARTS)
    for key in parameters:
        if key in buffers:
            raise Malformed(f"{_text(place)} has a parameter and a buffer named {_text(key)}")
    volatile = resolve(found.get("_non_persistent_buffers_set"))
    metadata = _metadata(value, name, buffers)
    _hooks(found, place, metadata)
    return Node(
        name, parameters, buffers, children,
        volatile if isinstance(volatile, set | frozenset) else frozenset(),
        metadata, 1 + len(parameters) + len(buffers) + len(children),
    )  # fmt: skip


def leaf(value: object, place: str) -> object:
    """What a state_dict holds for one parameter or buffer: a real tensor is detached, a spec or Record stays."""
    found = resolve(value)
    if isinstance(found, (*_SPECS, Record)):
        return found
    if _inherits(found, _TENSOR):
        # Torch leaves alone what has no values yet: `detach` of it raises.
        return found if _inherits(found, _LAZY) else found.detach()  # type: ignore[attr-defined]
    what = "a part of the file that was never judged" if found is UNSET else type(found).__name__
    raise Malformed(f"{_text(place)} should be a tensor and is {what}")


def is_leaf(value: object) -> bool:
    """Whether a resolved value is a tensor, real or described."""
    return isinstance(value, _SPECS) or _inherits(value, _TENSOR)


def _named(value: object) -> str:
    if isinstance(value, Record):
        return f"{value.module}.{value.qualname}"
    kind = type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def _inherits(value: object, name: str) -> bool:
    """Whether a real object is an instance of the class of that dotted name: without importing torch."""
    package, _, last = name.rpartition(".")
    return any(k.__qualname__ == last and k.__module__ == package for k in type(value).__mro__)


def _names(value: object, part: str, place: str) -> Mapping[str, object]:
    """The entries of `_parameters`, `_buffers` or `_modules`, every name one that torch would have taken."""
    found = mapping(value) or {}
    for key in found:
        if type(key) is not str:
            raise Malformed(f"{part} of {_text(place)} has a name that is no str")
        # SECURITY: torch refuses both too; with a dot one module could write the entries of another.
        if not key or "." in key:
            raise Malformed(f"{part} of {_text(place)} has the name {_text(key)!r}, which no module can have")
    return found


def _metadata(value: object, name: str, buffers: Mapping[str, object]) -> dict[str, object]:
    if not isinstance(value, Record):
        return {"version": getattr(type(value), "_version", 1)}
    version = known_version(name)
    if version is None:
        # The one number that classes inherit in practice: batch and instance norms count their batches since 2.
        return {"version": 2 if "num_batches_tracked" in buffers else 1, "inferred": True}
    if version == 2 and "running_mean" in buffers and "num_batches_tracked" not in buffers:
        # Saved before torch 0.4.1: as version 1 it says that the count is missing, and load_state_dict adds it.
        return {"version": 1}
    return {"version": version}


def _hooks(found: Mapping[str, Any], place: str, metadata: dict[str, object]) -> None:
    """Refuse hooks that change a state_dict; the one that torch itself leaves in files is done as it would do."""
    for part in _HOOKS:
        for hook in (mapping(found.get(part)) or {}).values():
            hook = resolve(hook)
            name = _named(hook)
            if name != f"{_SPECTRAL}.SpectralNormStateDictHook" or part != "_state_dict_hooks":
                raise UsageError(
                    f"{_text(place)} has the hook {_text(name)}, which changes its state_dict by code of its own; "
                    "read the tensors from the records instead (record._modules, record._parameters)"
                )
            normed = resolve(attributes(hook).get("fn"))
            weight = resolve(attributes(normed).get("name"))
            if _named(normed) != f"{_SPECTRAL}.SpectralNorm" or type(weight) is not str:
                raise Malformed(f"the spectral norm of {_text(place)} names no weight")
            versions = metadata.setdefault("spectral_norm", {})
            versions[f"{weight}.version"] = 1  # type: ignore[index]


def _text(text: str) -> str:
    """Names of a file for a message: printable ASCII, the end of what is too long."""
    return ascii(text[-200:])[1:-1]
