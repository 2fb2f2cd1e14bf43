"""Bytes from the source into the output: moved as they are, else as `transforming` makes them.

Tensors that stand alone are moved by the kernel; small ones that are neighbours in both files go together through a
buffer, which takes less time than a call for each. Knows nothing of names or trees; `verify` reads what this file
wrote, by code of its own. Compiled, because it runs for each tensor; so it knows no numpy.
"""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator, Sequence

from safeload.converting.interface import Stored
from safeload.converting.plan.layout import Layout
from safeload.converting.plan.views import steps
from safeload.converting.portions import PORTION, Told
from safeload.converting.write import system
from safeload.converting.write.inflated import Inflated
from safeload.converting.write.transforming import changes, transform
from safeload.document.document import Document, Extent
from safeload.errors import InputError
from safeload.inputs import FileSource

_GAP = 4 << 10
# A portion, and what lies between its tensors.
_BUFFER = PORTION + (128 << 10)
_FLUSH = 32 << 20


class _Run:
    """Bytes that are moved as they are: neighbours in the source and in the output are one run."""

    def __init__(self, document: Document, extent: Extent, start: int, at: int, length: int) -> None:
        self.document = document
        self.extent = extent
        self.start = start
        self.at = at
        self.length = length
        # Of the first byte, in the source.
        self.offset = extent.offset + start


class Writer:
    """Writes one output, with a `Hand` for each thread. `close` it.

    told    called with bytes more
    flush   let the system begin to put on the disk what is written
    """

    def __init__(self, fd: int, folder: str, told: Told, *, flush: bool = False) -> None:
        self.fd = fd
        self.turn = threading.Lock()
        self._told = told
        self._folder = folder
        self._hands: list[Hand] = []
        self._inflated: dict[tuple[int, int], Inflated] = {}
        self._inflating = threading.Lock()
        self._flushed = 0 if flush else None

    @property
    def infinite(self) -> int:
        """Finite elements that a cast made infinite."""
        return sum(hand.infinite for hand in self._hands)

    def head(self, layout: Layout) -> None:
        """Write the header. Raises OSError."""
        system.write_at(self.fd, layout.header, 0)

    def hand(self) -> Hand:
        """What one thread writes with."""
        self._hands.append(Hand(self))
        return self._hands[-1]

    def wrote(self, count: int, end: int) -> None:
        """Bytes more are written, up to `end`."""
        self._told(count)
        if self._flushed is not None and end - self._flushed >= _FLUSH:
            start, self._flushed = self._flushed, end
            system.start_flush(self.fd, start, end - start)

    def inflated(self, document: Document, extent: Extent) -> int:
        """A descriptor of the bytes of a compressed storage."""
        with self._inflating:
            key = (id(document), extent.offset)
            if key not in self._inflated:
                self._inflated[key] = Inflated(document.source, extent, self._folder)
            return self._inflated[key].fd

    def close(self) -> None:
        """Remove what was laid open."""
        for inflated in self._inflated.values():
            inflated.close()


