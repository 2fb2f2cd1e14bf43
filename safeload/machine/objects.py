"""Opcodes that build containers, name globals, call or steer the stream, and are too rare for the interpreter's loop.

Each handler takes the state and the offset of its opcode. Stack underflow is an IndexError that the interpreter names.
Semantics: CPython Modules/_pickle.c (3.11). Nothing is imported or called; names are only recorded.
"""

from __future__ import annotations

import _compat_pickle

from safeload.document.cell import Cell
from safeload.errors import Malformed
from safeload.machine.literals import integer
from safeload.machine.program import Buffer, Call, Extension, Global, Persistent
from safeload.machine.state import State

# Above this index the memo of a C unpickler needs a table of 1 GiB or more, and may fail where a dict does not.
SPARSE_MEMO = 1 << 26


# -- the stack


def load_pop(state: State, offset: int) -> None:
    """POP: drop the top value, or the mark if that is on top."""
    if state.stack:
        state.stack.pop()
    else:
        state.pop_mark()


def load_pop_mark(state: State, offset: int) -> None:
    """POP_MARK: drop everything down to the last mark, and the mark."""
    state.pop_mark()


def load_dup(state: State, offset: int) -> None:
    """DUP: push the top value again."""
    state.stack.append(state.stack[-1])


# -- the memo


def load_get(state: State, offset: int) -> None:
    """GET: push the memo entry whose index is a line of digits."""
    index = integer(state, state.line(offset), offset)
    if index not in state.memo:
        raise Malformed(f"memo entry {index} does not exist", offset=offset)
    state.stack.append(state.memo[index])


def load_put(state: State, offset: int) -> None:
    """PUT: keep the top value under an index that is a line of digits."""
    index = integer(state, state.line(offset), offset)
    value = state.stack[-1]
    if index < 0:
        raise Malformed("a PUT has a negative index", offset=offset)
    if index >= SPARSE_MEMO:
        note_sparse(state, offset)
    state.memo[index] = value


def note_sparse(state: State, offset: int) -> None:
    """Note an index that only some CPython versions can hold: older ones run out of memory (issue 144410)."""
    state.note("a memo index is so large that some CPython versions fail", offset)


# -- containers


def load_list(state: State, offset: int) -> None:
    """LIST: a list of what is above the mark."""
    # Already a new list that nobody else holds: no copy is needed.
    made = state.pop_mark()
    state.stack.append(made)


def load_dict(state: State, offset: int) -> None:
    """DICT: a dict of the keys and values above the mark."""
    items = state.pop_mark()
    made: dict[object, object] = {}
    fill(state, made, items, offset)
    state.stack.append(made)


def load_empty_set(state: State, offset: int) -> None:
    """EMPTY_SET: an empty set."""
    state.stack.append(set())


def load_frozenset(state: State, offset: int) -> None:
    """FROZENSET: a frozenset of what is above the mark."""
    made: set[object] = set()
    add(state, made, state.pop_mark(), offset)
    state.stack.append(frozenset(made))


def load_append(state: State, offset: int) -> None:
    """APPEND: give the top value to the list below it."""
    item = state.stack.pop()
    target = state.stack[-1]
    if isinstance(target, list):
        target.append(item)
        touch(state, target, offset)
    else:
        state.mutate("append", target, [item], offset)


def load_appends(state: State, offset: int) -> None:
    """APPENDS: give what is above the mark to the list below it."""
    items = state.pop_mark()
    target = state.stack[-1]
    if isinstance(target, list):
        target.extend(items)
        touch(state, target, offset)
    elif items:
        state.mutate("append", target, items, offset)
    else:
        # No Mutation, because C does nothing here; no silence either, because Python looks up `extend` of the target.
        # No Mutation, because C does nothing here; no silence either, because Python looks up `extend` of the target.
        state.note("APPENDS of nothing to no list: C does nothing, Python calls extend", offset)


def load_setitem(state: State, offset: int) -> None:
    """SETITEM: give the key and value on top to the dict below them."""
    value = state.stack.pop()
    key = state.stack.pop()
    set_items(state, state.stack[-1], [key, value], offset)


def load_setitems(state: State, offset: int) -> None:
    """SETITEMS: give the keys and values above the mark to the dict below it."""
    items = state.pop_mark()
    set_items(state, state.stack[-1], items, offset)


