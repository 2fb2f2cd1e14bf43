"""A small assembler of pickles: every function returns opcodes that leave one value on the stack.

Written by hand rather than with `pickle`, so that the bytes are the same under every Python and every torch, and so
that a stream can hold what no pickler writes. Builds bytes; runs and imports nothing that it spells.
"""

from __future__ import annotations

import struct

PROTO2 = b"\x80\x02"
PROTO4 = b"\x80\x04"
STOP = b"."
MARK = b"("
POP = b"0"
DUP = b"2"
REDUCE = b"R"
BUILD = b"b"
STACK_GLOBAL = b"\x93"
MEMOIZE = b"\x94"
PERSID_END = b"\n"


class Code(bytes):
    """Opcodes that push one value, as opposed to bytes that are a value."""


def value(item: object) -> Code:
    """The opcodes for plain data; Code inside it stands as it is."""
    if isinstance(item, Code):
        return item
    if item is None or isinstance(item, bool):
        return Code({None: b"N", True: b"\x88", False: b"\x89"}[item])
    if isinstance(item, int):
        return Code(_integer(item))
    if isinstance(item, float):
        return Code(b"G" + struct.pack(">d", item))
    if isinstance(item, str):
        raw = item.encode("utf-8", "surrogatepass")
        return Code(b"X" + struct.pack("<I", len(raw)) + raw)
    if isinstance(item, bytes):
        return Code(b"B" + struct.pack("<I", len(item)) + item)
    if isinstance(item, tuple):
        return Code(_tuple(item))
    if isinstance(item, list):
        return Code(b"](" + b"".join(map(value, item)) + b"e" if item else b"]")
    if isinstance(item, dict):
        pairs = b"".join(value(key) + value(held) for key, held in item.items())
        return Code(b"}(" + pairs + b"u" if item else b"}")
    raise TypeError(f"no opcodes for a {type(item).__name__}")


def _integer(number: int) -> bytes:
    if 0 <= number < 1 << 8:
        return b"K" + bytes([number])
    if 0 <= number < 1 << 16:
        return b"M" + struct.pack("<H", number)
    if -(1 << 31) <= number < 1 << 31:
        return b"J" + struct.pack("<i", number)
    raw = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def _tuple(items: tuple[object, ...]) -> bytes:
    body = b"".join(map(value, items))
    if not items:
        return b")"
    return body + {1: b"\x85", 2: b"\x86", 3: b"\x87"}[len(items)] if len(items) < 4 else MARK + body + b"t"


def short(text: str) -> Code:
    """SHORT_BINUNICODE."""
    raw = text.encode()
    return Code(b"\x8c" + bytes([len(raw)]) + raw)


def name(module: str, attribute: str) -> Code:
    """GLOBAL."""
    return Code(b"c" + module.encode() + b"\n" + attribute.encode() + b"\n")


def stack_name(module: object, attribute: object) -> Code:
    """STACK_GLOBAL of two values."""
    return Code(value(module) + value(attribute) + STACK_GLOBAL)


def call(func: Code, *args: object) -> Code:
    """REDUCE."""
    return Code(func + value(args) + REDUCE)


def new(cls: Code, *args: object) -> Code:
    """NEWOBJ."""
    return Code(cls + value(args) + b"\x81")


def new_ex(cls: Code, args: tuple[object, ...], kwargs: dict[object, object]) -> Code:
    """NEWOBJ_EX."""
    return Code(cls + value(args) + value(kwargs) + b"\x92")


def inst(module: str, attribute: str, *args: object) -> Code:
    """INST."""
    return Code(MARK + b"".join(map(value, args)) + b"i" + name(module, attribute)[1:])


def obj(cls: Code, *args: object) -> Code:
    """OBJ."""
    return Code(MARK + cls + b"".join(map(value, args)) + b"o")


def build(target: Code, state: object) -> Code:
    """BUILD: `state` set on `target`."""
    return Code(target + value(state) + BUILD)


def put(item: object, index: int) -> Code:
    """A value, kept in the memo too."""
    return Code(value(item) + b"r" + struct.pack("<I", index))


def get(index: int) -> Code:
    """A value out of the memo."""
    return Code(b"j" + struct.pack("<I", index))


def persistent(pid: object) -> Code:
    """BINPERSID."""
    return Code(value(pid) + b"Q")


def after(side: bytes, item: object) -> Code:
    """`item`, after a value that is made and thrown away."""
    return Code(side + POP + value(item))


def pickle(item: object, proto: bytes = PROTO2) -> bytes:
    """A whole stream."""
    return proto + value(item) + STOP


# What the hostile files do, should anything ever run them: print one line.
SAID = "safeload-sample"
ECHO = call(name("os", "system"), f"echo {SAID}")
PRINT = call(name("builtins", "eval"), f"print({SAID!r})")

ORDERED_DICT = call(name("collections", "OrderedDict"))


def storage(key: str = "0", count: object = 4, kind: str = "FloatStorage", location: str = "cpu") -> Code:
    """The persistent id of a storage, as torch writes it. `kind` is a class of torch, or "torch.storage.X"."""
    module, _, cls = kind.rpartition(".")
    return persistent(("storage", name(module or "torch", cls), key, location, count))


def old_storage(key: str = "0", count: object = 4, view: object = None) -> Code:
    """The persistent id of a storage of floats in a legacy file: with what it is a view of."""
    return persistent(("storage", name("torch", "FloatStorage"), key, "cpu", count, view))


def tensor(
    held: Code | None = None,
    size: object = (4,),
    stride: object = (1,),
    offset: object = 0,
    grad: bool = False,
    hooks: Code = ORDERED_DICT,
) -> Code:
    """A strided tensor over `held`, by default four floats."""
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return call(rebuild, storage() if held is None else held, offset, size, stride, grad, hooks)


def floats(*numbers: float) -> bytes:
    """The bytes of float32 numbers."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def longs(*numbers: int) -> bytes:
    """The bytes of int64 numbers."""
    return struct.pack(f"<{len(numbers)}q", *numbers)


ONES = floats(1, 1, 1, 1)
