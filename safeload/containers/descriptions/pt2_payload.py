"""Where the tensors of a torch.export archive lie: its `*_weights_config.json` and `*_constants_config.json`, strictly.

Semantics: torch/export/pt2_archive/_package.py of torch 2.13, `_load_state_dict` and `_load_constants`. Each entry is
for a member beside the configuration. Without `use_pickle` the member is the raw storage, and the entry has strides;
with it torch gives the member to `torch.load(weights_only=False)`. For constants this holds of `tensor_*`; torch gives
`custom_obj_*` to `torch._C._pickle_load_obj` and `opaque_obj_*` to `pickle.loads`, whatever `use_pickle` says.

Anything outside the form that torch writes is Malformed: nothing is guessed. Keeps the entries, and builds no tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from safeload.containers.interface import ImportedName
from safeload.containers.text.json_paths import JsonLeaf, leaves
from safeload.containers.text.json_text import EventKind
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding
from safeload.limits import Limits

DTYPES: dict[int, str] = {
    1: "uint8", 2: "int8", 3: "int16", 4: "int32", 5: "int64", 6: "float16", 7: "float32", 8: "float64",
    9: "complex32", 10: "complex64", 11: "complex128", 12: "bool", 13: "bfloat16", 28: "uint16",
    29: "float8_e4m3fn", 30: "float8_e5m2", 31: "float8_e4m3fnuz", 32: "float8_e5m2fnuz", 33: "float8_e8m0fnu",
    34: "uint32", 35: "uint64",
}  # fmt: skip
"""schema.ScalarType -> dtype."""

_MEMBER = re.compile(r"(weight|tensor|custom_obj|opaque_obj)_[0-9A-Za-z_]{1,100}", re.ASCII)
_INTEGER = re.compile(r"0|[1-9][0-9]{0,18}")
_STRIDED = 7
_DIMENSIONS = 64


class HowLoaded(StrEnum):
    """What torch does with a member."""

    RAW = "raw"  # the bytes of a storage
    TORCH = "torch"  # torch.load with weights_only=False
    OBJECT = "object"  # torch._C._pickle_load_obj: an archive of TorchScript's
    PICKLE = "pickle"  # pickle.loads


class WeightEntry(NamedTuple):
    """One tensor or object. For an object, `sizes` and the fields behind it are empty.

    path   name of the member, in the folder of the configuration and without a slash
    """

    name: str
    path: str
    is_param: bool
    use_pickle: bool
    reading: HowLoaded
    dtype: str = ""
    sizes: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    offset: int = 0
    requires_grad: bool = False


def weights_config(data: bytes, member: str, limits: Limits) -> tuple[WeightEntry, ...]:
    """The entries of a configuration, in its order. Raises Malformed or LimitExceeded, with offsets in `data`."""
    return tuple(_entry(name, leaves_of) for name, leaves_of in _grouped(data, member, limits))


def payload_config(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """Nothing, or what `weights_config` raises: a valid configuration names members beside it, and no code."""
    weights_config(data, member, limits)
    yield from ()


def _grouped(data: bytes, member: str, limits: Limits) -> Iterator[tuple[str, dict[tuple[str | int, ...], JsonLeaf]]]:
    """For each entry its name, and the leaves below it by the rest of their path."""
    name: str | None = None
    below: dict[tuple[str | int, ...], JsonLeaf] = {}
    count = 0
    for leaf in leaves(data, limits):
        if leaf.path == ("config",) and leaf.event.kind is EventKind.OBJECT_END:
            continue
        if len(leaf.path) < 3 or leaf.path[0] != "config":
            raise Malformed(
                f"{member or 'the configuration'} holds something besides its entries", offset=leaf.event.offset
            )
        if leaf.path[1] != name:
            if name is not None:
                yield name, below
            name, below = str(leaf.path[1]), {}
            count += 1
            if count > limits.tensors:
                raise LimitExceeded("a configuration of too many tensors", limit="tensors")
        below[leaf.path[2:]] = leaf
        if len(below) > 8 * _DIMENSIONS:
            raise Malformed("an entry holds more than a tensor has", offset=leaf.event.offset)
    if name is not None:
        yield name, below


def _entry(name: str, below: dict[tuple[str | int, ...], JsonLeaf]) -> WeightEntry:
    path = _text(below.pop(("path_name",), None), name)
    is_param = _flag(below.pop(("is_param",), None), name)
    use_pickle = _flag(below.pop(("use_pickle",), None), name)
    match = _MEMBER.fullmatch(path)
    if match is None:
        # SECURITY: torch joins the name to the folder, so `../models/x` or `/x` would be another member.
        raise Malformed(f"the entry {name[:100]!r} names {path[:100]!r}, which is no member beside it")
    kind = match[1]
    if kind == "custom_obj":
        reading = HowLoaded.OBJECT
    elif kind == "opaque_obj":
        reading = HowLoaded.PICKLE
    else:
        reading = HowLoaded.TORCH if use_pickle else HowLoaded.RAW
    entry = WeightEntry(name, path, is_param, use_pickle, reading)
    nothing = below.get(("tensor_meta",))
    if nothing is not None and nothing.event.kind is EventKind.WORD and nothing.event.value is None:
        if reading is HowLoaded.RAW or len(below) > 1:
            raise Malformed(
                f"the entry {name[:100]!r} does not tell the shape of its tensor", offset=nothing.event.offset
            )
        return entry
    return _shaped(entry, below)


def _shaped(entry: WeightEntry, below: dict[tuple[str | int, ...], JsonLeaf]) -> WeightEntry:
    """`entry` with the shape and type in its tensor_meta. Raises Malformed for a leaf that torch does not write."""
    numbers: dict[str, int] = {}
    sized: dict[str, list[int]] = {"sizes": [], "strides": []}
    requires_grad = False
    for path, leaf in below.items():
        match path:
            case ("tensor_meta", "requires_grad"):
                requires_grad = _flag(leaf, entry.name)
            case ("tensor_meta", "dtype" | "layout" as key):
                numbers[str(key)] = _number(leaf)
            case ("tensor_meta", "storage_offset", "as_int"):
                numbers["offset"] = _number(leaf)
            case ("tensor_meta", "sizes" | "strides" as key, int(place), "as_int") if place == len(sized[str(key)]):
                sized[str(key)].append(_number(leaf))
            case ("tensor_meta", "sizes" | "strides") if leaf.event.kind is EventKind.ARRAY_END:
                pass
            case ("tensor_meta", "device", "type" | "index"):
                pass
            case _:
                if entry.reading is HowLoaded.RAW:
                    raise Malformed(f"the entry {entry.name[:100]!r} holds an unknown field", offset=leaf.event.offset)
    if entry.reading is not HowLoaded.RAW:
        return entry  # the pickle has its own shape, and torch ignores the one here
    if numbers.keys() != {"dtype", "layout", "offset"} or numbers["layout"] != _STRIDED:
        raise Malformed(f"the entry {entry.name[:100]!r} does not tell a strided tensor")
    dtype = DTYPES.get(numbers["dtype"])
    if dtype is None or len(sized["sizes"]) != len(sized["strides"]) or len(sized["sizes"]) > _DIMENSIONS:
        raise Malformed(f"the entry {entry.name[:100]!r} has a dtype or shape that torch does not write")
    return entry._replace(
        dtype=dtype, sizes=tuple(sized["sizes"]), strides=tuple(sized["strides"]), offset=numbers["offset"],
        requires_grad=requires_grad,
    )  # fmt: skip


def _text(leaf: JsonLeaf | None, name: str) -> str:
    if leaf is None or leaf.event.kind is not EventKind.STRING:
        raise Malformed(f"the entry {name[:100]!r} names no member", offset=leaf.event.offset if leaf else None)
    return str(leaf.event.value)


def _flag(leaf: JsonLeaf | None, name: str) -> bool:
    if leaf is None or not isinstance(leaf.event.value, bool):
        raise Malformed(f"a flag of the entry {name[:100]!r} is missing or neither true nor false")
    return leaf.event.value


def _number(leaf: JsonLeaf) -> int:
    text = str(leaf.event.value)
    if leaf.event.kind is not EventKind.NUMBER or not _INTEGER.fullmatch(text):
        raise Malformed("a whole number is missing", offset=leaf.event.offset)
    return int(text)
