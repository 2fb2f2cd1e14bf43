"""A part of a Source as a Source of its own: a file inside a file. Copies nothing."""

from __future__ import annotations

from safeload.inputs.cached import outside
from safeload.source import JudgedRanges, Source


class PartSource:
    """`length` bytes of `whole` from `start`. Bytes that are read here count as judged in `whole`."""

    def __init__(self, whole: Source, start: int, length: int, name: str) -> None:
        if start < 0 or length < 0 or start + length > whole.size:
            raise outside(start, length, whole.size)
        self.name = name
        self.size = length
        self._whole = whole
        self._start = start

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise outside(offset, length, self.size)
        return self._whole.read(self._start + offset, length)

    def peek(self, offset: int, length: int) -> bytes:
        """See `Source.peek`."""
        if offset < 0 or offset >= self.size:
            return b""
        return self._whole.peek(self._start + offset, min(length, self.size - offset))

    def pass_over(self, offset: int, length: int) -> bytes:
        """See `Source.pass_over`."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise outside(offset, length, self.size)
        return self._whole.pass_over(self._start + offset, length)

    def judged_sha256(self) -> str:
        """See `Source.judged_sha256`. It is that of the whole file, because that is what was opened."""
        return self._whole.judged_sha256()

    def judged_ranges(self) -> JudgedRanges:
        """See `Source.judged_ranges`. They are those of the whole file, as the digest is."""
        return self._whole.judged_ranges()

    def close(self) -> None:
        """Does nothing: the whole file is not ours to close."""
