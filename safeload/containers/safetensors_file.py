"""The safetensors format: a length, a JSON header that describes every byte, then the bytes.

Accepts what the safetensors library accepts, except repeated keys, unknown fields and types that torch has no name for.
Reads the header, never a tensor. There is no pickle in this format.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from safeload.containers.interface import ContainerLayout, Reading, Tensor
from safeload.containers.sniff import HEAD, is_safetensors
from safeload.document.document import Extent
from safeload.document.dtypes import BITS
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

DTYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64",
    "F8_E5M2": "float8_e5m2", "F8_E4M3": "float8_e4m3fn", "F8_E8M0": "float8_e8m0fnu",
    "F8_E4M3FNUZ": "float8_e4m3fnuz", "F8_E5M2FNUZ": "float8_e5m2fnuz",
    "F4": "float4_e2m1fn_x2",
}  # fmt: skip
"""The format's names of element types, and torch's. F6_E2M3 and F6_E3M2 are not in torch."""

_FIELDS = frozenset({"dtype", "shape", "data_offsets"})
_TOO_LARGE = 1 << 63
# The bound for tensors that a pickle describes, too: see `vetted/torch/geometry.py`.
_STRIDES = 1 << 62

# A wrong writer makes the same fault in every tensor: a few findings say it all.
_ENOUGH = 20


class _Repeated(Exception):
    """A JSON object holds one key twice; the message is the key."""


class Safetensors:
    """See the module."""

    name = "safetensors"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return is_safetensors(source.peek(0, HEAD))

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`. After a finding the ContainerLayout is empty, so nothing of the file can be loaded."""
        raw, start = _raw_header(source, limits)
        try:
            header = _parsed(raw)
        except _Repeated as error:
            yield _finding("safetensors-duplicate-key", f"the header holds the key {str(error)[:200]!r} twice", "")
            return ContainerLayout(root="dict")
        metadata = header.pop("__metadata__", {})
        if len(header) > limits.tensors:
            raise LimitExceeded(f"the header describes {len(header)} tensors", limit="tensors", offset=8)
        count = 0
        if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
            yield _finding("safetensors-metadata", "__metadata__ must map texts to texts", "")
            metadata = {}
            count = 1
        tensors: list[Tensor] = []
        extents: dict[str, Extent] = {}
        for part in _entries(header, start, source.size - start):
            if isinstance(part, Finding):
                count += 1
                yield part
                if count >= _ENOUGH:
                    break
            else:
                tensors.append(part[0])
                extents[part[0].name] = part[1]
        if not count:
            hole = _uncovered(extents, start, source.size)
            if hole is not None:
                count = 1
                yield hole
        if count:
            return ContainerLayout(root="dict")
        yield from tensors
        return ContainerLayout(extents, metadata=metadata, root="dict")


def _raw_header(source: Source, limits: Limits) -> tuple[bytes, int]:
    """The bytes of the header, and the offset where the data starts."""
    length = int.from_bytes(source.read(0, 8), "little")
    if length > limits.header_bytes:
        raise LimitExceeded(f"a safetensors header of {length} bytes", limit="header_bytes", offset=0)
    if length > source.size - 8:
        raise Malformed(
            f"truncated: the safetensors header needs {length} bytes and {source.size - 8} are left", offset=0
        )
    return source.read(8, length), 8 + length


