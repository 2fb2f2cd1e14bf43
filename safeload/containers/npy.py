"""numpy's .npy: a Python literal that describes one array, then the bytes of the array, or a pickle of its objects.

Mirrors numpy/lib/format.py (versions 1.0 to 3.0) and accepts less: where numpy would guess, this raises Malformed.
Reads the header, never the array.
"""

from __future__ import annotations

import ast
import math
import re

from safeload.containers.interface import ContainerLayout, Pickle, Reading, Tensor
from safeload.containers.remarks import trailing_bytes
from safeload.document.document import Extent
from safeload.errors import Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

_MAGIC = b"\x93NUMPY"
# numpy's own cap for files that are not trusted (max_header_size).
_HEADER = 10_000
# numpy 2 allows this many dimensions.
_RANK = 64
# How deep brackets may nest: a dtype may hold dtypes. Below the limits of Python's own parser.
_NESTING = 32

_LEAF = r"([<>|=]?)([?a-zA-Z])(\d{0,9})(\[[0-9a-zA-Z/]{1,12}\])?"
_SIZES = {
    "b": {1}, "i": {1, 2, 4, 8}, "u": {1, 2, 4, 8}, "f": {2, 4, 8, 12, 16}, "c": {8, 16, 24, 32}, "M": {8}, "m": {8},
}  # fmt: skip
_DTYPES = {
    "b1": "bool", "?": "bool", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64",
    "f2": "float16", "f4": "float32", "f8": "float64", "c8": "complex64", "c16": "complex128",
}  # fmt: skip


class UnknownDescr(ValueError):
    """This reader does not know the description of a dtype; the message is the description."""


