"""The table from opcode to handler, for the opcodes that the interpreter's loop does not execute itself.

A test checks that each of the 68 opcodes is in the loop or in this table, and in one of them only.
"""

from __future__ import annotations

from collections.abc import Callable

from safeload.errors import Malformed
from safeload.machine import literals, objects
from safeload.machine.opcodes import BY_NAME
from safeload.machine.state import State

Handler = Callable[[State, int], None]

BY_OPCODE: dict[str, Handler] = {
    "INT": literals.load_int,
    "LONG": literals.load_long,
    "LONG1": literals.load_long1,
    "LONG4": literals.load_long4,
    "FLOAT": literals.load_float,
    "STRING": literals.load_string,
    "BINSTRING": literals.load_binstring,
    "SHORT_BINSTRING": literals.load_short_binstring,
    "UNICODE": literals.load_unicode,
    "BINUNICODE8": literals.load_binunicode8,
    "BINBYTES": literals.load_binbytes,
    "SHORT_BINBYTES": literals.load_short_binbytes,
    "BINBYTES8": literals.load_binbytes8,
    "BYTEARRAY8": literals.load_bytearray8,
    "POP": objects.load_pop,
    "POP_MARK": objects.load_pop_mark,
    "DUP": objects.load_dup,
    "GET": objects.load_get,
    "PUT": objects.load_put,
    "LIST": objects.load_list,
    "DICT": objects.load_dict,
    "EMPTY_SET": objects.load_empty_set,
    "FROZENSET": objects.load_frozenset,
    "APPEND": objects.load_append,
    "APPENDS": objects.load_appends,
    "SETITEM": objects.load_setitem,
    "SETITEMS": objects.load_setitems,
    "ADDITEMS": objects.load_additems,
    "GLOBAL": objects.load_global,
    "STACK_GLOBAL": objects.load_stack_global,
    "INST": objects.load_inst,
    "OBJ": objects.load_obj,
    "NEWOBJ": objects.load_newobj,
    "NEWOBJ_EX": objects.load_newobj_ex,
    "BUILD": objects.load_build,
    "EXT1": objects.load_ext1,
    "EXT2": objects.load_ext2,
    "EXT4": objects.load_ext4,
    "PERSID": objects.load_persid,
    "NEXT_BUFFER": objects.load_next_buffer,
    "READONLY_BUFFER": objects.load_readonly_buffer,
    "PROTO": objects.load_proto,
    "FRAME": objects.load_frame,
}


def load_unknown(state: State, offset: int) -> None:
    """A byte that is no opcode."""
    code = state.data[offset]
    raise Malformed(f"byte {offset} is 0x{code:02x}, which is no opcode", offset=offset)


def table() -> list[Handler]:
    """The handler of each byte, in order."""
    handlers: list[Handler] = [load_unknown] * 256
    for name, handler in BY_OPCODE.items():
        handlers[BY_NAME[name].code] = handler
    return handlers
