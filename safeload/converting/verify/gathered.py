"""Elements that lie apart, gathered in small boxes: of a tensor in its source and of the same one in the output.

Made of index arithmetic, where the writer's blocks are made of strides, so that a fault in one is none in the other.
Memory stays bounded for any shape and stride.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from safeload.converting.interface import Stored
from safeload.converting.verify.reread import Bytes

Array = npt.NDArray[Any]

_BOX = 512 << 10
_GAP = 16


class Boxes:
    """Iterates over (offset in the tensor, source elements, output elements), elements as rows of bytes.

    base     where the tensor's storage begins in `source`
    offset   where the tensor begins in `output`
    """

    def __init__(self, stored: Stored, source: Bytes, base: int, output: Bytes, offset: int) -> None:
        piece = stored.piece
        self._width = piece.width
        self._source = source
        self._output = output
        self._start = base + piece.start
        self._offset = offset
        self._shape = piece.shape
        self._theirs = piece.stride
        count = 1
        own = []
        for size in reversed(piece.shape):
            own.append(count)
            count *= size
        self._own = tuple(reversed(own))
        self._out_width = stored.nbytes // count

    def __iter__(self) -> Iterator[tuple[int, Array, Array]]:
        todo = [([0] * len(self._shape), list(self._shape))]
        while todo:
            starts, sizes = todo.pop()
            count = 1
            for size in sizes:
                count *= size
            if count * max(self._width, self._out_width) > _BOX:
                longest = max(range(len(sizes)), key=sizes.__getitem__)
                half = sizes[longest] // 2
                later, rest = list(starts), list(sizes)
                later[longest] += half
                rest[longest] -= half
                sizes[longest] = half
                todo += [(later, rest), (starts, sizes)]
                continue
            first = sum([a * b for a, b in zip(starts, self._own, strict=True)])
            at = self._start + self._width * sum([a * b for a, b in zip(starts, self._theirs, strict=True)])
            mine = _gather(self._source, at, sizes, self._theirs, self._width)
            out = self._offset + first * self._out_width
            yield first * self._out_width, mine, _gather(self._output, out, sizes, self._own, self._out_width)


def _gather(source: Bytes, start: int, sizes: list[int], stride: tuple[int, ...], width: int) -> Array:
    """The elements of a box in C order, as rows of bytes."""
    order = sorted(range(len(sizes)), key=lambda index: -stride[index])
    places = np.zeros((), np.int64)
    for index in order:
        places = places[..., None] + np.arange(sizes[index], dtype=np.int64) * (stride[index] * width)
    back = [order.index(index) for index in range(len(sizes))]
    flat = places.reshape(-1)
    steps = np.diff(flat)
    if steps.size and steps.min() < 0:
        # Strides that overlap: read in the order of the file.
        distinct, where = np.unique(flat, return_inverse=True)
        rows = _read(source, start, distinct, width)[where.reshape(-1)]
    else:
        rows = _read(source, start, flat, width)
    shaped = rows.reshape(*[sizes[index] for index in order], width)
    return np.ascontiguousarray(shaped.transpose(*back, len(sizes))).reshape(-1, width)


def _read(source: Bytes, start: int, places: Array, width: int) -> Array:
    """The elements at ascending `places`: neighbours are read together."""
    breaks = np.flatnonzero(np.diff(places) > _GAP * width) + 1
    rows = np.empty((places.size, width), np.uint8)
    edges = [0, *breaks.tolist(), places.size]
    for low, high in pairwise(edges):
        first, last = int(places[low]), int(places[high - 1])
        raw = np.frombuffer(source.read(start + first, last - first + width), np.uint8)
        if last - first == (high - low - 1) * width:
            rows[low:high] = raw.reshape(-1, width)
        else:
            inside = places[low:high] - first
            rows[low:high] = raw[inside[:, None] + np.arange(width)]
    return rows
