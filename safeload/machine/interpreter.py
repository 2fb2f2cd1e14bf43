"""The machine: bytes of one pickle in, a Program out. It runs nothing and imports nothing that a pickle names.

Semantics are those of CPython's C unpickler, Modules/_pickle.c. For any bytes at all, `run` returns a Program or raises
Malformed or LimitExceeded; whatever else comes out is a bug. It knows no container, no rule and no meaning of a name.
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

    data      a prefix of the input
    more      given a length, returns a longer prefix of the same input, at least that long where the input is;
              a prefix as long as the last one says that the input ends. It may and should return more than asked.
    encoding  of python 2 strings: "ASCII" as pickle.load, "utf-8" as torch.load, "latin1" or "bytes"
    memo      what an Unpickler remembers from the pickles that it read before, and is given what this one adds, up to
              where it breaks. All else starts anew with each load(): stack, marks, protocol. None: remembers nothing

    Raises Malformed for bytes that CPython refuses, LimitExceeded for more than `limits` allow; both carry `offset`,
    and as `partial` the Program up to the opcode that failed. A stream on which CPython versions differ is no error:
    its Program has notes. Raises UsageError for an unknown encoding or a negative start.
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
    """How many opcodes may run before the next look. Raises LimitExceeded once a limit is passed.

    An opcode counts one, pushes at most one value or mark, and makes at most one memo entry: so nothing need be counted
    one by one. `size` is the stack with its marks; that limit may be passed by an eighth, because measuring it takes
    as long as there are marks.
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
    """Run opcodes until STOP."""
    program = state.program
    # At least the size of the stack with its marks.
    bound = 0
    while not program.whole:
        if bound > limits[1]:
            bound = _size(state)
        batch = _room(state, program.opcodes, limits, bound)
        bound += batch
        try:
            _loop(state, batch)
        except (IndexError, KeyError) as error:
            # Nothing but the stack and the memo is indexed unchecked: see `_loop`.
            raise _named(state, error) from None
    _finish(state)
    return program


def is_nested(raw: bytes, limits: Limits = _DEFAULTS) -> bool:
    """Whether bytes are a pickle that does something, or an archive: what the machine asks of each bytes literal."""
    return may_begin(raw) and (is_archive(raw) or acts(raw, limits, interpret))


def steps(
    data: bytes,
    start: int = 0,
    *,
    limits: Limits = _DEFAULTS,
    more: Callable[[int], bytes] | None = None,
    encoding: str = "ASCII",
) -> Iterator[State]:
    """The same machine, one opcode at a time: for who explains what it does. Ten times slower than `run`.

    Gives its State before the first opcode and after each one. It is the machine's own: look, change nothing, and look
    before the next step. Arguments and errors are those of `run`.
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

    One long function because a call costs more than an opcode; what is rare goes to the handlers, by table. Numbers
    are literals because a global costs a look-up in plain Python. Order is by frequency in real checkpoints. What would
    need a check for nearly every opcode is left to fail: `stack` and `memo` raise IndexError and KeyError, which the
    caller names.
    """
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
                if index >= 0x4000000:
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
                    text = decode(raw, offset)
                stack.append(text)
                pos = stop
            elif op == 0x28:  # MARK
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
                state.program.value = stack.pop()
                state.program.whole = True
                offset = pos
                break
            else:
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
        state.pos = pos
        state.stack = stack
        state.program.end = offset
        state.program.memoized = memoized
        state.program.opcodes += step + 1
