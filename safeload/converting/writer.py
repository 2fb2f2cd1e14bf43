"""Bytes from the source into the output: by the kernel where they are moved as they are, else through numpy in blocks.

Knows nothing of names or trees; `verify` reads what this file wrote, by code of its own.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import numpy as np

from safeload.converting import system
from safeload.converting.blocks import blocks, dimensions, read_block, write_block
from safeload.converting.casting import changed, changes, overflowed
from safeload.converting.inflated import Inflated
from safeload.converting.interface import Stored
from safeload.converting.layout import Layout
from safeload.converting.views import steps
from safeload.document import Document, Extent
from safeload.elements import numel
from safeload.errors import InputError
from safeload.inputs import FileSource

_BUFFER = 1 << 20

Told = Callable[[int], None]
"""Called with bytes done."""


class _Run(NamedTuple):
    """Bytes that are moved as they are: neighbours in the source and in the output are one run."""

    document: Document
    extent: Extent
    start: int
    at: int
    length: int
    last: int


class Writer:
    """Writes one output. `infinite` counts finite elements that a cast made infinite.

    told       called with bytes done
    complete   called with the number of tensors that are complete, in the order of the file
    """

    def __init__(self, fd: int, folder: str, told: Told, complete: Told) -> None:
        self.infinite = 0
        self._complete = complete
        self._fd = fd
        self._folder = folder
        self._told = told
        self._done = 0
        self._inflated: dict[tuple[int, int], Inflated] = {}
        self._movers: dict[int, system.Mover] = {}

    def head(self, layout: Layout) -> None:
        """Write the header. Raises OSError."""
        system.write_at(self._fd, layout.header, 0)
        self._step(len(layout.header))

    def body(self, layout: Layout) -> None:
        """Write the tensors. Raises OSError for the output, InputError for the source."""
        with ExitStack() as stack:
            stack.callback(self._close)
            for part in _runs(layout):
                if isinstance(part, _Run):
                    self._move(part)
                    self._complete(part.last + 1)
                else:
                    self._transform(*part[:2])
                    self._complete(part[2] + 1)
        self._complete(len(layout.tensors))

    def _close(self) -> None:
        for inflated in self._inflated.values():
            inflated.close()

    def _step(self, count: int) -> None:
        self._done += count
        self._told(self._done)

    def _move(self, run: _Run) -> None:
        fd, start = self._opened(run.document, run.extent)
        if fd < 0:
            self._copy(run)
            return
        mover = self._movers.setdefault(fd, system.Mover(fd, self._fd))
        start += run.start
        at, left = run.at, run.length
        while left:
            count = mover.move(start, at, left)
            if not count:
                raise InputError(errno.EIO, "got shorter while being read", run.document.source.name)
            start, at, left = start + count, at + count, left - count
            self._step(count)

    def _copy(self, run: _Run) -> None:
        offset = run.extent.offset + run.start
        for done in range(0, run.length, _BUFFER):
            length = min(_BUFFER, run.length - done)
            system.write_at(self._fd, _peek(run.document, offset + done, length), run.at + done)
            self._step(length)

    def _transform(self, stored: Stored, offset: int) -> None:
        """Write a tensor whose bytes are not those of its source, or lie apart there."""
        piece = stored.piece
        fd, base = self._opened(piece.document, piece.extent)
        source = piece.document.source
        name = source.name

        def read(at: int, length: int) -> bytes:
            if fd < 0:
                return _peek(piece.document, piece.extent.offset + at, length)
            data = system.read_at(fd, base + at, length)
            if len(data) != length:
                raise InputError(errno.EIO, "got shorter while being read", name)
            return data

        dims = dimensions(piece.shape, piece.stride, piece.width)
        width = stored.nbytes // numel(piece.shape)
        for starts, sizes in blocks(dims, piece.width):
            block = read_block(dims, starts, sizes, piece.start, piece.width, read)
            data = changed(block, stored)
            if stored.source is not None:
                before = np.ascontiguousarray(block).reshape(-1)
                if piece.unit > 1:
                    before = before.view(f"u{piece.unit}").byteswap().view(np.uint8)
                self.infinite += overflowed(before, data, stored.source, stored.dtype)
            write_block(
                dims, starts, sizes, data, width,
                lambda at, part: system.write_at(self._fd, part.data, offset + at),
            )  # fmt: skip
            self._step(len(data))

    def _opened(self, document: Document, extent: Extent) -> tuple[int, int]:
        """(descriptor, offset of the storage in it); -1 for what no descriptor leads to."""
        if not extent.stored:
            key = (id(document), extent.offset)
            if key not in self._inflated:
                self._inflated[key] = Inflated(document.source, extent, self._folder)
            return self._inflated[key].fd, 0
        source = document.source
        return (source.fileno(), extent.offset) if isinstance(source, FileSource) else (-1, 0)


def _peek(document: Document, offset: int, length: int) -> bytes:
    data = document.source.peek(offset, length)
    if len(data) != length:
        raise InputError(errno.EIO, "got shorter while being read", document.source.name)
    return data


def _runs(layout: Layout) -> Iterator[_Run | tuple[Stored, int, int]]:
    run: _Run | None = None
    for index, (stored, offset) in enumerate(layout.tensors):
        piece = stored.piece
        if not stored.nbytes:
            continue
        if changes(stored) or piece.stride != steps(piece.shape, piece.stride):
            if run is not None:
                yield run
                run = None
            yield stored, offset, index
        elif (
            run is not None
            and run.document is piece.document
            and run.extent is piece.extent
            and run.start + run.length == piece.start
        ):
            run = run._replace(length=run.length + stored.nbytes, last=index)
        else:
            if run is not None:
                yield run
            run = _Run(piece.document, piece.extent, piece.start, offset, stored.nbytes, index)
    if run is not None:
        yield run
