"""The table of opcodes against the standard library's, and every opcode through the machine."""

from __future__ import annotations

import ast
import pickletools
import re
from pathlib import Path

import pytest

from safeload.errors import Malformed
from safeload.machine import (
    OPCODES,
    Buffer,
    Call,
    Extension,
    Global,
    Mutation,
    Persistent,
    Program,
    run,
)
from safeload.machine.handlers import BY_OPCODE
from safeload.machine.objects import SPARSE_MEMO
from safeload.machine.opcodes import ARGUMENTS, BY_CODE, spell

_LOOP = Path(__file__).parents[2] / "safeload" / "machine" / "interpreter.py"

# The argument forms of pickletools, by name.
_FORMS = {
    None: "",
    "decimalnl_short": "line",
    "decimalnl_long": "line",
    "floatnl": "line",
    "stringnl": "line",
    "unicodestringnl": "line",
    "stringnl_noescape": "line",
    "stringnl_noescape_pair": "lines",
    "int4": "i4",
    "uint1": "u1",
    "uint2": "u2",
    "uint4": "u4",
    "uint8": "u8",
    "float8": "f8",
    "long1": "n1",
    "long4": "n4",
    "string1": "n1",
    "string4": "n4",
    "bytes1": "n1",
    "bytes4": "n4",
    "bytes8": "n8",
    "bytearray8": "n8",
    "unicodestring1": "n1",
    "unicodestring4": "n4",
    "unicodestring8": "n8",
}


def test_the_table_is_that_of_the_standard_library() -> None:
    theirs = {(op.name, ord(op.code), _FORMS[op.arg.name if op.arg else None], op.proto) for op in pickletools.opcodes}
    assert {tuple(op) for op in OPCODES} == theirs
    assert len(OPCODES) == len(BY_CODE) == 68
    assert {op.argument for op in OPCODES} <= set(ARGUMENTS)


def test_a_code_is_spelled_with_its_name() -> None:
    assert spell(0x52) == "REDUCE (0x52)"
    assert spell(0xFF) == "0xff"


def test_each_opcode_is_read_in_exactly_one_place() -> None:
    source = _LOOP.read_text()
    loop = next(n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef) and n.name == "_loop")
    lines = source.splitlines()[loop.lineno - 1 : loop.end_lineno]
    inline: dict[str, int] = {}
    for line in lines:
        if re.match(r" {12}(el)?if op == ", line):
            codes = [int(code, 16) for code in re.findall(r"op == 0x([0-9A-F]{2})", line)]
            names = re.findall(r"\b[A-Z][A-Z0-9_]+\b", line.partition("#")[2].replace("PLR1714", ""))
            assert len(codes) == len(names), line
            inline.update(zip(names, codes, strict=True))
    assert inline == {op.name: op.code for op in OPCODES if op.name in inline}
    assert not set(inline) & set(BY_OPCODE)
    assert set(inline) | set(BY_OPCODE) == {op.name for op in OPCODES}
    assert f"index >= 0x{SPARSE_MEMO:X}" in source


def value(data: bytes) -> object:
    program = run(data)
    assert program.whole
    assert program.end == len(data)
    assert not program.notes, [n.message for n in program.notes]
    return program.value


