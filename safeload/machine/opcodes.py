"""The 68 opcodes of a pickle: name, code, argument form and first protocol.

The one list that dispatch, documentation, tests and disassembly read; a test holds it equal to the standard library's.
Says nothing of what an opcode does, and imports nothing of safeload.
"""

from __future__ import annotations

from typing import NamedTuple


class Opcode(NamedTuple):
    """One opcode. `argument` is one of the forms of `ARGUMENTS`, `protocol` the first that may hold it."""

    name: str
    code: int
    argument: str
    protocol: int


# Argument forms. `N` is a little-endian count of bytes that follow; text ends with a newline.
ARGUMENTS: dict[str, str] = {
    "": "no argument",
    "u1": "unsigned byte",
    "u2": "unsigned 2 bytes, little endian",
    "u4": "unsigned 4 bytes, little endian",
    "i4": "signed 4 bytes, little endian",
    "u8": "unsigned 8 bytes, little endian",
    "f8": "IEEE double, big endian",
    "n1": "1-byte N, then N bytes",
    "n4": "4-byte N, then N bytes",
    "n8": "8-byte N, then N bytes",
    "line": "one line of text",
    "lines": "two lines of text",
}

OPCODES: tuple[Opcode, ...] = (
    Opcode("INT", 0x49, "line", 0),
    Opcode("BININT", 0x4A, "i4", 1),
    Opcode("BININT1", 0x4B, "u1", 1),
    Opcode("BININT2", 0x4D, "u2", 1),
    Opcode("LONG", 0x4C, "line", 0),
    Opcode("LONG1", 0x8A, "n1", 2),
    Opcode("LONG4", 0x8B, "n4", 2),
    Opcode("STRING", 0x53, "line", 0),
    Opcode("BINSTRING", 0x54, "n4", 1),
    Opcode("SHORT_BINSTRING", 0x55, "n1", 1),
    Opcode("BINBYTES", 0x42, "n4", 3),
    Opcode("SHORT_BINBYTES", 0x43, "n1", 3),
    Opcode("BINBYTES8", 0x8E, "n8", 4),
    Opcode("BYTEARRAY8", 0x96, "n8", 5),
    Opcode("NEXT_BUFFER", 0x97, "", 5),
    Opcode("READONLY_BUFFER", 0x98, "", 5),
    Opcode("NONE", 0x4E, "", 0),
    Opcode("NEWTRUE", 0x88, "", 2),
    Opcode("NEWFALSE", 0x89, "", 2),
    Opcode("UNICODE", 0x56, "line", 0),
    Opcode("SHORT_BINUNICODE", 0x8C, "n1", 4),
    Opcode("BINUNICODE", 0x58, "n4", 1),
    Opcode("BINUNICODE8", 0x8D, "n8", 4),
    Opcode("FLOAT", 0x46, "line", 0),
    Opcode("BINFLOAT", 0x47, "f8", 1),
    Opcode("EMPTY_LIST", 0x5D, "", 1),
    Opcode("APPEND", 0x61, "", 0),
    Opcode("APPENDS", 0x65, "", 1),
    Opcode("LIST", 0x6C, "", 0),
    Opcode("EMPTY_TUPLE", 0x29, "", 1),
    Opcode("TUPLE", 0x74, "", 0),
    Opcode("TUPLE1", 0x85, "", 2),
    Opcode("TUPLE2", 0x86, "", 2),
    Opcode("TUPLE3", 0x87, "", 2),
    Opcode("EMPTY_DICT", 0x7D, "", 1),
    Opcode("DICT", 0x64, "", 0),
    Opcode("SETITEM", 0x73, "", 0),
    Opcode("SETITEMS", 0x75, "", 1),
    Opcode("EMPTY_SET", 0x8F, "", 4),
    Opcode("ADDITEMS", 0x90, "", 4),
    Opcode("FROZENSET", 0x91, "", 4),
    Opcode("POP", 0x30, "", 0),
    Opcode("DUP", 0x32, "", 0),
    Opcode("MARK", 0x28, "", 0),
    Opcode("POP_MARK", 0x31, "", 1),
    Opcode("GET", 0x67, "line", 0),
    Opcode("BINGET", 0x68, "u1", 1),
    Opcode("LONG_BINGET", 0x6A, "u4", 1),
    Opcode("PUT", 0x70, "line", 0),
    Opcode("BINPUT", 0x71, "u1", 1),
    Opcode("LONG_BINPUT", 0x72, "u4", 1),
    Opcode("MEMOIZE", 0x94, "", 4),
    Opcode("EXT1", 0x82, "u1", 2),
    Opcode("EXT2", 0x83, "u2", 2),
    Opcode("EXT4", 0x84, "i4", 2),
    Opcode("GLOBAL", 0x63, "lines", 0),
    Opcode("STACK_GLOBAL", 0x93, "", 4),
    Opcode("REDUCE", 0x52, "", 0),
    Opcode("BUILD", 0x62, "", 0),
    Opcode("INST", 0x69, "lines", 0),
    Opcode("OBJ", 0x6F, "", 1),
    Opcode("NEWOBJ", 0x81, "", 2),
    Opcode("NEWOBJ_EX", 0x92, "", 4),
    Opcode("PROTO", 0x80, "u1", 2),
    Opcode("STOP", 0x2E, "", 0),
    Opcode("FRAME", 0x95, "u8", 4),
    Opcode("PERSID", 0x50, "line", 0),
    Opcode("BINPERSID", 0x51, "", 1),
)

BY_CODE: dict[int, Opcode] = {opcode.code: opcode for opcode in OPCODES}
BY_NAME: dict[str, Opcode] = {opcode.name: opcode for opcode in OPCODES}


def spell(code: int) -> str:
    """`code` for a message: its name and byte."""
    found = BY_CODE.get(code)
    return f"0x{code:02x}" if found is None else f"{found.name} (0x{code:02x})"
