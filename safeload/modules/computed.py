"""Classes of which the state_dict cannot be read from attributes, by name; and `_version` of those of which it can.

A class in the versions table is walked, whatever its prefix; a class below a prefix of COMPUTED is refused; any other
class is walked as nn.Module walks, its version inferred. Knows names only.
"""

from __future__ import annotations

from functools import cache

from safeload.modules.versions_table import ROWS

OVERRIDABLE = ("state_dict", "_save_to_state_dict", "get_extra_state")
"""What nn.Module computes a state_dict with."""

_QUANTIZED = "keeps packed weights, which only torch's own kernels unpack"
_SHARDED = "gathers its parameters from other processes"
_TRACED = "is rebuilt by running code"
_PRUNED = "hides its own entries"
_EXTRA = "computes extra state with code of its own"

COMPUTED: dict[str, str] = {
    "torch.ao.nn.quantized": _QUANTIZED,
    "torch.ao.nn.intrinsic.quantized": _QUANTIZED,
    "torch.ao.nn.sparse.quantized": _QUANTIZED,
    "torch.ao.pruning": _PRUNED,
    "torch.distributed": _SHARDED,
    "torch.jit": _TRACED,
    "torch.fx": _TRACED,
    "torch.export": _TRACED,
    "torch._dynamo": "wraps a compiled module; its one argument is the module itself",
    "fairscale.nn.data_parallel": _SHARDED,
    "fairscale.nn.misc": _SHARDED,
    "deepspeed": _SHARDED,
    "megatron": _EXTRA,
    "transformer_engine": _EXTRA,
    "bitsandbytes.nn": "stores the statistics of its quantized weights as further entries",
    "opacus.layers": "renames its entries",
}
"""Package or module -> why a class in it has no state_dict that could be read from attributes."""

_RENAMED = {
    "torch.nn.intrinsic.": "torch.ao.nn.intrinsic.",
    "torch.nn.qat.": "torch.ao.nn.qat.",
    "torch.nn.quantizable.": "torch.ao.nn.quantizable.",
    "torch.nn.quantized.": "torch.ao.nn.quantized.",
    "torch.quantization.": "torch.ao.quantization.",
}
"""Where torch up to 1.12 had its packages: the classes and their versions are the same."""

_RETIRED = {"torch.nn.modules.linear._LinearWithBias": 1}
"""Classes that torch no longer has."""


def current(name: str) -> str:
    """The dotted name of a class, as today's torch spells it."""
    for old, new in _RENAMED.items():
        if name.startswith(old):
            return new + name[len(old) :]
    return name


@cache
def _versions() -> dict[str, int]:
    found = {f"{module}.{name}": version for module, version, names in ROWS for name in names.split()}
    return found | _RETIRED


def known_version(name: str) -> int | None:
    """`_version` of a class of torch by its dotted name, None when the table has no such class."""
    return _versions().get(current(name))


def why_computed(name: str) -> str | None:
    """Why the class `name` (module and qualname, dotted) cannot be walked, None when it can."""
    name = current(name)
    if name in _versions():
        return None
    prefix = name
    while prefix := prefix.rpartition(".")[0]:
        if prefix in COMPUTED:
            return COMPUTED[prefix]
    return None
