"""The closed set of classes and functions that `trust="torch.nn"` means, and what a module may hold.

They are: the classes in `table.py`, which a test compares with the installed torch; four classes that torch's weight
norm and spectral norm leave in files as hooks; and pure activation functions. Imports nothing by a name from a file:
it looks the rows of the table up in the modules that `import torch` has loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from safeload.document.record import Record
from safeload.errors import UnsafeCheckpoint
from safeload.loading.torch_nn.fills import HOOKS
from safeload.loading.torch_nn.table import ROWS

Name = tuple[str, str]
"""(module, qualname), exactly as the file names a class or function."""

_WEIGHT = ("torch.nn.utils.weight_norm", "WeightNorm")
_SPECTRAL = ("torch.nn.utils.spectral_norm", "SpectralNorm")
_SAVING = ("torch.nn.utils.spectral_norm", "SpectralNormStateDictHook")
_LOADING = ("torch.nn.utils.spectral_norm", "SpectralNormLoadStateDictPreHook")
_WRAPPED = ("torch.nn.modules.module", "_WrappedHook")

_ADMITTED: dict[str, frozenset[Name]] = {
    "_forward_pre_hooks": frozenset({_WEIGHT, _SPECTRAL}),
    "_state_dict_hooks": frozenset({_SAVING}),
    "_load_state_dict_pre_hooks": frozenset({_LOADING, _WRAPPED}),
}
"""Attribute of nn.Module -> the classes whose instances it may hold."""

_RETIRED: dict[Name, Name] = {
    ("torch.nn.modules.linear", "_LinearWithBias"): ("torch.nn.modules.linear", "NonDynamicallyQuantizableLinear"),
}
"""Name in older files -> today's name of the same class."""

_PYTHON = (
    "celu elu gelu glu hardsigmoid hardswish hardtanh leaky_relu log_softmax logsigmoid mish relu relu6 selu sigmoid "
    "silu softmax softmin softplus softshrink softsign tanh tanhshrink"
)
_BUILTIN = "elu_ gelu glu hardsigmoid hardswish hardtanh leaky_relu mish relu6 silu softplus softshrink"


@cache
def classes() -> Mapping[Name, type]:
    """The reviewed classes, as far as the installed torch has them: nn.Modules, and the hooks of its norms."""
    found: dict[Name, type] = {}
    rows = [(module, name) for module, names in ROWS for name in names.split()]
    for place in (*rows, _WEIGHT, _SPECTRAL, _SAVING, _LOADING, _WRAPPED):
        cls = getattr(sys.modules.get(place[0]), place[1], None)
        if isinstance(cls, type) and (cls.__module__, cls.__qualname__) == place:
            found[place] = cls
    return found | {old: found[new] for old, new in _RETIRED.items() if new in found}


@cache
def functions() -> Mapping[Name, Callable[..., Any]]:
    """Name in a file -> activation function. They are pure; a load only refers to them, and never calls one."""
    found: dict[Name, Callable[..., Any]] = {}
    for module, names in (("torch.nn.functional", _PYTHON), ("torch._C._nn", _BUILTIN)):
        for name in names.split():
            function = getattr(functional, name, None)
            if callable(function):
                found[module, name] = function
    found["torch._C._nn", "log_sigmoid"] = functional.logsigmoid
    return found


def attributes_of(target: object) -> dict[str, Any]:
    """The `__dict__` of a rebuilt object.

    SECURITY: not by `vars`, and no isinstance: both ask the class of the object, whose code must not run here.
    """
    found: dict[str, Any] = object.__getattribute__(target, "__dict__")
    return found