def set_items(state: State, target: object, items: list[object], offset: int) -> None:
    """Give `target` the flat list [key, value, key, value, ...]."""
    if isinstance(target, dict):
        fill(state, target, items, offset)
        touch(state, target, offset)
    elif len(items) % 2:
        raise Malformed("a key without a value", offset=offset)
    elif items:
        state.mutate("setitem", target, items, offset)


def fill(state: State, target: dict[object, object], items: list[object], offset: int) -> None:
    """Put the flat list [key, value, key, value, ...] into a plain dict."""
    if len(items) % 2:
        raise Malformed("a key without a value", offset=offset)
    # A Cell stands for an object that is not built yet, so nobody knows here which keys it is equal to. Of equal keys
    # the last value wins in CPython: with such a key in the dict, no entry may be taken for a new one.
    celled = bool(state.cell_keyed) and id(target) in state.cell_keyed
    for i in range(0, len(items), 2):
        key = items[i]
        # SECURITY: before the key is hashed: the hash of a hostile key may recurse, or take forever. See `Keys`.
        if not isinstance(key, str) and state.keys.check(key, offset):
            celled = True
            state.cell_keyed[id(target)] = target
        if celled and key in target:
            state.note("a key is set twice in a dict with keys of unknown value", offset)
        target[key] = items[i + 1]


def load_additems(state: State, offset: int) -> None:
    """ADDITEMS: give what is above the mark to the set below it."""
    items = state.pop_mark()
    target = state.stack[-1]
    if isinstance(target, set):
        add(state, target, items, offset)
        touch(state, target, offset)
    elif items:
        state.mutate("additem", target, items, offset)
    else:
        state.note("ADDITEMS of nothing to no set: C does nothing, Python looks up add", offset)


def add(state: State, target: set[object], items: list[object], offset: int) -> None:
    """Put `items` into a plain set. The checks are those of `fill`."""
    celled = bool(state.cell_keyed) and id(target) in state.cell_keyed
    for item in items:
        if not isinstance(item, str) and state.keys.check(item, offset):
            celled = True
            state.cell_keyed[id(target)] = target
        if celled and item in target:
            state.note("an element is added twice to a set with elements of unknown value", offset)
        target.add(item)


def touch(state: State, target: object, offset: int) -> None:
    """Record that a plain container changed, once a call may have consumed it: see `Program.touched`."""
    if state.touching:
        state.touched[id(target)] = offset


# -- names and calls


def find(state: State, module: str, name: str, offset: int) -> Global:
    """Record the import of `module.name`, under the name that CPython looks up."""
    new_module, new_name = module, name
    # Below protocol 3 CPython (fix_imports) takes names for those of python 2: first the pair of module and name, then
    # the module alone. A table of ours would drift from the one that the loading Python has.
    if state.proto < 3:
        renamed = _compat_pickle.NAME_MAPPING.get((module, name))
        if renamed is not None:
            new_module, new_name = renamed
        else:
            new_module = _compat_pickle.IMPORT_MAPPING.get(module, module)
    found = Global(new_module, new_name, module, name, state.proto, offset)
    state.effects.append(found)
    return found


def _name(state: State, encoding: str, offset: int) -> str:
    """A line of GLOBAL or INST as text."""
    raw = state.line(offset)
    if not raw:
        # C stops here, Python asks find_class.
        state.note("a global has an empty name", offset)
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise Malformed(f"the name of a global is not {encoding}", offset=offset) from None


def load_global(state: State, offset: int) -> None:
    """GLOBAL: import a module and a name, a line each."""
    module = _name(state, "utf-8", offset)
    name = _name(state, "utf-8", offset)
    state.stack.append(find(state, module, name, offset))


def load_stack_global(state: State, offset: int) -> None:
    """STACK_GLOBAL: import the module and name that are the top two values."""
    name = state.stack.pop()
    module = state.stack.pop()
    if not isinstance(module, str) or not isinstance(name, str):
        if isinstance(module, Cell) or isinstance(name, Cell):
            # A call may return a str. Nobody knows the name then before the call has run.
            raise Malformed("STACK_GLOBAL takes a name that is computed", offset=offset)
        raise Malformed("STACK_GLOBAL takes something that is no str", offset=offset)
    state.stack.append(find(state, module, name, offset))


