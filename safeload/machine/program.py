"""What one pickle would do: the machine's answer, as data.

A Program holds the value the stream leaves (plain data as plain Python objects, everything else as nodes) and every
effect in the order in which CPython would have it, also when the stream pops the result. Nodes are Cells. They have to
be mutable, because an object gets its state after it is made: so they are plain classes with slots, compiled with the
machine. This file knows nothing of what a name means: that is policy.
"""

from __future__ import annotations

from safeload.document.cell import UNSET, Cell


class Global(Cell):
    """A name that the stream imports.

    module, name          what CPython looks up: below protocol 3 it gives names of python 2 their new names
    raw_module, raw_name  what the stream spells
    protocol              the protocol that is in force at this opcode; from 4 on CPython walks the dots of `name`
    offset                of the opcode, as in every effect
    """

    __slots__ = ("module", "name", "raw_module", "raw_name", "protocol", "offset")

    def __init__(self, module: str, name: str, raw_module: str, raw_name: str, protocol: int, offset: int) -> None:
        self.value = UNSET
        self.module = module
        self.name = name
        self.raw_module = raw_module
        self.raw_name = raw_name
        self.protocol = protocol
        self.offset = offset


class Mutation:
    """A change that runs code of the target's class: its state is set (BUILD), or it is given items.

    The machine makes a plain change, such as APPEND on a list, itself, and records no effect.

    kind     "build", "append" (APPEND, APPENDS), "setitem" (SETITEM, SETITEMS), "additem" (ADDITEMS)
    target   the node that is changed, or a plain value of a type that the opcode is not for
    payload  build: the state; append, additem: list of items; setitem: flat list [k, v, k, v, ...]
    """

    __slots__ = ("kind", "target", "payload", "offset")

    def __init__(self, kind: str, target: object, payload: object, offset: int) -> None:
        self.kind = kind
        self.target = target
        self.payload = payload
        self.offset = offset


class Call(Cell):
    """A call that an unpickler would make.

    kind       "reduce" calls `func(*args)`; "newobj" and "newobj_ex" call `func.__new__(func, *args)`; "inst" and "obj"
               call `func(*args)`, or make a bare instance of a class when there are no arguments
    args       a tuple in every well-formed stream. The machine notes anything else, and keeps it as it is
    kwargs     of "newobj_ex", None for every other kind
    mutations  the changes of the result, in order; None while there are none, and again once the judge has seen them
    """

    __slots__ = ("kind", "func", "args", "kwargs", "offset", "mutations")

    def __init__(self, kind: str, func: object, args: object, kwargs: object, offset: int) -> None:
        self.value = UNSET
        self.kind = kind
        self.func = func
        self.args = args
        self.kwargs = kwargs
        self.offset = offset
        self.mutations: list[Mutation] | None = None


class Persistent(Cell):
    """A persistent load of `pid`. `text` says that the text opcode PERSID asks for it: `pid` is a str then."""

    __slots__ = ("pid", "text", "offset")

    def __init__(self, pid: object, text: bool, offset: int) -> None:
        self.value = UNSET
        self.pid = pid
        self.text = text
        self.offset = offset


class Extension(Cell):
    """An EXT1/EXT2/EXT4 code: whatever the loading process registered in copyreg under that number."""

    __slots__ = ("code", "offset")

    def __init__(self, code: int, offset: int) -> None:
        self.value = UNSET
        self.code = code
        self.offset = offset


class Buffer(Cell):
    """NEXT_BUFFER: bytes that are outside the pickle."""

    __slots__ = ("offset",)

    def __init__(self, offset: int) -> None:
        self.value = UNSET
        self.offset = offset


Effect = Global | Call | Persistent | Extension | Buffer | Mutation


class Note:
    """Why the stream is not canonical at `offset`: CPython versions read this form differently, or we do not model it.

    A Program with a Note is never clean.
    """

    __slots__ = ("message", "offset")

    def __init__(self, message: str, offset: int) -> None:
        self.message = message
        self.offset = offset


class Program:
    """What one pickle would do.

    value     what STOP left (None in a partial Program)
    effects   every effect in order
    notes     why the stream is not canonical; empty for a stream that every CPython >= 3.8 reads alike
    touched   id(container or node) -> offset of the last opcode that changed it. The machine starts to keep this at the
              first call, persistent load or state whose arguments a later opcode could change: what is absent did not
              change since then. A vetted shape refuses arguments that were changed after the call consumed them
    blobs     (offset, value) of each bytes literal that is itself a pickle which does something, or an archive
    start,end byte range of the stream in the bytes given to the machine; `end` is the offset after STOP
    protocol  highest PROTO seen (0 when none)
    opcodes   how many were interpreted
    declared  tensors that a tree takes all at once, without a call for each
    memoized  the stream has a MEMOIZE: the only opcode whose effect depends on what an unpickler remembers from earlier
              pickles, because it takes the number of memo entries as its index
    whole     STOP was reached
    """

    __slots__ = (
        "blobs",
        "declared",
        "effects",
        "end",
        "memoized",
        "notes",
        "opcodes",
        "protocol",
        "start",
        "touched",
        "value",
        "whole",
    )

    def __init__(self, start: int) -> None:
        self.value: object = None
        self.effects: list[Effect] = []
        self.notes: list[Note] = []
        self.touched: dict[int, int] = {}
        self.blobs: list[tuple[int, bytes]] = []
        self.start = start
        self.end = start
        self.protocol = 0
        self.opcodes = 0
        self.declared = 0
        self.memoized = False
        self.whole = False