def hook_state(target: object, attributes: dict[str, Any]) -> bool:
    """Whether `target` is a hook of a norm. Raises UnsafeCheckpoint if it has other attributes than torch sets."""
    place = (type(target).__module__, type(target).__qualname__)
    if place not in (_WEIGHT, _SPECTRAL, _SAVING, _LOADING, _WRAPPED) or classes().get(place) is not type(target):
        return False
    get = attributes.get
    if place in (_WEIGHT, _SPECTRAL):
        wanted = {"name", "dim"} if place == _WEIGHT else {"name", "dim", "n_power_iterations", "eps"}
        good = type(get("name")) is str and all(
            value is None or type(value) in (int, float) for key, value in attributes.items() if key != "name"
        )
    elif place == _WRAPPED:
        wanted = {"hook", "with_module"}
        good = type(get("hook")) is classes()[_LOADING] and get("with_module") is False
    else:
        wanted = {"fn"}
        good = type(get("fn")) is classes()[_SPECTRAL]
    # SECURITY: torch calls these hooks. With other attributes they would call what the file has chosen.
    if not good or attributes.keys() != wanted:
        raise UnsafeCheckpoint(f"{'.'.join(place)} has other attributes than torch gives it")
    return True


def check_module(module: object) -> None:
    """Raise UnsafeCheckpoint unless a rebuilt module holds what torch's methods expect, and only hooks of its norms.

    When a child is a Record, the message names the class to trust.
    """
    held = attributes_of(module)
    where = f"{type(module).__module__}.{type(module).__qualname__}"
    for part in ("_parameters", "_buffers"):
        for name, value in held[part].items():
            if type(name) is not str or not (value is None or issubclass(type(value), torch.Tensor)):
                raise UnsafeCheckpoint(f"{_text(name)} in {part} of {where} is no tensor but {_what(value)}")
    for name, child in held["_modules"].items():
        if type(child) is Record:
            raise UnsafeCheckpoint(
                f"{where} holds {_what(child)} as {_text(name)}, which is not trusted: name that class in trust too, "
                "or load with unvetted='record' and without trust"
            )
        if type(name) is not str or not (child is None or issubclass(type(child), nn.Module)):
            raise UnsafeCheckpoint(f"{_text(name)} in _modules of {where} is no module but {_what(child)}")
    volatile = held["_non_persistent_buffers_set"]
    if type(volatile) is not set or not all(type(name) is str for name in volatile):
        raise UnsafeCheckpoint(f"_non_persistent_buffers_set of {where} is no set of names")
    for part in HOOKS:
        _check_hooks(module, part, held[part], where)


def _check_hooks(module: object, part: str, hooks: Any, where: str) -> None:
    if not issubclass(type(hooks), dict):
        raise UnsafeCheckpoint(f"{part} of {where} is no dict")
    for key, hook in hooks.items():
        place = (type(hook).__module__, type(hook).__qualname__)
        # SECURITY: torch calls a hook with the data of the model. Only torch's own hooks, on existing weights, may be
        # here.
        if type(key) is not int or place not in _ADMITTED.get(part, ()) or classes().get(place) is not type(hook):
            raise UnsafeCheckpoint(
                f"{part} of {where} holds {_what(hook)}: hooks are code that the model would call, and are never "
                "rebuilt; load with unvetted='record' and use safeload.state_dict"
            )
        if part == "_forward_pre_hooks":
            name = attributes_of(hook)["name"]
            source = name + ("_g" if place == _WEIGHT else "_orig")
            if (
                not name.isidentifier()
                or shadows(type(module), name)
                or source not in attributes_of(module)["_parameters"]
            ):
                raise UnsafeCheckpoint(f"{'.'.join(place)} on {where} is for {_text(name)}, which it has no weights of")


def shadows(cls: type, name: str) -> bool:
    """Whether an instance attribute `name` would hide a method, a property or another callable of `cls`."""
    for above in cls.__mro__:
        if name in vars(above):
            value = vars(above)[name]
            # A cached property stores its value in the instance, under its own name: that hides nothing.
            return type(value).__name__ != "cached_property" and (callable(value) or hasattr(type(value), "__get__"))
    return False


def _what(value: object) -> str:
    if type(value) is Record:
        return f"a record of {_text(f'{value.module}.{value.qualname}')}"
    return f"a {type(value).__name__}"


def _text(value: object) -> str:
    """A text of the file, for a message: printable ASCII, and not too long."""
    return (ascii(value)[1:-1] if type(value) is str else type(value).__name__)[:200]