# One literal expectation for every opcode that only makes plain data.
PLAIN: list[tuple[str, bytes, object]] = [
    ("INT", b"I-42\n.", -42),
    ("INT", b"I01\n.", True),
    ("INT", b"I00\n.", False),
    ("BININT", b"J\xfe\xff\xff\xff.", -2),
    ("BININT", b"J\xff\xff\xff\x7f.", 2147483647),
    ("BININT1", b"K\xff.", 255),
    ("BININT2", b"M\x01\x02.", 513),
    ("LONG", b"L-12345678901234567890L\n.", -12345678901234567890),
    ("LONG1", b"\x8a\x00.", 0),
    ("LONG1", b"\x8a\x02\x00\x80.", -32768),
    ("LONG4", b"\x8b\x02\x00\x00\x00\xff\x7f.", 32767),
    ("STRING", b"S'a\\n\\x41\\101\\'\"'\n.", "a\nAA'\""),
    ("STRING", b'S""\n.', ""),
    ("BINSTRING", b"T\x02\x00\x00\x00ab.", "ab"),
    ("SHORT_BINSTRING", b"U\x02ab.", "ab"),
    ("BINBYTES", b"B\x02\x00\x00\x00\xff\x00.", b"\xff\x00"),
    ("SHORT_BINBYTES", b"C\x02\xff\x00.", b"\xff\x00"),
    ("BINBYTES8", b"\x8e\x02\x00\x00\x00\x00\x00\x00\x00\xff\x00.", b"\xff\x00"),
    ("BYTEARRAY8", b"\x96\x02\x00\x00\x00\x00\x00\x00\x00\xff\x00.", bytearray(b"\xff\x00")),
    ("NONE", b"N.", None),
    ("NEWTRUE", b"\x88.", True),
    ("NEWFALSE", b"\x89.", False),
    ("UNICODE", b"V\\u20ac\xe9\\ud800\n.", "\u20ac\xe9\ud800"),
    ("UNICODE", b"V\n.", ""),
    ("SHORT_BINUNICODE", b"\x8c\x03\xe2\x82\xac.", "\u20ac"),
    ("BINUNICODE", b"X\x03\x00\x00\x00\xed\xa0\x80.", "\ud800"),
    ("BINUNICODE8", b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a.", "a"),
    ("FLOAT", b"F-1.5e-07\n.", -1.5e-07),
    ("FLOAT", b"F-inf\n.", float("-inf")),
    ("BINFLOAT", b"G\x3f\xf8\x00\x00\x00\x00\x00\x00.", 1.5),
    ("EMPTY_LIST", b"].", []),
    ("APPEND", b"]K\x01a.", [1]),
    ("APPENDS", b"](K\x01K\x02e.", [1, 2]),
    ("LIST", b"(K\x01K\x02l.", [1, 2]),
    ("EMPTY_TUPLE", b").", ()),
    ("TUPLE", b"(K\x01K\x02K\x03K\x04t.", (1, 2, 3, 4)),
    ("TUPLE1", b"K\x01\x85.", (1,)),
    ("TUPLE2", b"K\x01K\x02\x86.", (1, 2)),
    ("TUPLE3", b"K\x01K\x02K\x03\x87.", (1, 2, 3)),
    ("EMPTY_DICT", b"}.", {}),
    ("DICT", b"(K\x01NK\x02Nd.", {1: None, 2: None}),
    ("SETITEM", b"}K\x01Ns.", {1: None}),
    ("SETITEMS", b"}(K\x01NK\x02Nu.", {1: None, 2: None}),
    ("EMPTY_SET", b"\x8f.", set()),
    ("ADDITEMS", b"\x8f(K\x01K\x02\x90.", {1, 2}),
    ("FROZENSET", b"(K\x01K\x02\x91.", frozenset({1, 2})),
    ("POP", b"K\x01K\x020.", 1),
    ("POP", b"K\x01(0.", 1),
    ("DUP", b"K\x012\x86.", (1, 1)),
    ("MARK", b"((tt.", ((),)),
    ("POP_MARK", b"K\x01(K\x02K\x031.", 1),
    ("GET", b"K\x05p1000\n0g1000\n.", 5),
    ("BINGET", b"K\x05q\x070h\x07.", 5),
    ("LONG_BINGET", b"K\x05r\x07\x01\x00\x000j\x07\x01\x00\x00.", 5),
    ("PUT", b"K\x05p0\n.", 5),
    ("BINPUT", b"K\x05q\x00.", 5),
    ("LONG_BINPUT", b"K\x05r\x00\x00\x00\x02.", 5),
    # MEMOIZE takes the number of entries: 0, then (entry 5 added) 2
    ("MEMOIZE", b"K\x07\x94K\x08q\x05K\x09\x94000h\x02.", 9),
    ("PROTO", b"\x80\x05N.", None),
    ("STOP", b"N.", None),
    ("FRAME", b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", None),
    ("READONLY_BUFFER", b"C\x01a\x98.", b"a"),
]


@pytest.mark.parametrize(("name", "data", "expected"), PLAIN)
def test_plain_data(name: str, data: bytes, expected: object) -> None:
    found = value(data)
    assert found == expected
    assert type(found) is type(expected)
    assert BY_CODE[next(op.code for op in OPCODES if op.name == name)].code in data


def effects(data: bytes) -> Program:
    program = run(data)
    assert program.whole
    assert not program.notes, [n.message for n in program.notes]
    return program


def test_global_keeps_raw_and_resolved_names() -> None:
    (found,) = effects(b"c__builtin__\neval\n.").effects
    assert isinstance(found, Global)
    assert (found.module, found.name) == ("builtins", "eval")
    assert (found.raw_module, found.raw_name) == ("__builtin__", "eval")
    assert (found.protocol, found.offset) == (0, 0)


def test_stack_global_takes_any_text_on_the_stack() -> None:
    program = effects(b"\x80\x04\x8c\x02os\x94X\x06\x00\x00\x00system\x94h\x00h\x01\x930\x93.")
    assert [(e.module, e.name, e.offset) for e in program.effects if isinstance(e, Global)] == [
        ("os", "system", 23),
        ("os", "system", 25),
    ]
    assert program.value is program.effects[1]


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("REDUCE", b"ca\nb\nK\x01\x85R.", "reduce"),
        ("NEWOBJ", b"ca\nb\nK\x01\x85\x81.", "newobj"),
        ("OBJ", b"(ca\nb\nK\x01o.", "obj"),
        ("INST", b"(K\x01ia\nb\n.", "inst"),
    ],
)
def test_calls(name: str, data: bytes, kind: str) -> None:
    program = effects(data)
    named, call = program.effects
    assert isinstance(named, Global)
    assert isinstance(call, Call)
    assert (call.kind, call.func, call.args, call.kwargs, call.mutations) == (kind, named, (1,), None, None)
    assert program.value is call


