"""The annotated disassembly of one pickle: each opcode with its argument, its effect on the stack and what it means.

The machine itself runs, one opcode at a time, and is looked at between two of them: nothing here parses a pickle. All
text is printable ASCII, and every length is bounded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from safeload.checks.evidence import describe
from safeload.errors import LimitExceeded, Malformed
from safeload.explaining.wording import LONGEST, one, plain
from safeload.limits import Limits
from safeload.machine import OPCODES, Effect, Global, Opcode, Persistent, steps
from safeload.machine.state import State

_BY_CODE = {opcode.code: opcode for opcode in OPCODES}
_STORES = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_FETCHES = {"GET", "BINGET", "LONG_BINGET"}
_NUMBERS = {"u1", "u2", "u4", "u8"}
# Literals and memo indices as lines or counted bytes are shown as the value that the machine made of them.
_NO_VALUE = {"PROTO", "FRAME", "EXT1", "EXT2", "EXT4"}
_FILLS = {"APPEND": "an item", "APPENDS": "items", "SETITEM": "a key", "SETITEMS": "keys", "ADDITEMS": "elements"}

__all__ = ["LONGEST", "Line", "listing"]


class Line(NamedTuple):
    """One opcode.

    offset    where it stands, in the bytes given
    name      of the opcode; "0x.." for a byte that is none, "" where the bytes end
    argument  what is spelled after it, as Python would write it, cut where it is long; "" without one
    before    values and marks on the stack before it;  after: behind it
    memo      "memo[3] =" where it keeps the top of the stack, "= memo[3]" where it pushes what was kept, else ""
    note      what it does, in words, where the name and the argument do not say so; why the machine stops here
    """

    offset: int
    name: str
    argument: str
    before: int
    after: int
    memo: str
    note: str


Wanted = Callable[[int, int], bool]
"""Given an opcode's number (from 0) and offset: is its line wanted? Lines that are not cost little."""


def listing(
    data: bytes,
    start: int,
    limits: Limits,
    *,
    more: Callable[[int], bytes] | None = None,
    encoding: str = "ASCII",
    wanted: Wanted | None = None,
) -> Iterator[Line]:
    """The lines of the pickle at `start` of `data`, down to STOP.

    Where the machine stops instead, the last line stands for the opcode that it did not understand and says why; that
    line always comes. Raises nothing. `more` and `encoding` are those of `safeload.machine.run`.
    """
    watch = steps(data, start, limits=limits, more=more, encoding=encoding)
    state = next(watch)
    depth = _Depth()
    before = number = notes = blobs = effects = 0
    offset = state.pos
    program = state.program
    while not program.whole:
        offset = state.pos
        try:
            next(watch)
        except (Malformed, LimitExceeded, MemoryError) as error:
            yield _last(state, offset, before, error)
            return
        after = depth.of(state)
        if wanted is None or wanted(number, offset):
            opcode = _BY_CODE[state.data[offset]]
            remarks = [f"not canonical: {note.message}" for note in program.notes[notes:]]
            if len(program.blobs) > blobs:
                remarks.append("looks like a pickle or an archive of its own")
            yield _line(state, opcode, offset, before, after, program.effects[effects:], remarks)
        effects, notes, blobs = len(program.effects), len(program.notes), len(program.blobs)
        before = after
        number += 1


class _Depth:
    """How much lies on the stack, at no cost that grows with its marks."""

    def __init__(self) -> None:
        self.below = [0]

    def of(self, state: State) -> int:
        """Values and marks; to be asked after every opcode, because each makes or takes one mark at most."""
        marks = len(state.below)
        if marks >= len(self.below):
            self.below.append(self.below[-1] + len(state.below[-1]) + 1)
        elif marks < len(self.below) - 1:
            self.below.pop()
        return self.below[-1] + len(state.stack)


def _last(state: State, offset: int, before: int, error: Malformed | LimitExceeded | MemoryError) -> Line:
    """The line of the opcode on which the machine stopped."""
    why = "the pickle does not fit in memory" if isinstance(error, MemoryError) else error.message
    if offset < len(state.data):
        code = state.data[offset]
        name = _BY_CODE[code].name if code in _BY_CODE else f"0x{code:02x}"
    else:
        name = ""
    return Line(offset, name, "", before, before, "", plain(f"stops here: {why}"))


def _line(
    state: State, opcode: Opcode, offset: int, before: int, after: int, effects: list[Effect], remarks: list[str]
) -> Line:
    name = opcode.name
    memo = ""
    if name == "MEMOIZE":
        memo = f"memo[{len(state.memo) - 1}] ="
    elif name in _STORES:
        memo = f"memo[{_number(state, opcode, offset)}] ="
    elif name in _FETCHES:
        memo = f"= memo[{_number(state, opcode, offset)}]"
    said = [one(effect) for effect in effects] or [_note(state, name, before, after)]
    return Line(
        offset, name, _argument(state, opcode, offset, effects), before, after, memo,
        plain("; ".join(part for part in (*said, *remarks) if part)),
    )  # fmt: skip


def _number(state: State, opcode: Opcode, offset: int) -> str:
    """The memo index or other plain number that stands after an opcode, which the machine has read already."""
    raw = bytes(state.data[offset + 1 : state.pos])
    if opcode.argument == "line":
        return plain(raw.rstrip(b"\n").decode("latin1"))
    return str(int.from_bytes(raw, "little", signed=opcode.argument == "i4"))


def _argument(state: State, opcode: Opcode, offset: int, effects: list[Effect]) -> str:
    if not opcode.argument:
        return ""
    for effect in effects:
        if isinstance(effect, Global):
            return plain(f"{effect.raw_module} {effect.raw_name}")
        if isinstance(effect, Persistent):
            return describe(effect.pid)
    if opcode.argument in _NUMBERS or opcode.name in _STORES | _FETCHES | _NO_VALUE:
        return _number(state, opcode, offset)
    return describe(state.stack[-1])


def _note(state: State, name: str, before: int, after: int) -> str:
    """What an opcode without an effect does, where that is worth words."""
    if name in _FETCHES or name == "DUP":
        return describe(state.stack[-1], 1)
    if name in _FILLS:
        count = before - after - (1 if name.endswith("S") else 0)
        what = count // 2 if name.startswith("SETITEM") else count
        kind = {"A": "the list", "S": "the dict"}[name[0]] if name != "ADDITEMS" else "the set"
        return f"{_counted(what, _FILLS[name])} into {kind}"
    if name in {"TUPLE", "LIST", "DICT", "FROZENSET", "TUPLE1", "TUPLE2", "TUPLE3"}:
        return describe(state.stack[-1], 2)
    if name in {"POP", "POP_MARK"}:
        return f"drops {_counted(before - after, 'values')}"
    if name == "STOP":
        return f"the object: {describe(state.program.value, 2)}"
    return {"FRAME": "bytes that are read in one go", "READONLY_BUFFER": "a read-only view of it"}.get(name, "")


def _counted(count: int, what: str) -> str:
    """`count` things, `what` being the word for many of them, or for one with its article."""
    if what.startswith("a"):
        return what
    return f"{count} {what if count != 1 else what.removesuffix('s')}"
