"""Runs the machine over the pickles that a container declares: alone, and as one Unpickler reads them in a row.

The bytes that the machine reads are those that the source remembers as judged. They alone are read again when a pickle
has a second reading. Judges nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from safeload.checks import StreamView
from safeload.containers.interface import Following, Pickle
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import Program, run
from safeload.machine.alike import alike
from safeload.source import Source

_FIRST_WINDOW = 1 << 16
# How many opcodes are interpreted to see what an Unpickler makes of a row that it joins late: always, and for each
# opcode of the row.
_FREE, _TIMES = 1_000_000, 4


class JudgedStream(NamedTuple):
    """One judged stream, for callers that want to see what a verdict rests on.

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


Witness = Callable[[JudgedStream], None]
"""A function that gets each judged stream, and the tree of a safetensors file."""


def judged_pickle(source: Source, part: Pickle, view: StreamView, *, own: bool) -> JudgedStream:
    """The JudgedStream of a pickle. `own` says that `source` is the file itself and not one inside it."""
    start = part.start if own and part.data is None else -1
    end = view.program.end + part.base - view.base
    return JudgedStream(view.member, start, end, view.program, view.stream, view.base, source, part)


def judged_tree(source: Source, view: StreamView) -> JudgedStream:
    """The JudgedStream of the tree of a safetensors file."""
    return JudgedStream(view.member, -1, view.program.end, view.program, view.stream, view.base, source, None)


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


def interpret(source: Source, part: Pickle, limits: Limits, memo: dict[int, object] | None = None) -> Program:
    """Run the machine over one declared pickle; `memo` as for `run`."""
    data, start, more = bytes_of(source, part, limits)
    program = run(data, start, limits=limits, more=more, encoding=part.encoding, memo=memo)
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


class Memory(dict[int, object]):
    """The memo of one Unpickler. Notes whether the pickle at hand reads it, and objects that others put there."""

    def __init__(self) -> None:
        super().__init__()
        self.own: set[int] = set()
        self.read = self.foreign = False

    def begin(self) -> None:
        """The next pickle begins."""
        self.own.clear()
        self.read = self.foreign = False

    def __setitem__(self, index: int, value: object) -> None:
        self.own.add(index)
        super().__setitem__(index, value)

    def __getitem__(self, index: int) -> object:
        value = super().__getitem__(index)
        self.read = True
        # Plain values are compared where they end up. An object of a pickle before may be changed and thrown away.
        if index not in self.own and type(value) not in _ATOMS:
            self.foreign = True
        return value


_ATOMS = frozenset({type(None), bool, int, float, str, bytes})


class Other(NamedTuple):
    """What one Unpickler makes of a pickle that it reads after others, where a new one makes something else of it.

    program  what it would do, as far as it gets;  whole: it gets to the end
    why      what differs, as a clause; never empty in what `Row.next` gives
    """

    program: Program
    whole: bool
    why: str


class _InRow(NamedTuple):
    """A pickle of the row, and what it is to a new Unpickler."""

    part: Pickle
    program: Program
    whole: bool


class Row:
    """The pickles that one Unpickler may read one after the other, and what it would make of each.

    CPython (C and Python, 3.6 to 3.14): the memo lives as long as the Unpickler, and each load() begins with an empty
    stack, no mark and protocol 0. MEMOIZE writes to the number of entries, whatever their indices are. A pickle that
    breaks leaves what it put; nothing after it is read here, since the file is not understood then.

    Only MEMOIZE means something else when there is a memo already. Proof: let a pickle be whole with an empty memo.
    Then whatever it reads there it wrote before, and without MEMOIZE it wrote each entry at an index which the bytes
    name. With more entries around it writes the same ones, and reads the same. So such a pickle is interpreted once,
    and a row without MEMOIZE behind its first pickle costs nothing.

    SECURITY: an Unpickler may begin in the middle of a row as well (a header is loaded by `pickle.load`, say). With
    three pickles the middle one alone moves the indices of the last as the first two together do not: so each beginning
    counts. Their number grows with the square of the row, so there is a budget, and beyond it nothing is equal.
    """

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self._row: list[_InRow] = []
        self._memory: Memory | None = None
        self._broken = False
        # Of Unpicklers that begin with the second pickle, the third, ...; they have read the first `_read` pickles.
        self._late: list[Memory] = []
        self._read = 1
        self._opcodes = self._spent = 0

    def next(self, part: Pickle, program: Program, whole: bool) -> Other | None:
        """What one Unpickler makes of the next pickle, if that is not what a new one makes of it: `program`.

        To be asked before `program` is judged: judging writes into its nodes.
        """
        entry = _InRow(part, program, whole)
        self._row.append(entry)
        self._opcodes += program.opcodes
        if len(self._row) == 1 or self._broken or (self._memory is None and whole and not program.memoized):
            return None
        if self._memory is None:
            self._memory = Memory()
            for earlier in self._row[:-1]:
                self._again(earlier, self._memory)
        other = self._again(entry, self._memory)
        self._broken = not other.whole
        if other.why:
            return other
        # Torch makes an unpickler for each of its pickles: nobody begins with the third.
        if self._memory.read and program.memoized and part.follows is Following.READER:
            return self._joined(entry)
        return None

    def _joined(self, last: _InRow) -> Other | None:
        """What an Unpickler makes of `last` that began later than with the first pickle, if that is something else."""
        found: Other | None = None
        for entry in self._row[self._read :]:
            for memory in self._late:
                if self._spent > _FREE + _TIMES * self._opcodes:
                    why = "there are too many pickles in a row to read them from each of them on"
                    return Other(last.program, last.whole, why)
                other = self._again(entry, memory)
                self._spent += other.program.opcodes
                if entry is last and other.why and found is None:
                    found = other
            memory = Memory()
            self._spent += self._again(entry, memory).program.opcodes
            self._late.append(memory)
            self._read += 1
        return found

    def _again(self, entry: _InRow, memory: Memory) -> Other:
        """The next pickle as read by the Unpickler that has this memory; its `why` is empty where nothing differs."""
        part, program = entry.part, entry.program
        memory.begin()
        start, more = 0, None
        if entry.whole:
            length = program.end - program.start
            data = part.data[part.start :][:length] if part.data is not None else self.source.read(part.start, length)
        else:
            data, start, more = bytes_of(self.source, part, self.limits)
        try:
            read = run(data, start, limits=self.limits, more=more, encoding=part.encoding, memo=memory)
            whole = more is None or self.source.read(part.start, read.end) == more(read.end)[: read.end]
        except (Malformed, LimitExceeded) as error:
            read, whole = error.partial or Program(start), False
        why = ""
        if whole != entry.whole:
            why = "it is whole then" if whole else "it breaks then"
        elif memory.foreign:
            why = "it takes an object that a pickle before it left"
        elif not alike(program, read):
            why = "it does something else then, or gives something else"
        return Other(read, whole, why)
