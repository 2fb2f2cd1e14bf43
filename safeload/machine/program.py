"""What one pickle would do: the machine's answer, as data.

A Program holds the value the stream leaves (plain data as plain Python objects, everything else as nodes) and every
effect in the order CPython would have it, kept even when its result is popped. Nodes are Cells. They are mutable by
necessity (an object gets its state after it is made), so they are plain classes with slots, compiled with the machine.
Knows nothing of what a name means: that is policy.
"""

from __future__ import annotations

from safeload.document.cell import UNSET, Cell


class Global(Cell):
    """A name that is imported: `module` and `name` as CPython resolves them (python 2 names remapped below
    protocol 3); `raw_module` and `raw_name` as the stream spells them. From protocol 4 on, `protocol` being that
    of the moment, CPython walks the dots of `name`.
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
    """Something done to a value that is not plain data of its own kind: BUILD, or items given to a node.

    kind     "build", "append" (APPEND, APPENDS), "setitem" (SETITEM, SETITEMS), "additem" (ADDITEMS)
    target   the node (or the plain value of a wrong type) it is done to
    payload  build: the state; append, additem: list of items; setitem: flat list [k, v, k, v, ...]
    """

    __slots__ = ("kind", "target", "payload", "offset")

    def __init__(self, kind: str, target: object, payload: object, offset: int) -> None:
        self.kind = kind
        self.target = target
        self.payload = payload
        self.offset = offset


class Call(Cell):
    """A call that would be made. `kind`: "reduce", "newobj", "newobj_ex", "obj" or "inst".

    newobj is `func.__new__(func, *args)`; inst and obj call `func(*args)`, or make a bare instance of a class
    without arguments. `args` is a tuple for every well-formed stream (else the machine notes it and keeps what
    was there). `mutations` is None or the list of Mutations done to the result, in order; None again once judged.
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
    """A persistent load of `pid`; `text` when it came from the text opcode PERSID (pid is then a str)."""

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
    """A form on which CPython versions differ, or that is not modelled: the stream is not canonical at `offset`."""

    __slots__ = ("message", "offset")

    def __init__(self, message: str, offset: int) -> None:
        self.message = message
        self.offset = offset


class Program:
    """What one pickle would do.

    value     what STOP left (None in a partial Program)
    effects   every effect in order
    notes     why the stream is not canonical; empty for a stream that every CPython >= 3.8 reads alike
    touched   id(container or node) -> offset of the last opcode that changed it. Only kept from the first call,
              persistent load or state that consumes something which can be changed later, so absence means "not changed
              since then". Lets a vetted shape refuse arguments that were changed after the call that consumed them.
    blobs     (offset, value) of each bytes literal that is a pickle which does something, or an archive, of its own
    start,end byte range of the stream in the bytes given to the machine; `end` is the offset after STOP
    protocol  highest PROTO seen (0 when none)
    opcodes   how many were interpreted
    declared  tensors that a tree takes all at once, without a call for each
    memoized  a MEMOIZE was met: the only opcode that means something else to an unpickler which remembers more
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
