"""In what two tensors differ: type, shape, kind, and the bytes of their elements, streamed.

Elements are equal when their bytes are: two NaNs of the same bits are equal, 0.0 and -0.0 differ (by 0). The greatest
difference is computed by numpy where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from math import prod
from operator import ne
from typing import Any, NamedTuple

from safeload.errors import InputError, Malformed
from safeload.inspecting.interface import Change
from safeload.inspecting.streaming import FORMATS, Storages, boxes
from safeload.inspecting.tensors import Facts, Piece

_FLOATS = {"float64": "<f8", "float32": "<f4", "float16": "<f2", "complex64": "<c8", "complex128": "<c16"}

_SHOWN = 80


class _Gap(NamedTuple):
    """Elements that differ, and by how much at most."""

    elements: int = 0
    largest: float | None = None
    nans: int = 0

    def and_(self, other: _Gap) -> _Gap:
        """Both together."""
        known = [gap.largest for gap in (self, other) if gap.largest is not None]
        return _Gap(self.elements + other.elements, max(known, default=None), self.nans + other.nans)


class Comparison:
    """Compares pairs of tensors. What was compared once (tied tensors) is not read again.

    done   called with the bytes of one side that are compared so far
    """

    def __init__(self, mine: Storages, theirs: Storages, done: Callable[[int], None]) -> None:
        self._mine, self._theirs = mine, theirs
        self._told = done
        self.compared = 0
        self._known: dict[object, _Gap] = {}
        self._numpy = find_spec("numpy") is not None

    def differs(self, name: str, other: str, a: Facts, b: Facts, *, values: bool) -> Change | None:
        """The first of type, shape, layout and values in which two tensors differ, None when they are equal."""
        if a.dtype != b.dtype:
            return Change(name, other, "dtype", a.dtype or a.layout, b.dtype or b.layout)
        if a.shape != b.shape:
            return Change(name, other, "shape", str(list(a.shape)), str(list(b.shape)))
        shapes = [[(piece.shape, piece.width, piece.dtype) for piece in side.pieces] for side in (a, b)]
        if a.layout != b.layout:
            return Change(name, other, "layout", a.layout or "strided", b.layout or "strided")
        if a.extra != b.extra and a.kind != "array":
            return Change(name, other, "layout", _extra(a), _extra(b))
        if shapes[0] != shapes[1] or a.extra != b.extra:
            return Change(name, other, "layout", _pieces(a), _pieces(b))
        return self._values(name, other, a, b) if values else None

    def _values(self, name: str, other: str, a: Facts, b: Facts) -> Change | None:
        gap = _Gap()
        try:
            for mine, theirs in zip(a.pieces, b.pieces, strict=True):
                gap = gap.and_(self._gap(mine, theirs))
        except (Malformed, InputError) as error:
            return Change(name, other, "unreadable", str(error)[:200])
        if not gap.elements:
            return None
        elements = sum([prod(piece.shape) for piece in a.pieces])
        return Change(name, other, "values", "", "", gap.elements, elements, gap.largest, gap.nans)

    def _gap(self, mine: Piece, theirs: Piece) -> _Gap:
        if not mine.nbytes or not (mine.has_bytes or theirs.has_bytes):
            return _Gap()
        key = (_identity(mine), _identity(theirs))
        found = self._known.get(key)
        if found is None:
            found = _Gap()
            left, right = self._mine.reader(mine), self._theirs.reader(theirs)
            for one, two in boxes(mine, theirs, left, right):
                if one != two:
                    found = found.and_(self._numbers(one, two, mine))
                self.compared += len(one)
                self._told(self.compared)
            self._known[key] = found
        return found

    def _numbers(self, one: bytes, two: bytes, piece: Piece) -> _Gap:
        if self._numpy and (piece.dtype in _FLOATS or piece.dtype == "bfloat16"):
            return _floats(one, two, piece)
        width = piece.width
        if width in FORMATS:
            form = FORMATS[width]
            return _Gap(sum(map(ne, memoryview(one).cast(form), memoryview(two).cast(form))))
        return _Gap(sum([one[at : at + width] != two[at : at + width] for at in range(0, len(one), width)]))


def _floats(one: bytes, two: bytes, piece: Piece) -> _Gap:
    """Count and greatest difference of two runs of numbers."""
    import numpy as np

    rows = [np.frombuffer(data, np.uint8).reshape(-1, piece.width) for data in (one, two)]
    apart = (rows[0] != rows[1]).any(axis=1)
    wide: list[Any] = []
    for row in rows:
        raw = np.ascontiguousarray(row[apart])
        if piece.dtype == "bfloat16":
            # The upper half of a float32.
            numbers = (raw.view("<u2").astype("<u4") << 16).view("<f4")
        else:
            numbers = raw.view(_FLOATS[piece.dtype])
        wide.append(numbers.reshape(-1).astype(np.complex128 if "complex" in piece.dtype else np.float64))
    with np.errstate(all="ignore"):
        # Two equal infinities in other places of a complex number, or an infinity less itself, are no number.
        distance = np.abs(wide[0] - wide[1])
    nans = np.isnan(wide[0]) | np.isnan(wide[1])
    known = distance[~np.isnan(distance)]
    largest = float(known.max()) if known.size else None
    return _Gap(int(apart.sum()), largest, int(nans.sum()))


def _identity(piece: Piece) -> object:
    if piece.source is None:
        return id(piece.data), piece.shape, piece.stride
    return piece.source, piece.start, piece.shape, piece.stride, piece.dtype, piece.flip


def _extra(found: Facts) -> str:
    shown = [repr(value) for value in found.extra]
    return ", ".join([text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..." for text in shown])


def _pieces(found: Facts) -> str:
    return " + ".join([f"{piece.dtype or f'{piece.width} bytes'} {list(piece.shape)}" for piece in found.pieces])