def test_newobj_ex() -> None:
    program = effects(b"\x80\x04ca\nb\n)}\x8c\x01kK\x01s\x92.")
    call = program.value
    assert isinstance(call, Call)
    assert (call.kind, call.args, call.kwargs) == ("newobj_ex", (), {"k": 1})


def test_a_popped_call_is_still_an_effect() -> None:
    program = effects(b"cos\nsystem\nX\x02\x00\x00\x00id\x85R0N.")
    assert program.value is None
    assert [type(e) for e in program.effects] == [Global, Call]


def test_mutations_are_effects_and_belong_to_their_call() -> None:
    program = effects(b"ca\nb\n)R}b(K\x01K\x02e(K\x01Nu\x8f0(K\x03\x90K\x04aK\x05K\x06s.")
    call = program.value
    assert isinstance(call, Call)
    assert call.mutations is not None
    assert [e for e in program.effects if isinstance(e, Mutation)] == call.mutations
    assert [(m.kind, m.payload) for m in call.mutations] == [
        ("build", {}),
        ("append", [1, 2]),
        ("setitem", [1, None]),
        ("additem", [3]),
        ("append", [4]),
        ("setitem", [5, 6]),
    ]


@pytest.mark.parametrize(
    "data", [b"]}b.", b"ca\nb\n}b.", b"}K\x01a.", b"]K\x00K\x01s.", b"K\x01(K\x02\x90.", b"N(K\x01Ne."]
)
def test_a_change_of_something_else_is_an_effect_too(data: bytes) -> None:
    program = run(data)
    assert isinstance(program.effects[-1], Mutation)
    assert program.effects[-1].target is program.value


@pytest.mark.parametrize(
    ("data", "code"), [(b"\x82\x01.", 1), (b"\x83\x01\x02.", 513), (b"\x84\x01\x00\x00\x01.", 16777217)]
)
def test_extensions(data: bytes, code: int) -> None:
    (found,) = effects(data).effects
    assert isinstance(found, Extension)
    assert found.code == code


@pytest.mark.parametrize("data", [b"\x82\x00.", b"\x83\x00\x00.", b"\x84\x00\x00\x00\x00.", b"\x84\xff\xff\xff\xff."])
def test_extension_codes_are_above_zero(data: bytes) -> None:
    with pytest.raises(Malformed):
        run(data)


def test_persistent_ids() -> None:
    program = effects(b"Pabc d\n(K\x01tQ\x86.")
    assert [(e.pid, e.text, e.offset) for e in program.effects if isinstance(e, Persistent)] == [
        ("abc d", True, 0),
        ((1,), False, 11),
    ]


def test_buffers() -> None:
    program = effects(b"\x80\x05\x97\x98.")
    (found,) = program.effects
    assert isinstance(found, Buffer)
    assert program.value is found


def test_the_opcodes_of_this_file_are_all_of_them() -> None:
    source = Path(__file__).read_text()
    for op in OPCODES:
        assert op.name in {name for name, _, _ in PLAIN} or op.name in source or op.name[:-1] == "EXT", op.name
    elsewhere = {
        "GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "OBJ", "INST", "NEWOBJ_EX", "BUILD", "EXT1", "EXT2", "EXT4",
        "PERSID", "BINPERSID", "NEXT_BUFFER",
    }  # fmt: skip
    assert {name for name, _, _ in PLAIN} | elsewhere == {op.name for op in pickletools.opcodes}
