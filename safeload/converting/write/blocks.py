"""The elements of strided tensors, laid out in C order in memory of a fixed size, whatever their size and strides.

A tensor is cut into blocks that are long in the source's order and in the output's order alike: a transposed matrix of
any size is read and written in runs of some kilobytes, never an element at a time. No file is mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BLOCK = 4 << 20
"""Bytes of a block, and the most that is read at once for one."""

_RUN = 16 << 10
_DENSE = 4
_PAGE = 4096

Read = Callable[[int, int], bytes]
Write = Callable[[int, Array], None]


class Dim(NamedTuple):
    """One dimension: elements, and what one step is in the source (bytes) and in the output (elements)."""

    size: int
    source: int
    output: int


def dimensions(shape: tuple[int, ...], stride: tuple[int, ...], width: int) -> list[Dim]:
    """The dimensions that matter, outermost first; neighbours that are one run in both orders are one."""
    found: list[Dim] = []
    step = 1
    for size, jump in reversed(list(zip(shape, stride, strict=True))):
        if size != 1:
            last = found[-1] if found else None
            if last is not None and last.size * last.source == jump * width and last.size * last.output == step:
                found[-1] = Dim(last.size * size, last.source, last.output)
            else:
                found.append(Dim(size, jump * width, step))
        step *= size
    return found[::-1]


def blocks(dims: list[Dim], width: int) -> Iterator[tuple[list[int], list[int]]]:
    """(first index, size) in each dimension, for every block, in C order."""
    sizes = _block(dims, width)
    counts = [range(0, dim.size, size) for dim, size in zip(dims, sizes, strict=True)]
    for starts in product(*counts):
        yield (
            list(starts),
            [min(size, dim.size - start) for dim, size, start in zip(dims, sizes, starts, strict=True)],
        )


def _block(dims: list[Dim], width: int) -> list[int]:
    """The size of a block in each dimension."""
    sizes = [1] * len(dims)
    budget = BLOCK // width
    by_output = list(range(len(dims)))[::-1]
    by_source = sorted(by_output, key=lambda index: dims[index].source)
    for order, most in ((by_output, _RUN // width), (by_source, _RUN // width), (by_output, budget)):
        run = 1
        for index in order:
            others = _product(sizes) // sizes[index]
            size = max(sizes[index], min(dims[index].size, -(-most // run), max(budget // others, 1)))
            sizes[index] = size
            run *= size
            if size < dims[index].size or run >= most:
                break
    return sizes


def _product(sizes: list[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result


def read_block(dims: list[Dim], starts: list[int], sizes: list[int], start: int, width: int, read: Read) -> Array:
    """One block in C order: an array of `sizes`, elements as bytes in a last dimension. `start` of the tensor."""
    origin = start + sum([first * dim.source for first, dim in zip(starts, dims, strict=True)])
    order = sorted(range(len(dims)), key=lambda index: dims[index].source)
    # The inner dimensions that are read in one go: as many as lie close together.
    span = data = width
    inner: list[int] = []
    for index in order:
        wider = span + (sizes[index] - 1) * dims[index].source
        more = data * sizes[index]
        if wider > _PAGE and (wider > BLOCK or wider > _DENSE * more):
            break
        span, data = wider, more
        inner.append(index)
    outer = [index for index in range(len(dims)) if index not in inner]
    block = np.empty((*sizes, width), np.uint8)
    strides = [dims[index].source if index in inner else 0 for index in range(len(dims))]
    shape = [sizes[index] if index in inner else 1 for index in range(len(dims))]
    for place in product(*[range(sizes[index]) for index in outer]):
        at = origin + sum([dims[index].source * number for index, number in zip(outer, place, strict=True)])
        raw = np.frombuffer(read(at, span), np.uint8)
        part = np.lib.stride_tricks.as_strided(raw, (*shape, width), (*strides, 1), writeable=False)
        where: list[Any] = [slice(None)] * len(dims)
        for index, number in zip(outer, place, strict=True):
            where[index] = slice(number, number + 1)
        _fill(block[tuple(where)], part, width)
    return block


def _fill(target: Array, part: Array, width: int) -> None:
    """Copy elements, as numbers of their width where there are such: ten times as fast as byte by byte."""
    if width in (2, 4, 8) and target.strides[-1] == 1 and part.strides[-1] == 1:
        target.view(f"u{width}")[...] = part.view(f"u{width}")
    else:
        target[...] = part


def write_block(dims: list[Dim], starts: list[int], sizes: list[int], data: Array, width: int, write: Write) -> None:
    """Write one block's bytes (C order, `width` to an element) where they belong, counted from the tensor's start."""
    run = 1
    inner = len(dims)
    while inner and dims[inner - 1].output == run:
        inner -= 1
        run *= sizes[inner]
        if sizes[inner] < dims[inner].size:
            break
    origin = sum([first * dim.output for first, dim in zip(starts, dims, strict=True)])
    length = run * width
    for number, place in enumerate(product(*[range(size) for size in sizes[:inner]])):
        at = origin + sum([dim.output * index for dim, index in zip(dims, place, strict=False)])
        write(at * width, data[number * length : (number + 1) * length])
