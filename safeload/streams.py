"""One declared pickle to the machine: the right bytes, read once.

The bytes that are interpreted are the bytes that are remembered as judged; nothing reads a stream a second time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from safeload.checks import View
from safeload.containers.interface import Pickle
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import Program, run
from safeload.source import Source

_FIRST_WINDOW = 1 << 16


class Heard(NamedTuple):
    """One judged stream, for who wants to see what a verdict rests on.

    start, end  its first byte in the file and the one behind its last; `start` is -1 where they are no bytes of the
                file itself: inflated, or in a file inside it
    program     what it would do, judged: its nodes hold what they denote
    stream      its number in the file, as findings have it
    base        subtracted from the machine's offsets to give those of findings
    source      where its bytes are;  part: which of them. `part` is None for a tree, which is no pickle
    """

    member: str
    start: int
    end: int
    program: Program
    stream: int
    base: int
    source: Source
    part: Pickle | None


Witness = Callable[[Heard], None]
"""Is shown each judged stream, and the tree of a safetensors file."""


def heard(source: Source, part: Pickle, view: View, *, own: bool) -> Heard:
    """`part` as a witness is told of it; `own` where `source` is the file itself and not one inside it."""
    start = part.start if own and part.data is None else -1
    end = view.program.end + part.base - view.base
    return Heard(view.member, start, end, view.program, view.stream, view.base, source, part)


def heard_tree(source: Source, view: View) -> Heard:
    """The tree of a safetensors file as a witness is told of it."""
    return Heard(view.member, -1, view.program.end, view.program, view.stream, view.base, source, None)


class Bytes(NamedTuple):
    """The bytes of one pickle as the machine takes them: a prefix, where the pickle starts in it, how to get more."""

    data: bytes
    start: int
    more: Callable[[int], bytes] | None


def bytes_of(source: Source, part: Pickle, limits: Limits) -> Bytes:
    """The bytes of a declared pickle."""
    if part.data is not None:
        return Bytes(part.data[: part.end], part.start, None)
    if part.base:
        # A member: its bytes were read (and their checksum compared) as a whole; the same bytes come again.
        return Bytes(source.read(part.base, part.end - part.base), part.start - part.base, None)
    window = _Window(source, part.start, part.end, limits)
    return Bytes(window.more(_FIRST_WINDOW), 0, window.more)


def interpret(source: Source, part: Pickle, limits: Limits) -> Program:
    """Run the machine over one declared pickle."""
    data, start, more = bytes_of(source, part, limits)
    program = run(data, start, limits=limits, more=more, encoding=part.encoding)
    if more is not None and source.read(part.start, program.end) != more(program.end)[: program.end]:
        raise Malformed("the file changed while it was read", offset=0, partial=program)
    return program


class _Window:
    """A growing prefix of a stream whose end nobody knows: what lies behind it may be gigabytes of storages."""

    def __init__(self, source: Source, start: int, end: int, limits: Limits) -> None:
        self.source, self.start, self.end, self.limits = source, start, end, limits
        self.data = b""

    def more(self, length: int) -> bytes:
        """A prefix of at least `length` bytes where the input is that long."""
        if length <= len(self.data):
            return self.data
        room = min(self.end - self.start, self.limits.pickle_bytes)
        wanted = min(max(length, 4 * len(self.data)), room)
        if wanted > len(self.data):
            self.data += self.source.peek(self.start + len(self.data), wanted - len(self.data))
        if length > room >= self.limits.pickle_bytes:
            raise LimitExceeded(f"a pickle of more than {room} bytes", limit="pickle_bytes", offset=room)
        return self.data
