"""Does a bytes literal do anything when it is read as a pickle? Asked of the machine, once for each literal.

Knows no rule: whoever has the Program judges what it found. Literals inside a literal are not interpreted in their turn
here, because a thousand of them in one another would be read a thousand times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from safeload.document.cell import Cell
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine.program import Call, Global, Mutation, Program
from safeload.machine.state import State

# Pickles in a row inside one literal; more of them are taken for an attack on patience.
_ROW: Final = 64

Interpreter = Callable[[State, tuple[int, int, int]], Program]


def acts(data: bytes, limits: Limits, interpret: Interpreter) -> bool:
    """Whether an unpickler that is given `data`, again and again, does anything but make plain data and import names.

    True when a named thing is called, or given state or items; and when a pickle ends well that names anything, calls
    what somebody else supplies, or holds bytes that may be a pickle. Stops where no unpickler goes on.

    SECURITY: an unpickler with other limits or another encoding than ours goes on where we would stop, so a limit
    counts as an effect, and the encoding is the one that no text breaks. What is behind the first pickle is read with
    an empty memo and with the one that the pickles before it left.
    """
    kept: dict[int, object] = {}
    start = 0
    for number in range(_ROW):
        end = 0
        for memo in (kept, {}) if number else (kept,):
            state = State(data, start, limits, None, "latin1", memo, _every)
            program = state.program
            # A literal that is longer than the bytes is cut off for every unpickler: see `_cut_off` too.
            state.string_limit = 1 << 62
            try:
                interpret(state, (limits.opcodes, limits.stack, limits.memo))
                end = program.end
            except Malformed:
                pass
            except LimitExceeded as error:
                if not _cut_off(data, error):
                    return True
            except MemoryError:
                return True
            if _does(program):
                return True
        if end <= start or end >= len(data):
            return False
        start = end
    return True


def _cut_off(data: bytes, error: LimitExceeded) -> bool:
    """Whether what is over a limit is a LONG4 that is longer than the bytes."""
    at = -1 if error.offset is None else error.offset
    if error.limit != "integer_bytes" or data[at : at + 1] != b"\x8b":
        return False
    return at + 5 + int.from_bytes(data[at + 1 : at + 5], "little") > len(data)


def _every(raw: bytes) -> bool:
    """The probe of a literal's own literals: whatever could be a pickle is a reason to have the whole judged."""
    return True


def _does(program: Program) -> bool:
    """See `acts`. The machine goes on where CPython raises: raw numbers would pass for pickles that change them."""
    named = len(program.blobs) > 0
    for effect in program.effects:
        if isinstance(effect, Global):
            named = True
        elif isinstance(effect, Call):
            func = effect.func
            if isinstance(func, Global):
                # Bytes end in the name of an INST: C refuses the empty name, and Python finds nothing by it.
                if func.name:
                    return True
            elif not isinstance(func, Cell):
                return False  # plain data is not called
            named = True
        elif isinstance(effect, Mutation):
            target = effect.target
            if isinstance(target, (Global, Call)):
                return True
            if isinstance(target, Cell):
                named = True
            elif not _bears(effect.kind, target, effect.payload):
                return False
    return program.whole and named


def _bears(kind: str, target: object, payload: object) -> bool:
    """Whether CPython may go on after such a change of plain data."""
    if kind == "build":
        # Only state that is nothing, in the one part or in both, is never set.
        return not payload or (isinstance(payload, tuple) and not any(payload))
    return kind == "setitem" and isinstance(target, (list, bytearray))