class Npy:
    """See the module."""

    name = "npy"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return source.peek(0, len(_MAGIC)) == _MAGIC

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`. Strings and structured dtypes are no tensors: only the layout has their bytes."""
        text, start = _header_text(source)
        descr, fortran, shape = _header(text)
        try:
            itemsize, objects = _measure(descr)
        except UnknownDescr as error:
            yield Finding(
                "npy-dtype", Verdict.UNJUDGED, Severity.MEDIUM,
                f"the array's dtype is described in a way that is not understood: {str(error)[:200]}",
                "save the array again with numpy.save",
                offset=10, evidence=str(descr)[:200],
            )  # fmt: skip
            return ContainerLayout(root="single")
        if objects:
            answer = yield Pickle("object array", start, source.size, main=True)
            if answer is not None and answer.end is not None and answer.end < source.size:
                yield trailing_bytes(answer.end, source.size - answer.end, "the pickle")
            return ContainerLayout()
        length = math.prod(shape) * itemsize
        if length > source.size - start:
            raise Malformed(
                f"truncated: the array needs {length} bytes and {source.size - start} are left", offset=start
            )
        if length < source.size - start:
            yield trailing_bytes(start + length, source.size - start - length, "the array")
        order, dtype = _plain(descr)
        if dtype is not None:
            yield Tensor("", dtype, shape, "", fortran=fortran)
        return ContainerLayout({"": Extent(start, length, length)}, big_endian=order == ">", root="single")


def _header_text(source: Source) -> tuple[str, int]:
    """The text of the header, and the offset where the data starts."""
    if source.size < 12:
        raise Malformed("truncated: a .npy file has a header of more than 12 bytes", offset=0)
    version = tuple(source.read(0, 8)[6:])
    if version not in {(1, 0), (2, 0), (3, 0)}:
        raise Malformed(f"unknown .npy version {version[0]}.{version[1]}", offset=6)
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(source.read(8, width), "little")
    start = 8 + width
    if length > _HEADER:
        raise Malformed(f"a .npy header of {length} bytes; numpy itself reads at most {_HEADER}", offset=8)
    if length > source.size - start:
        raise Malformed("truncated: the .npy header goes on behind the end of the file", offset=8)
    raw = source.read(start, length)
    try:
        return raw.decode("utf-8" if version == (3, 0) else "latin-1"), start + length
    except UnicodeDecodeError as error:
        raise Malformed("the .npy header is no UTF-8", offset=start + error.start) from error


def _header(text: str) -> tuple[object, bool, tuple[int, ...]]:
    """descr, fortran_order and shape of the header, with types and ranges checked."""
    _bound_nesting(text)
    # Python 2 wrote its long integers as 3L; numpy drops the letter too.
    text = re.sub(r"(?<=[(, ]\d)(\d{0,18})L(?=[,) ])", r"\1", text)
    try:
        header = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise Malformed("the .npy header is no Python literal", offset=10) from error
    if type(header) is not dict or header.keys() != {"descr", "fortran_order", "shape"}:
        raise Malformed("the .npy header must be a dict of descr, fortran_order and shape", offset=10)
    shape = header["shape"]
    if type(shape) is not tuple or len(shape) > _RANK or not all(type(n) is int and 0 <= n < 1 << 63 for n in shape):
        raise Malformed("the .npy header holds no valid shape", offset=10)
    if type(header["fortran_order"]) is not bool:
        raise Malformed("fortran_order in the .npy header must be True or False", offset=10)
    # SECURITY: a key may stand twice in a literal: Python keeps the last value, another reader may keep the first.
    if any(len(re.findall(rf"['\"]{key}['\"]\s*:", text)) != 1 for key in header):
        raise Malformed("the .npy header repeats a key", offset=10)
    return header["descr"], header["fortran_order"], shape


def _bound_nesting(text: str) -> None:
    """Raise Malformed for brackets that nest too deep, and for escapes, which could hide that a key stands twice."""
    if "\\" in text or "\0" in text:
        raise Malformed("the .npy header holds escapes", offset=10)
    depth = 0
    for character in text:
        if character in "([{":
            depth += 1
            if depth > _NESTING:
                raise Malformed(f"the .npy header nests deeper than {_NESTING}", offset=10)
        elif character in ")]}":
            depth -= 1


def _measure(descr: object) -> tuple[int, bool]:
    """Bytes of one element of `descr`, and whether any part of it is a Python object. Raises UnknownDescr.

    It recurses no deeper than the brackets of the header nest, which `_bound_nesting` has checked.
    """
    if type(descr) is str:
        return _measure_leaf(descr)
    if type(descr) is list and descr:
        total, objects = 0, False
        for item in descr:
            if type(item) is not tuple or len(item) not in {2, 3} or not _is_field_name(item[0]):
                raise UnknownDescr(repr(item)[:200])
            size, holds = _measure(item[1] if len(item) == 2 else (item[1], item[2]))
            total += size
            objects = objects or holds
        return total, objects
    if type(descr) is tuple and len(descr) == 2:
        size, objects = _measure(descr[0])
        shape = (descr[1],) if type(descr[1]) is int else descr[1]
        if type(shape) is tuple and all(type(n) is int and 0 <= n < 1 << 31 for n in shape):
            return size * math.prod(shape), objects
    raise UnknownDescr(repr(descr)[:200])


def _is_field_name(name: object) -> bool:
    """Whether `name` is the name of a field, or its title and name."""
    return type(name) is str or (type(name) is tuple and len(name) == 2 and all(type(part) is str for part in name))


def _measure_leaf(descr: str) -> tuple[int, bool]:
    match = re.fullmatch(_LEAF, descr)
    if match is None:
        raise UnknownDescr(descr)
    kind, digits, unit = match[2], match[3], match[4]
    if kind == "O" and digits in {"", "4", "8"} and unit is None:
        return 8, True
    if kind == "?" and not digits and unit is None:
        return 1, False
    if kind in "SUVa" and digits and unit is None:
        return int(digits) * (4 if kind == "U" else 1), False
    if not digits or int(digits) not in _SIZES.get(kind, ()) or (unit is not None and kind not in "mM"):
        raise UnknownDescr(descr)
    return int(digits), False


def _plain(descr: object) -> tuple[str, str | None]:
    """The byte order mark of a plain numeric dtype, and torch's name for it; None for every other dtype."""
    if type(descr) is not str:
        return "", None
    order = descr[0] if descr[0] in "<>|=" else ""
    return order, _DTYPES.get(descr[len(order) :])
