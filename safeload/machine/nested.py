"""Asks the machine whether a bytes literal does anything when somebody reads it as a pickle. Once for each literal.

Knows no rule: the scanner judges the literals that this file finds. Literals inside a literal are not interpreted
here: the innermost of a thousand nested ones would be read a thousand times.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from safeload.document.cell import Cell
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine.program import Call, Global, Mutation, Program
from safeload.machine.state import State

# Pickles in a row inside one literal. A literal with more counts as one that acts, so that it costs no more time.
_ROW: Final = 64

Interpreter = Callable[[State, tuple[int, int, int]], Program]


def acts(data: bytes, limits: Limits, interpret: Interpreter) -> bool:
    """Whether an unpickler that reads `data` to its end, one pickle after the other, does more than make plain data.

    True when a pickle calls a named thing, or gives it state or items. Also true when a pickle that ends with STOP
    names anything, calls what the loader supplies, or holds bytes that may be a pickle. Reading ends where every
    unpickler gives up.

    SECURITY: another unpickler may have other limits or another encoding, and go on where ours stops. So a limit counts
    as an effect, and the encoding is latin1, which decodes any bytes. A pickle behind the first one is read twice: with
    an empty memo, and with the memo that the pickles before it left, because a loader may do either.
    """
    kept: dict[int, object] = {}
    start = 0
    for number in range(_ROW):
        end = 0
        for memo in (kept, {}) if number else (kept,):
            state = State(data, start, limits, None, "latin1", memo, _every)
            program = state.program
            # No limit for literals: one that is longer than `data` is cut off to every unpickler. `_cut_off` says the
            # same of integers.
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
    """Whether the limit was reached by a LONG4 that is longer than `data`: then every unpickler stops there."""
    at = -1 if error.offset is None else error.offset
    if error.limit != "integer_bytes" or data[at : at + 1] != b"\x8b":
        return False
    return at + 5 + int.from_bytes(data[at + 1 : at + 5], "little") > len(data)


def _every(raw: bytes) -> bool:
    """The probe for the literals inside a literal: one that could be a pickle is reason enough to judge the whole."""
    return True


def _does(program: Program) -> bool:
    """Whether `program` does what `acts` looks for.

    The machine goes on where CPython raises, as in a call of a number. Such effects do not count: raw numbers in a
    checkpoint are full of opcodes, and would all pass for pickles.
    """
    named = len(program.blobs) > 0
    for effect in program.effects:
        if isinstance(effect, Global):
            named = True
        elif isinstance(effect, Call):
            func = effect.func
            if isinstance(func, Global):
                # An INST whose name the end of the bytes cuts off: C refuses the empty name, and Python finds nothing.
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
    """Whether CPython may go on after this change of plain data, rather than raise."""
    if kind == "build":
        # CPython sets no state when it is empty, or a pair of two empty parts. Any other state of plain data raises.
        return not payload or (isinstance(payload, tuple) and not any(payload))
    return kind == "setitem" and isinstance(target, (list, bytearray))