def load_inst(state: State, offset: int) -> None:
    """INST: call the class that two lines name, with what is above the mark."""
    # Before the name is recorded: without a mark CPython imports nothing.
    if not state.below:
        raise state.underflow(offset)
    module = _name(state, "ascii", offset)
    name = _name(state, "ascii", offset)
    found = find(state, module, name, offset)
    args = state.pop_mark()
    state.stack.append(state.call("inst", found, tuple(args), None, offset))


def load_obj(state: State, offset: int) -> None:
    """OBJ: call the lowest value above the mark with the others."""
    above = state.pop_mark()
    func = above[0]
    state.stack.append(state.call("obj", func, tuple(above[1:]), None, offset))


def load_newobj(state: State, offset: int) -> None:
    """NEWOBJ: call `cls.__new__(cls, *args)`."""
    args = state.stack.pop()
    func = state.stack.pop()
    state.stack.append(state.call("newobj", func, args, None, offset))


def load_newobj_ex(state: State, offset: int) -> None:
    """NEWOBJ_EX: call `cls.__new__(cls, *args, **kwargs)`."""
    kwargs = state.stack.pop()
    args = state.stack.pop()
    func = state.stack.pop()
    if not isinstance(kwargs, dict):
        state.note(f"the keyword arguments of a call are a {type(kwargs).__name__}", offset)
    state.stack.append(state.call("newobj_ex", func, args, kwargs, offset))


def load_build(state: State, offset: int) -> None:
    """BUILD: give the top value as state to the object below it."""
    payload = state.stack.pop()
    state.mutate("build", state.stack[-1], payload, offset)


def _extension(state: State, code: int, offset: int) -> None:
    # What a code stands for is the business of the loading process: the machine never looks it up in its own registry.
    if code <= 0:
        raise Malformed("an extension code must be above 0", offset=offset)
    made = Extension(code, offset)
    state.effects.append(made)
    state.stack.append(made)


def load_ext1(state: State, offset: int) -> None:
    """EXT1: an object registered in copyreg, by a 1-byte code."""
    _extension(state, state.count(1, offset), offset)


def load_ext2(state: State, offset: int) -> None:
    """EXT2: an object registered in copyreg, by a 2-byte code."""
    _extension(state, state.count(2, offset), offset)


def load_ext4(state: State, offset: int) -> None:
    """EXT4: an object registered in copyreg, by a signed 4-byte code."""
    code = state.count(4, offset)
    _extension(state, code if code < 1 << 31 else code - (1 << 32), offset)


def load_persid(state: State, offset: int) -> None:
    """PERSID: a persistent load whose id is a line of text."""
    try:
        pid = state.line(offset).decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("the id of a PERSID is not ASCII", offset=offset) from None
    made = Persistent(pid, True, offset)
    state.effects.append(made)
    state.stack.append(made)


# -- buffers and the stream itself


def load_next_buffer(state: State, offset: int) -> None:
    """NEXT_BUFFER: push bytes that the caller of the unpickler hands over beside the pickle."""
    made = Buffer(offset)
    state.effects.append(made)
    state.stack.append(made)


def load_readonly_buffer(state: State, offset: int) -> None:
    """READONLY_BUFFER: a read-only view of the top value."""
    top = state.stack[-1]
    if isinstance(top, (bytearray, Call, Global, Persistent, Extension)):
        state.note("a read-only view of something other than a buffer", offset)
    elif not isinstance(top, (Buffer, bytes)):
        raise Malformed(f"no view of a {type(top).__name__} can be made", offset=offset)


def load_proto(state: State, offset: int) -> None:
    """PROTO: set the protocol from here on. It decides how names are looked up: see `find`."""
    proto = state.count(1, offset)
    if proto > 5:
        raise Malformed(f"pickle protocol {proto} does not exist", offset=offset)
    if offset != state.program.start:
        state.note("PROTO is repeated, or not the first opcode", offset)
    state.proto = proto
    state.program.protocol = max(state.program.protocol, proto)


def load_frame(state: State, offset: int) -> None:
    """FRAME: say that the next bytes, counted by 8 bytes, were written in one go."""
    size = state.count(8, offset)
    if size >= 1 << 63:
        raise Malformed("a frame is longer than any input", offset=offset)
    state.enter_frame(size, offset)