def _parsed(raw: bytes) -> dict[str, object]:
    """The header as JSON. Raises Malformed, and _Repeated for an object with one key twice."""
    if raw[:1] != b"{":
        raise Malformed("a safetensors header must start with {", offset=8)
    import json

    try:
        # Not json.loads(bytes): that also accepts UTF-16 and UTF-32, which the format does not have. The library takes
        # -0 for a float, and refuses it. The hook costs time for each number, so it is set only when "-0" occurs.
        whole = _no_negative_zero if b"-0" in raw else None
        header = json.loads(
            raw.decode("utf-8"), object_pairs_hook=_no_repeats, parse_constant=_no_constant, parse_int=whole
        )
        if b"\\u" in raw:
            # Python accepts half of a surrogate pair in an escape; every other reader refuses the file.
            json.dumps(header, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Malformed(f"the safetensors header is no JSON: {str(error)[:200]}", offset=8) from error
    if type(header) is not dict:
        raise Malformed("the safetensors header is no JSON object", offset=8)
    return header


def _no_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A hook for `json.loads` that raises _Repeated.

    SECURITY: of two equal keys the library silently keeps the last, other readers the first: two readers would load
    different tensors.
    """
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        raise _Repeated(next(key for key, _ in pairs if key in seen or seen.add(key)))  # type: ignore[func-returns-value]
    return result


def _no_constant(text: str) -> object:
    raise ValueError(f"{text} is no JSON")


def _no_negative_zero(text: str) -> int:
    if text == "-0":
        raise ValueError("-0 is no whole number")
    return int(text)


def _entries(header: dict[str, object], start: int, room: int) -> Iterator[tuple[Tensor, Extent] | Finding]:
    """For each entry of the header its Tensor and Extent, or the finding that says what is wrong with it."""
    for name, entry in header.items():
        if type(entry) is not dict or entry.keys() != _FIELDS:
            yield _finding("safetensors-field", "an entry must have exactly dtype, shape and data_offsets", name)
            continue
        dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
        if type(dtype) is not str or dtype not in DTYPES:
            yield _finding("safetensors-dtype", f"the type {str(dtype)[:40]!r} is not known", name)
            continue
        if type(shape) is not list or len(shape) > 64 or not _whole(shape):
            yield _finding("safetensors-shape", "the shape must be a list of at most 64 whole numbers", name)
            continue
        if type(offsets) is not list or len(offsets) != 2 or not _whole(offsets):
            yield _finding("safetensors-offsets", "data_offsets must be two whole numbers", name)
            continue
        begin, end = offsets
        if not begin <= end <= room:
            yield _finding(
                "safetensors-offsets", f"the bytes {begin} to {end} do not lie in the {room} bytes of the file", name
            )
            continue
        kind = DTYPES[dtype]
        if dtype == "F4":
            # A byte holds two values: torch's type is a pair of them, along the last dimension.
            if not shape or shape[-1] % 2:
                yield _finding("safetensors-shape", "4-bit values must come in pairs along the last dimension", name)
                continue
            shape = [*shape[:-1], shape[-1] // 2]
        count = math.prod(shape)
        if not count and math.prod([max(size, 1) for size in shape]) >= _STRIDES:
            yield _finding("safetensors-shape", "an empty tensor has sizes that no strides can have", name)
            continue
        if count * BITS[kind] != (end - begin) * 8:
            yield _finding("safetensors-shape", f"shape and type do not fill the bytes {begin} to {end}", name)
            continue
        yield Tensor(name, kind, tuple(shape), name), Extent(start + begin, end - begin, end - begin)


def _whole(numbers: list[Any]) -> bool:
    """Whether all are exact ints (a bool is none) with 0 <= n < 2**63."""
    for number in numbers:  # noqa: SIM110 - asked twice of every tensor, and all() takes twice as long
        if type(number) is not int or not 0 <= number < _TOO_LARGE:
            return False
    return True


def _uncovered(extents: dict[str, Extent], start: int, size: int) -> Finding | None:
    """The finding for tensors that leave or share bytes; None when they cover the data, each byte once.

    SECURITY: bytes that no tensor has could be a file to another program; shared bytes change two tensors at once.
    """
    at = start
    for name, extent in sorted(extents.items(), key=lambda item: (item[1].offset, item[1].length)):
        if extent.offset != at:
            word = "share bytes" if extent.offset < at else "leave bytes between them"
            return _finding("safetensors-offsets", f"two tensors {word} (at offset {min(at, extent.offset)})", name)
        at += extent.length
    return (
        None
        if at == size
        else _finding("safetensors-offsets", f"{size - at} bytes after the last tensor belong to none", "")
    )


def _finding(rule: str, message: str, tensor: str) -> Finding:
    return Finding(
        rule, Verdict.UNJUDGED, Severity.MEDIUM,
        f"{message} (tensor {tensor[:200]!r})" if tensor else message,
        "write the file again with a current safetensors library",
        offset=8,
    )  # fmt: skip
