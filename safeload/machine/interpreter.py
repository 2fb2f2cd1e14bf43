"""The machine: bytes of one pickle in, a Program out. It runs nothing and imports nothing that a pickle names.

Semantics are those of CPython's C unpickler, Modules/_pickle.c. For any bytes at all, `run` returns a Program or raises
Malformed or LimitExceeded; any other exception is a bug. Knows no container, no rule and no meaning of a name.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final

from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine.blobs import is_archive, may_begin
from safeload.machine.handlers import table
from safeload.machine.literals import decode
from safeload.machine.nested import acts
from safeload.machine.objects import note_sparse
from safeload.machine.pause import pause, resume
from safeload.machine.program import Persistent, Program
from safeload.machine.state import State, changeable

_HANDLERS: Final = table()
_DOUBLE: Final = struct.Struct(">d")
# How many opcodes run between two looks at the limits; a look costs a microsecond.
_BATCH: Final = 65_536
_DEFAULTS: Final = Limits()


def run(
    data: bytes,
    start: int = 0,
    *,
    limits: Limits = _DEFAULTS,
    more: Callable[[int], bytes] | None = None,
    encoding: str = "ASCII",
    memo: dict[int, object] | None = None,
) -> Program:
    """What the pickle at `start` of `data` would do.

    Args:
        data: A prefix of the input.
        start: Offset of the first opcode in `data`.
        limits: How many opcodes, stack values, memo entries and bytes the stream may cost.
        more: Takes a length and returns a longer prefix of the same input, at least that long unless the input is
            shorter. A prefix no longer than the last one says that the input has ended. It may return more than was
            asked, and is called less often when it does.
        encoding: Of python 2 strings: "ASCII" as pickle.load, "utf-8" as torch.load, "latin1" or "bytes".
        memo: What an Unpickler remembers from the pickles that it read before. The run adds the entries of this one, up
            to where it breaks. Stack, marks and protocol start anew, as with each load(). None remembers nothing.

    Returns:
        The Program. A stream that CPython versions read differently is no error: its Program has notes.

    Raises:
        Malformed: CPython refuses these bytes.
        LimitExceeded: The stream costs more than `limits` allow. Like Malformed it carries `offset`, and as `partial`
            the Program up to the opcode that failed.
        UsageError: The encoding is unknown, or the start negative.
    """
    state = State(data, start, limits, more, encoding, memo, lambda raw: is_nested(raw, limits))
    pause()
    try:
        return interpret(state, (limits.opcodes, limits.stack, limits.memo))
    except (Malformed, LimitExceeded) as error:
        error.partial = state.program
        raise
    except MemoryError:
        raise LimitExceeded(
            "the pickle does not fit in memory",
            limit="pickle_bytes",
            offset=state.program.end,
            partial=state.program,
        ) from None
    finally:
        resume()


def _room(state: State, done: int, limits: tuple[int, int, int], size: int) -> int:
    """How many opcodes may run before the next look at the limits. Raises LimitExceeded once a limit is passed.

    One opcode pushes at most one value or mark, and makes at most one memo entry. So a batch that is no longer than the
    room that is left cannot pass a limit, and the loop counts nothing. `size` is the stack with its marks. The stack
    may pass its limit by an eighth: measuring it takes as long as there are marks, so it is measured rarely.
    """
    opcodes, stack, memo = limits
    entries = len(state.memo)
    if done >= opcodes:
        raise state.limit("opcodes", f"more than {opcodes} opcodes", state.pos)
    if entries > memo:
        raise state.limit("memo", f"more than {memo} memo entries", state.pos)
    if size > stack:
        raise state.limit("stack", f"more than {stack} values on the stack", state.pos)
    return min(_BATCH, opcodes - done, max(1, memo - entries), max(1, stack - size, size // 8))


def _size(state: State) -> int:
    """Values and marks on the stack."""
    total = len(state.stack) + len(state.below)
    for part in state.below:
        total += len(part)
    return total


def interpret(state: State, limits: tuple[int, int, int]) -> Program:
    """Run opcodes until STOP. Raises what `run` raises."""
    program = state.program
    # An upper bound of the values and marks on the stack: each opcode adds at most one. The stack itself is measured
    # only when this bound is over the limit.
    bound = 0
    while not program.whole:
        if bound > limits[1]:
            bound = _size(state)
        batch = _room(state, program.opcodes, limits, bound)
        bound += batch
        try:
            _loop(state, batch)
        except (IndexError, KeyError) as error:
            # `_loop` and the handlers index two things without a check, the stack and the memo: IndexError is an
            # underflow, KeyError a memo entry that does not exist.
            raise _named(state, error) from None
    _finish(state)
    return program


def is_nested(raw: bytes, limits: Limits = _DEFAULTS) -> bool:
    """Whether `raw` is a pickle that does something, or an archive. The machine asks this of each bytes literal."""
    return may_begin(raw) and (is_archive(raw) or acts(raw, limits, interpret))


def steps(
    data: bytes,
    start: int = 0,
    *,
    limits: Limits = _DEFAULTS,
    more: Callable[[int], bytes] | None = None,
    encoding: str = "ASCII",
) -> Iterator[State]:
    """The same machine, one opcode at a time, for a caller that explains a pickle. Ten times slower than `run`.

    Yields the State before the first opcode and after each one. It is always the same object: the caller reads what it
    needs before it takes the next step, and changes nothing. Arguments and errors are those of `run`.
    """
    state = State(data, start, limits, more, encoding, None, lambda raw: is_nested(raw, limits))
    program = state.program
    bounds = (limits.opcodes, limits.stack, limits.memo)
    bound = 0
    yield state
    left = 0
    while not program.whole:
        if left == 0:
            if bound > bounds[1]:
                bound = _size(state)
            left = _room(state, program.opcodes, bounds, bound)
            bound += left
        left -= 1
        try:
            _loop(state, 1)
        except (IndexError, KeyError) as error:
            raise _named(state, error) from None
        if state.program.whole:
            _finish(state)
        yield state


def _finish(state: State) -> None:
    """Note what is odd about where the pickle stopped."""
    program = state.program
    if state.stack or state.below:
        # Loaders do not mind, pickletools does (127079).
        state.note("values or marks are left on the stack", program.end)
    if state.framed and program.end < state.frame_end:
        state.note("the pickle stops inside a frame", program.end)


def _named(state: State, error: Exception) -> Malformed:
    offset = state.program.end
    if isinstance(error, KeyError):
        return Malformed(f"memo entry {error.args[0]!r} does not exist (byte {offset})", offset=offset)
    return state.underflow(offset)


def _loop(state: State, batch: int) -> None:
    """Run `batch` opcodes, or fewer up to STOP, which makes the Program whole.

    This is one long function because a call costs more than an opcode. Rare opcodes go to the handlers, by table. The
    branches stand in the order of frequency in real checkpoints. Opcodes are written as numbers because a global costs
    a look-up in plain Python. No branch checks that the stack holds enough: `stack` and `memo` raise IndexError and
    KeyError by themselves, and the caller turns them into Malformed.
    """
    # Local names, because each access to `state` costs a look-up in plain Python. Whatever may change one of them
    # (`need`, a handler) is followed by reading it again; the `finally` below writes all of them back.
    data = state.data
    end = state.end
    pos = state.pos
    stack = state.stack
    below = state.below
    memo = state.memo
    effects = state.effects
    handlers = _HANDLERS
    longest = state.string_limit
    memoized = state.program.memoized
    offset = pos
    step = -1
    try:
        for step in range(batch):  # noqa: B007 - read after the loop
            offset = pos
            # Every read of an operand has this form: what lies before `end` is there, anything else asks for more
            # bytes, leaves a frame, or raises.
            # Every read of an operand has this form: what lies before `end` is there, anything else asks for more
            # bytes, leaves a frame, or raises.
            if pos >= end:
                state.need(pos + 1, pos)
                data = state.data
                end = state.end
            op = data[pos]
            pos += 1
            if op == 0x72:  # LONG_BINPUT
                if pos + 4 > end:
                    state.need(pos + 4, offset)
                    data = state.data
                    end = state.end
                index = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16 | data[pos + 3] << 24
                pos += 4
                if index >= 0x4000000:  # SPARSE_MEMO of `objects`
                    note_sparse(state, offset)
                memo[index] = stack[-1]
            elif op == 0x68:  # BINGET
                if pos >= end:
                    state.need(pos + 1, offset)
                    data = state.data
                    end = state.end
                stack.append(memo[data[pos]])
                pos += 1
            elif op == 0x71:  # BINPUT
                if pos >= end:
                    state.need(pos + 1, offset)
                    data = state.data
                    end = state.end
                memo[data[pos]] = stack[-1]
                pos += 1
            elif op == 0x4B:  # BININT1
                if pos >= end:
                    state.need(pos + 1, offset)
                    data = state.data
                    end = state.end
                stack.append(data[pos])
                pos += 1
            elif op == 0x94:  # MEMOIZE
                # The index is the number of entries, not the highest one plus one: CPython does the same, also when a
                # PUT left a hole and this overwrites an entry.
                # The index is the number of entries, not the highest one plus one: CPython does the same, also when a
                # PUT left a hole and this overwrites an entry.
                memo[len(memo)] = stack[-1]
                memoized = True
            elif op == 0x58 or op == 0x8C:  # noqa: PLR1714 - BINUNICODE, SHORT_BINUNICODE; a set is slower
                if op == 0x58:
                    if pos + 4 > end:
                        state.need(pos + 4, offset)
                        data = state.data
                        end = state.end
                    size = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16 | data[pos + 3] << 24
                    pos += 4
                else:
                    if pos >= end:
                        state.need(pos + 1, offset)
                        data = state.data
                        end = state.end
                    size = data[pos]
                    pos += 1
                stop = pos + size
                # SECURITY: before `need`, which would read up to the announced length: the length is the attacker's.
                if size > longest:
                    state.check_size(size, offset)
                if stop > end:
                    state.need(stop, offset)
                    data = state.data
                    end = state.end
                raw = data[pos:stop]
                try:
                    text = raw.decode()
                except UnicodeDecodeError:
                    # CPython takes lone surrogates too. The plain call above is the fast one, and agrees on other text.
                    text = decode(raw, offset)
                stack.append(text)
                pos = stop
            elif op == 0x28:  # MARK
                # The stack splits: see `State`. An opcode above the mark sees an empty list, and cannot reach under it.
                below.append(stack)
                stack = []
            elif op == 0x74:  # TUPLE
                above = stack
                stack = below.pop()
                stack.append(tuple(above))
            elif op == 0x85:  # TUPLE1
                stack[-1] = (stack[-1],)
            elif op == 0x52:  # REDUCE
                args = stack.pop()
                stack[-1] = state.call("reduce", stack[-1], args, None, offset)
            elif op == 0x29:  # EMPTY_TUPLE
                stack.append(())
            elif op == 0x51:  # BINPERSID
                pid = stack[-1]
                # A persistent load consumes its id, as a call consumes its arguments: see `State.call`.
                if not state.touching:
                    state.touching = changeable(pid)
                loaded = Persistent(pid, False, offset)
                stack[-1] = loaded
                effects.append(loaded)
            elif op == 0x4A:  # BININT
                if pos + 4 > end:
                    state.need(pos + 4, offset)
                    data = state.data
                    end = state.end
                number = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16 | data[pos + 3] << 24
                pos += 4
                stack.append(number if number < 0x80000000 else number - 0x100000000)
            elif op == 0x47:  # BINFLOAT
                if pos + 8 > end:
                    state.need(pos + 8, offset)
                    data = state.data
                    end = state.end
                stack.append(_DOUBLE.unpack_from(data, pos)[0])
                pos += 8
            elif op == 0x89:  # NEWFALSE
                stack.append(False)
            elif op == 0x4D:  # BININT2
                if pos + 2 > end:
                    state.need(pos + 2, offset)
                    data = state.data
                    end = state.end
                stack.append(data[pos] | data[pos + 1] << 8)
                pos += 2
            elif op == 0x6A:  # LONG_BINGET
                if pos + 4 > end:
                    state.need(pos + 4, offset)
                    data = state.data
                    end = state.end
                index = data[pos] | data[pos + 1] << 8 | data[pos + 2] << 16 | data[pos + 3] << 24
                pos += 4
                stack.append(memo[index])
            elif op == 0x86:  # TUPLE2
                last = stack.pop()
                stack[-1] = (stack[-1], last)
            elif op == 0x87:  # TUPLE3
                last = stack.pop()
                middle = stack.pop()
                stack[-1] = (stack[-1], middle, last)
            elif op == 0x4E:  # NONE
                stack.append(None)
            elif op == 0x88:  # NEWTRUE
                stack.append(True)
            elif op == 0x7D:  # EMPTY_DICT
                stack.append({})
            elif op == 0x5D:  # EMPTY_LIST
                stack.append([])
            elif op == 0x2E:  # STOP
                # Values that are left on the stack are no error to CPython: `_finish` notes them.
                state.program.value = stack.pop()
                state.program.whole = True
                offset = pos
                break
            else:
                # A handler works on `state`. `below`, `memo` and `effects` are the same objects there and here; the
                # stack may be another list afterwards, and `need` may have replaced `data`.
                state.pos = pos
                state.stack = stack
                handlers[op](state, offset)
                pos = state.pos
                stack = state.stack
                data = state.data
                end = state.end
        else:
            offset = pos
    finally:
        # Also when an opcode raises: `offset` is then where it begins, which the error names, and the Program up to it
        # goes out as `partial`.
        state.pos = pos
        state.stack = stack
        state.program.end = offset
        state.program.memoized = memoized
        state.program.opcodes += step + 1