class Hand:
    """Writes tensors, for one thread."""

    def __init__(self, writer: Writer) -> None:
        self.infinite = 0
        self._writer = writer
        self._fd = writer.fd
        self._movers: dict[int, system.Mover] = {}
        self._held = memoryview(b"")

    def write(self, tensors: Sequence[tuple[Stored, int]]) -> None:
        """Write tensors, each at its offset, in order. Raises OSError for the output, InputError for the source."""
        near: list[_Run] = []
        for part in _parts(tensors):
            if near and not (isinstance(part, _Run) and _near(near, part)):
                self._move_all(near)
                near = []
            if isinstance(part, _Run):
                near.append(part)
            else:
                self._transform(*part)
        if near:
            self._move_all(near)

    def _move_all(self, runs: list[_Run]) -> None:
        """Move runs that `_near` put together: read with what is between them, written without."""
        if len(runs) == 1:
            self._move(runs[0])
            return
        first, last = runs[0], runs[-1]
        begin = first.offset
        data = self._buffer()[: last.offset + last.length - begin]
        fd, _ = self._opened(first.document, first.extent)
        with system.reading(first.document.source.name):
            count = system.read_into(fd, begin, data)
        if count != len(data):
            raise _shorter(first.document)
        parts = [data[run.offset - begin :][: run.length] for run in runs]
        system.write_parts(self._fd, parts, first.at)
        end = last.at + last.length
        self._writer.wrote(end - first.at, end)

    def _move(self, run: _Run) -> None:
        fd, start = self._opened(run.document, run.extent)
        if fd < 0:
            self._copy(run)
            return
        if fd not in self._movers:
            self._movers[fd] = system.Mover(fd, self._fd, self._writer.turn, run.document.source.name)
        mover = self._movers[fd]
        start += run.start
        at, left = run.at, run.length
        while left:
            count = mover.move(start, at, left, self._buffer())
            if not count:
                raise _shorter(run.document)
            start, at, left = start + count, at + count, left - count
            self._writer.wrote(count, at)

    def _buffer(self) -> memoryview:
        if not self._held:
            self._held = memoryview(bytearray(_BUFFER))
        return self._held

    def _copy(self, run: _Run) -> None:
        for done in range(0, run.length, PORTION):
            length = min(PORTION, run.length - done)
            system.write_at(self._fd, _peek(run.document, run.offset + done, length), run.at + done)
            self._writer.wrote(length, run.at + done + length)

    def _transform(self, stored: Stored, offset: int) -> None:
        """Write a tensor whose bytes are not those of its source, or lie apart there."""
        piece = stored.piece
        fd, base = self._opened(piece.document, piece.extent)

        def read(at: int, length: int) -> bytes:
            if fd < 0:
                return _peek(piece.document, piece.extent.offset + at, length)
            with system.reading(piece.document.source.name):
                data = system.read_at(fd, base + at, length)
            if len(data) != length:
                raise _shorter(piece.document)
            return data

        def write(at: int, data: memoryview) -> None:
            system.write_at(self._fd, data, offset + at)

        def told(count: int) -> None:
            self._writer.wrote(count, offset)

        self.infinite += transform(stored, read, write, told)

    def _opened(self, document: Document, extent: Extent) -> tuple[int, int]:
        """(descriptor, offset of the storage in it); -1 for what no descriptor leads to."""
        if not extent.stored:
            return self._writer.inflated(document, extent), 0
        source = document.source
        return (source.fileno(), extent.offset) if isinstance(source, FileSource) else (-1, 0)


def _peek(document: Document, offset: int, length: int) -> bytes:
    data = document.source.peek(offset, length)
    if len(data) != length:
        raise _shorter(document)
    return data


def _shorter(document: Document) -> InputError:
    return InputError(errno.EIO, "got shorter while being read", document.source.name)


def _parts(tensors: Sequence[tuple[Stored, int]]) -> Iterator[_Run | tuple[Stored, int]]:
    run: _Run | None = None
    for stored, offset in tensors:
        piece = stored.piece
        if not stored.nbytes:
            continue
        if changes(stored) or piece.stride != steps(piece.shape, piece.stride):
            if run is not None:
                yield run
                run = None
            yield stored, offset
        elif (
            run is not None
            and run.document is piece.document
            and run.extent is piece.extent
            and run.start + run.length == piece.start
        ):
            run.length += stored.nbytes
        else:
            if run is not None:
                yield run
            run = _Run(piece.document, piece.extent, piece.start, offset, stored.nbytes)
    if run is not None:
        yield run


def _near(runs: list[_Run], run: _Run) -> bool:
    """Whether `run` lies right behind `runs` in both files, so that one reading takes all of them."""
    last, first = runs[-1], runs[0]
    return (
        run.document is last.document
        and run.extent.stored
        and last.extent.stored
        and run.at == last.at + last.length
        and 0 <= run.offset - last.offset - last.length <= _GAP
        and run.offset + run.length - first.offset <= _BUFFER
        and isinstance(run.document.source, FileSource)
    )
