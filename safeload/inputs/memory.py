"""Bytes already in memory as a Source. They are copied when they could change under us."""

from __future__ import annotations

from safeload.inputs.kept import Passed, digest, outside


class MemorySource:
    """`data` as a Source; a bytearray or memoryview is copied, so the caller may go on writing to it."""

    def __init__(self, data: bytes | bytearray | memoryview, name: str = "<bytes>") -> None:
        self.name = name
        self._data = bytes(data)
        self.size = len(self._data)
        self._ranges: list[tuple[int, int]] = []
        self._passed = Passed()

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise outside(offset, length, self.size)
        if length:
            self._ranges.append((offset, offset + length))
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
            self._passed.add(offset, data, self.name)
        return data

    def judged_sha256(self) -> str:
        """See `Source.judged_sha256`."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted(self._ranges):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self._ranges = merged
        view = memoryview(self._data)
        return self._passed.bind(digest((start, view[start:end]) for start, end in merged))

    def close(self) -> None:
        """Nothing to give back."""
