"""Bytes of the output against bytes of the source: tensors that stand in both alike, neighbours in one reading.

Every byte of both files is read again, in pieces of a fixed size. What is compared in another way than byte by byte is
`agreeing`'s. Compiled, because it runs for each tensor; so it knows no numpy.
"""

from __future__ import annotations

import hashlib
import threading
from contextlib import ExitStack

from safeload.converting.interface import Stored, Verification
from safeload.converting.portions import PORTION, Told
from safeload.converting.verify.agreeing import disagreement
from safeload.converting.verify.reread import Bytes, laid_open, whole
from safeload.errors import NotEqual
from safeload.source import Source

_CHUNK = PORTION
_GAP = 4 << 10


class Comparison:
    """The comparison of one output with its source, with a `Hand` for each thread. `close` it.

    places   each tensor, and where its bytes begin in `output`, in that order; each may be compared once it is written
    folder   for compressed storages, laid open
    told     called with bytes more
    """

    def __init__(
        self,
        places: list[tuple[Stored, int]],
        output: Source,
        folder: str,
        library: str,
        told: Told,
        *,
        digests: bool,
    ) -> None:
        self.places = places
        self.sizes = [stored.nbytes for stored, _ in places]
        self.told = told
        self.digests: dict[str, str] | None = {} if digests else None
        self.output = whole(output)
        self._library = library
        self._done = bytearray(len(places))
        self._folder = folder
        self._stack = ExitStack()
        self._opening = threading.Lock()
        self._storages: dict[tuple[int, int], Bytes] = {}

    def close(self) -> None:
        """Remove what was laid open."""
        self._stack.close()

    def hand(self) -> Hand:
        """What one thread compares with."""
        return Hand(self)

    def source(self, stored: Stored) -> tuple[Bytes, int]:
        """The bytes that hold a tensor's storage, and where it begins in them."""
        document, extent = stored.piece.document, stored.piece.extent
        key = (id(document), -1 if extent.stored else extent.offset)
        found = self._storages.get(key)
        if found is None:
            with self._opening:
                found = self._storages.get(key)
                if found is None:
                    found = self._storages[key] = (
                        whole(document.source)
                        if extent.stored
                        else laid_open(document.source, extent, self._folder, self._stack)
                    )
        return found, extent.offset if extent.stored else 0

    def done(self, part: range) -> None:
        """Those tensors were found equal."""
        self._done[part.start : part.stop] = b"\1" * len(part)

    def result(self) -> Verification:
        """What was compared. Raises NotEqual unless it was every tensor."""
        if not all(self._done):
            raise NotEqual("not every tensor of the output was compared")
        digests = self.digests or {}
        found = {stored.name: digests[stored.name] for stored, _ in self.places} if digests else {}
        return Verification(len(self.places), sum(self.sizes), self._library, found)


class Hand:
    """Compares tensors, for one thread."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._output = comparison.output
        self._mine, self._theirs = bytearray(_CHUNK), bytearray(_CHUNK)
        self._left, self._right = memoryview(self._mine), memoryview(self._theirs)
        self._gap = memoryview(bytearray(_GAP))

    def compare(self, part: range) -> None:
        """Compare neighbours, by their indices in the order of the file."""
        comparison = self._comparison
        near: list[_Same] = []
        for index in part:
            stored, offset = comparison.places[index]
            if not stored.nbytes:
                if comparison.digests is not None:
                    comparison.digests[stored.name] = hashlib.sha256().hexdigest()
                continue
            source, base = comparison.source(stored)
            piece = stored.piece
            if piece.unit != 1 or stored.source is not None or stored.negated or not _in_a_row(stored):
                self._gathered(stored, source, base, offset)
                continue
            same = _Same(stored.name, source, base + piece.start, offset, stored.nbytes)
            if near and not _near(near, same):
                self._all_same(near)
                near = []
            near.append(same)
        self._all_same(near)
        comparison.done(part)

    def _gathered(self, stored: Stored, source: Bytes, base: int, offset: int) -> None:
        comparison = self._comparison
        at = disagreement(stored, source, base, self._output, offset, comparison.told)
        if at is not None:
            raise _differs(stored.name, at)
        if comparison.digests is not None:
            digest = hashlib.sha256()
            for start in range(0, stored.nbytes, _CHUNK):
                digest.update(self._output.read(offset + start, min(_CHUNK, stored.nbytes - start)))
            comparison.digests[stored.name] = digest.hexdigest()

    def _all_same(self, near: list[_Same]) -> None:
        """Compare what `_near` put together: one reading of each file for all of them."""
        if len(near) < 2:
            for same in near:
                self._same(same)
            return
        parts: list[memoryview] = []
        size, end = 0, near[0].start
        for same in near:
            if same.start > end:
                parts.append(self._gap[: same.start - end])
            parts.append(self._left[size : size + same.length])
            size, end = size + same.length, same.start + same.length
        near[0].source.scatter(near[0].start, parts)
        self._output.fill(near[0].offset, self._right[:size])
        if self._mine != self._theirs:
            at = self._first(size)
            for same in near:
                if at < same.length:
                    raise _differs(same.name, at)
                at -= same.length
        if self._comparison.digests is not None:
            size = 0
            for same in near:
                digest = hashlib.sha256(self._right[size : size + same.length])
                self._comparison.digests[same.name] = digest.hexdigest()
                size += same.length
        self._comparison.told(size)

    def _same(self, same: _Same) -> None:
        digest = hashlib.sha256() if self._comparison.digests is not None else None
        for done in range(0, same.length, _CHUNK):
            size = min(_CHUNK, same.length - done)
            same.source.fill(same.start + done, self._left[:size])
            self._output.fill(same.offset + done, self._right[:size])
            if self._mine != self._theirs:
                raise _differs(same.name, done + self._first(size))
            if digest is not None:
                digest.update(self._right[:size])
            self._comparison.told(size)
        if digest is not None and self._comparison.digests is not None:
            self._comparison.digests[same.name] = digest.hexdigest()

    def _first(self, size: int) -> int:
        """Where the two buffers, of which `size` bytes count, first differ.

        Both are always compared whole: behind `size` stands what was found equal before.
        """
        return next(at for at in range(size) if self._mine[at] != self._theirs[at])


class _Same:
    """A tensor whose bytes stand in the output as they do in the source."""

    def __init__(self, name: str, source: Bytes, start: int, offset: int, length: int) -> None:
        self.name = name
        self.source = source
        self.start = start
        self.offset = offset
        self.length = length


def _near(before: list[_Same], same: _Same) -> bool:
    """Whether `same` lies right behind `before` in both files, and all of them fit into the buffers."""
    first, last = before[0], before[-1]
    return (
        same.source is last.source
        and same.offset == last.offset + last.length
        and 0 <= same.start - last.start - last.length <= _GAP
        and same.offset + same.length - first.offset <= _CHUNK
    )


def _in_a_row(stored: Stored) -> bool:
    """Whether the elements lie in C order without gaps."""
    step = 1
    for size, stride in zip(reversed(stored.piece.shape), reversed(stored.piece.stride), strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True


def _differs(name: str, at: int) -> NotEqual:
    return NotEqual(
        f"the output differs from the source in {name[:200]!a} near byte {at} of it: the source changed while it was "
        "read, or the disk is faulty"
    )
