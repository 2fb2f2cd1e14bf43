"""The elements of two tensors of one shape, side by side, in boxes of a fixed size: whatever their strides.

Memory is bounded by the box. Dimensions are taken in the order in which they lie in the first of the two, so that two
transposed tensors are read straight through. Needs no numpy.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from math import prod
from typing import Literal, NamedTuple

from safeload.containers.storage_bytes import inflated
from safeload.errors import InputError, Malformed
from safeload.inspecting.tensors import Piece

BOX = 1 << 20
"""Bytes of a box of elements."""

# What is read at once, as a multiple of a box, when elements lie apart.
_SPAN = 4
FORMATS: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}
"""Bytes of a machine word -> what memoryview calls it."""

_TURN_SIGN = bytes(byte ^ 0x80 for byte in range(256))

Read = Callable[[int, int], bytes]
"""(offset in the storage, length) -> exactly so many bytes."""


class _Dim(NamedTuple):
    """A dimension: elements, and what one step in it is in each of the two and in the box."""

    size: int
    mine: int
    theirs: int


class Storages:
    """Where pieces are read from. A compressed storage is laid open in a nameless temporary file, one at a time a side.

    Close it when done: it is a context manager.
    """

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._open: tuple[object, Read] | None = None

    def __enter__(self) -> Storages:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def reader(self, piece: Piece) -> Read:
        """What reads the bytes of `piece`. Raises Malformed when the file does not hold its storage."""
        if piece.data is not None:
            data = piece.data
            return lambda offset, length: data[offset : offset + length]
        storage = piece.storage
        extent = None if storage is None else piece.home.storages.get(storage.key)
        if storage is None or extent is None or extent.size != storage.nbytes:
            raise Malformed("its storage is not in the file as it was declared")
        source, start = piece.home.source, extent.offset
        if extent.stored:

            def read(offset: int, length: int) -> bytes:
                # Not kept: what is compared is larger than memory.
                found = source.peek(start + offset, length)
                if len(found) != length:
                    raise InputError(errno.EIO, "got shorter while being compared", source.name)
                return found

            return read
        key = (id(piece.home), storage.key)
        if self._open is None or self._open[0] != key:
            self._stack.close()
            file = self._stack.enter_context(tempfile.TemporaryFile(prefix=".safeload."))  # noqa: SIM115
            for part in inflated(source, extent):
                file.write(part)

            def spooled(offset: int, length: int) -> bytes:
                file.seek(offset)
                return file.read(length)

            self._open = (key, spooled)
        return self._open[1]


def boxes(mine: Piece, theirs: Piece, read_mine: Read, read_theirs: Read) -> Iterator[tuple[bytes, bytes]]:
    """The elements of two pieces of one shape and width in the same order: little-endian, signs as they are meant."""
    width = mine.width
    dims = _dimensions(mine, theirs)
    todo = [([0] * len(dims), [dim.size for dim in dims])]
    while todo:
        starts, sizes = todo.pop()
        if prod(sizes) * width > BOX:
            longest = max(range(len(sizes)), key=sizes.__getitem__)
            half = sizes[longest] // 2
            later, rest = list(starts), list(sizes)
            later[longest] += half
            rest[longest] -= half
            sizes[longest] = half
            todo += [(later, rest), (starts, sizes)]
            continue
        found = []
        for piece, read, steps in (
            (mine, read_mine, [dim.mine for dim in dims]),
            (theirs, read_theirs, [dim.theirs for dim in dims]),
        ):
            at = piece.start // width + sum([first * step for first, step in zip(starts, steps, strict=True)])
            found.append(_meant(piece, gathered(read, at, sizes, steps, width, piece.start % width)))
        yield found[0], found[1]


def _dimensions(mine: Piece, theirs: Piece) -> list[_Dim]:
    """The dimensions that matter, widest step of mine first; neighbours that are one run in both are one."""
    dims = [_Dim(size, a, b) for size, a, b in zip(mine.shape, mine.stride, theirs.stride, strict=True) if size != 1]
    dims.sort(key=lambda dim: (-dim.mine, -dim.theirs))
    joined: list[_Dim] = []
    for dim in reversed(dims):
        last = joined[-1] if joined else None
        if last is not None and (last.size * last.mine, last.size * last.theirs) == (dim.mine, dim.theirs):
            joined[-1] = _Dim(last.size * dim.size, last.mine, last.theirs)
        else:
            joined.append(dim)
    return joined[::-1]


def gathered(read: Read, start: int, sizes: list[int], steps: list[int], width: int, shift: int = 0) -> bytes:
    """The elements from number `start` on, `steps` apart in each dimension, in C order of `sizes`.

    shift   bytes by which all elements lie behind a multiple of their width
    """
    # Copied as machine words: an element of another width is a row of them.
    word = next(size for size in (8, 4, 2, 1) if width % size == 0)
    times = width // word
    dims = []
    out = times
    for size, step in zip(reversed(sizes), reversed(steps), strict=True):
        dims.append((size, step * times, out))
        out *= size
    if times > 1:
        dims.append((times, 1, 1))
    box = bytearray(out * word)
    _fill(memoryview(box).cast(FORMATS[word]), 0, start * times, dims, word, lambda at, n: read(at + shift, n))
    return bytes(box)


def _fill(
    box: memoryview[int], place: int, start: int, dims: list[tuple[int, int, int]], word: int, read: Read
) -> None:  # fmt: skip
    """Read what lies close together at once, else one step of the widest dimension after the other."""
    span = sum([(size - 1) * step for size, step, _ in dims]) + 1
    if span * word <= _SPAN * BOX or not dims:
        _copy(box, place, memoryview(read(start * word, span * word)).cast(FORMATS[word]), dims)
        return
    widest = max(dims, key=lambda dim: dim[1])
    rest = [dim for dim in dims if dim is not widest]
    for index in range(widest[0]):
        _fill(box, place + index * widest[2], start + index * widest[1], rest, word, read)


def _copy(box: memoryview[int], place: int, raw: memoryview[int], dims: list[tuple[int, int, int]]) -> None:
    """Move elements out of `raw` row by row, along the longest dimension."""
    size, step, out = max(dims, default=(1, 1, 1))
    outer = sorted(dims)[:-1]
    places = [(0, 0)]
    for many, jump, far in outer:
        places = [(at + i * jump, to + i * far) for at, to in places for i in range(many)]
    for at, to in places:
        begin = place + to
        if step:
            box[begin : begin + (size - 1) * out + 1 : out] = raw[at : at + (size - 1) * step + 1 : step]
        else:
            for index in range(size):
                box[begin + index * out] = raw[at]


def _meant(piece: Piece, data: bytes) -> bytes:
    """The bytes in little-endian order, with the signs that a lazily negated or conjugated view turns."""
    if not piece.swapped and not piece.flip:
        return data
    out = bytearray(data)
    unit = piece.unit
    if piece.swapped:
        for index in range(unit):
            out[index::unit] = data[unit - 1 - index :: unit]
    if "conj" in piece.flip:
        out[2 * unit - 1 :: 2 * unit] = out[2 * unit - 1 :: 2 * unit].translate(_TURN_SIGN)
    if "neg" in piece.flip:
        out[unit - 1 :: unit] = out[unit - 1 :: unit].translate(_TURN_SIGN)
    return bytes(out)
