"""Bytes that the caller has in memory, as a Source. Bytes that the caller could change are copied."""

from __future__ import annotations

from safeload.inputs.cached import PassedOver, digest, merged, outside, remember
from safeload.source import JudgedRanges, Range


class MemorySource:
    """`data` as a Source. A bytearray or a memoryview is copied, so the caller may go on writing to it."""

    def __init__(self, data: bytes | bytearray | memoryview, name: str = "<bytes>") -> None:
        self.name = name
        self._data = bytes(data)
        self.size = len(self._data)
        self._ranges: list[Range] = []
        self._passed: PassedOver = {}

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise outside(offset, length, self.size)
        if length:
            self._ranges.append((offset, length))
        return self._data[offset : offset + length]

    def peek(self, offset: int, length: int) -> bytes:
        """See `Source.peek`."""
        if offset < 0 or length <= 0:
            return b""
        return self._data[offset : offset + length]

    def pass_over(self, offset: int, length: int) -> bytes:
        """See `Source.pass_over`."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise outside(offset, length, self.size)
        data = self._data[offset : offset + length]
        if data:
            remember(self._passed, offset, data, self.name)
        return data

    def judged_sha256(self) -> str:
        """See `Source.judged_sha256`."""
        view = memoryview(self._data)
        read = self.judged_ranges().read
        return digest(((start, view[start : start + length]) for start, length in read), self._passed)

    def judged_ranges(self) -> JudgedRanges:
        """See `Source.judged_ranges`."""
        self._ranges = list(merged(sorted(self._ranges)))
        return JudgedRanges(tuple(self._ranges), tuple(sorted(self._passed)))

    def close(self) -> None:
        """Does nothing: memory needs no closing."""
