"""One declared pickle to the machine: the right bytes, read once.

The bytes that are interpreted are the bytes that are remembered as judged; nothing reads a stream a second time.
"""

from __future__ import annotations

from collections.abc import Callable

from safeload.containers.interface import Pickle
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import Program, run
from safeload.source import Source

Witness = Callable[[str, int, int, Program], None]
"""Is shown each judged stream: its member, its first byte and the one behind its last, and what it would do."""

_FIRST_WINDOW = 1 << 16


def interpret(source: Source, part: Pickle, limits: Limits) -> Program:
    """Run the machine over one declared pickle."""
    if part.data is not None:
        return run(part.data[: part.end], part.start, limits=limits, encoding=part.encoding)
    if part.base:
        # A member: its bytes were read (and their checksum compared) as a whole; the same bytes come again.
        data = source.read(part.base, part.end - part.base)
        return run(data, part.start - part.base, limits=limits, encoding=part.encoding)
    window = _Window(source, part.start, part.end, limits)
    program = run(window.more(_FIRST_WINDOW), limits=limits, more=window.more, encoding=part.encoding)
    if source.read(part.start, program.end) != window.data[: program.end]:
        raise Malformed("the file changed while it was read", offset=0, partial=program)
    return program


class _Window:
    """A growing prefix of a stream whose end nobody knows: what lies behind it may be gigabytes of storages."""

    def __init__(self, source: Source, start: int, end: int, limits: Limits) -> None:
        self.source, self.start, self.end, self.limits = source, start, end, limits
        self.data = b""

    def more(self, length: int) -> bytes:
        """A prefix of at least `length` bytes where the input is that long."""
        room = min(self.end - self.start, self.limits.pickle_bytes)
        wanted = min(max(length, 4 * len(self.data)), room)
        if wanted > len(self.data):
            self.data += self.source.peek(self.start + len(self.data), wanted - len(self.data))
        if length > room >= self.limits.pickle_bytes:
            raise LimitExceeded(f"a pickle of more than {room} bytes", limit="pickle_bytes", offset=room)
        return self.data
