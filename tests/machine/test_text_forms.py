"""Spellings that CPython's readers and versions do not share: noted, and read on. Issue numbers are CPython's."""

from __future__ import annotations

import codecs
import io
import pickle
import warnings

import pytest

from safeload.errors import LimitExceeded, Malformed
from safeload.machine import Call, Global, run

INF = float("inf")

NOTED: list[tuple[bytes, object]] = [
    # 126992: base 0 or base 10
    (b"I0x1f\n.", 31),
    (b"I010\n.", 8),
    (b"I-010\n.", -8),
    (b"I0b1\n.", 1),
    (b"I001\n.", 1),
    (b"I1_000\n.", 1000),
    (b"L0x1fL\n.", 31),
    (b"L1_0L\n.", 10),
    # 135241: what has three bytes and is 0 or 1
    (b"I 0\n.", 0),
    (b"I+1\n.", 1),
    (b"I-0\n.", 0),
    (b"I1 \n.", 1),
    (b"I\t1\n.", 1),
    (b"I1\r\n.", 1),
    # 126996: zero bytes
    (b"I1\x00anything\n.", 1),
    (b"L1\x00anything\n.", 1),
    (b"F1.5\x00anything\n.", 1.5),
    # L or no L
    (b"L1\n.", 1),
    (b"L+1L\n.", 1),
    (b"L 1L\n.", 1),
    # 135580: spaces; underscores and signs
    (b"F 1.5\n.", 1.5),
    (b"F1.5 \n.", 1.5),
    (b"F1_0\n.", 10.0),
    (b"F+1.5\n.", 1.5),
    (b"F.5\n.", 0.5),
    (b"F5.\n.", 5.0),
    (b"F1E5\n.", 100000.0),
    (b"Finfinity\n.", INF),
    (b"FInf\n.", INF),
    (b"F1e999\n.", INF),
    # 144410 and the like: memo indices
    (b"Np01\n0g1\n.", None),
    (b"Np 1\n0g1\n.", None),
    (b"Np+1\n0g1\n.", None),
    (b"Np1_0\n0g10\n.", None),
    (b"Np-0\n0g0\n.", None),
    (b"Np1\n0g01\n.", None),
    (b"Np9223372036854775808\n.", None),
    (b"Np70000000\n.", None),
    (b"Nr\x00\x00\x00\x04.", None),
    (b"Nr\xff\xff\xff\xff.", None),
    # escapes that bytes literals warn about
    (b"S'\\q'\n.", "\\q"),
    # 127079: leftovers
    (b"K\x01N.", None),
    (b"(N.", None),
    # PROTO again, or late
    (b"\x80\x02\x80\x02N.", None),
    (b"N0\x80\x02N.", None),
    # nothing given to something that is no list or set
    (b"N(e.", None),
    (b"N(\x90.", None),
]


@pytest.mark.parametrize(("data", "expected"), NOTED)
def test_noted_and_read_on(data: bytes, expected: object) -> None:
    program = run(data)
    assert program.notes
    assert program.value == expected
    assert type(program.value) is type(expected)
    # what follows is still seen
    evil = run(data[:-1] + b"cos\nsystem\n.")
    assert [type(e) for e in evil.effects] == [Global]


CANONICAL: list[tuple[bytes, object]] = [
    (b"I0\n.", 0),
    (b"I1\n.", 1),
    (b"I10\n.", 10),
    (b"I-1\n.", -1),
    (b"I99999999999999999999\n.", 99999999999999999999),
    (b"L0L\n.", 0),
    (b"L-5L\n.", -5),
    (b"F0\n.", 0.0),
    (b"F-0.0\n.", -0.0),
    (b"F1.0000000000000001e+16\n.", 1e16),
    (b"F0.10000000000000001\n.", 0.1),
    (b"Finf\n.", INF),
    (b"V\\u00e9\\x\n.", "\u00e9\\x"),
]


@pytest.mark.parametrize(("data", "expected"), CANONICAL)
def test_what_pickle_writes_is_canonical(data: bytes, expected: object) -> None:
    program = run(data)
    assert not program.notes
    assert repr(program.value) == repr(expected) == repr(pickle.loads(data))
    assert repr(pickle._loads(data)) == repr(expected)  # type: ignore[attr-defined]


REFUSED = [
    b"I\n.", b"L\n.", b"LL\n.", b"F\n.", b"g\n.", b"Np\n.", b"Ix\n.", b"L1LL\n.", b"Fx\n.", b"F1.5.\n.", b"I1.5\n.",
    b"I\xff\n.", b"I\xd9\xa1\n.", b"I" + b"word " * 900 + b"\n.", b"Np-1\n.",
    b"Np1\n0g2\n.", b"Ng-1\n.", b"S\n.", b"S'\n.", b"Sa\n.", b"S'a\"\n.", b"S'a' \n.", b"S'\\x4'\n.", b"S'\\'\n.",
    b"S'\xff'\n.", b"V\\u12\n.", b"V\\ud8\n.", b"V\\U99999999\n.", b"U\x01\xff.", b"X\x01\x00\x00\x00\xff.",
    b"\x8c\x01\xff.", b"c\xff\na\n.", b"(i\xc3\xa9\na\n.", b"(ia\n\xff\n.", b"P\xff\n.",
    b"\x80\x06N.", b"\x80\xffN.", b"\xff.", b"\x00.", b"", b".", b"(.", b"0.", b"1.", b"2.", b"(2.", b"t.", b"\x85.",
    b"(\x85.", b"N\x86.", b"N(N\x86.", b"N\x87.", b"NN\x87.", b"NN(N\x87.", b"R.", b"NR.", b"N(NR.", b"(o.", b"N(o.",
    b"o.", b"iA\nB\n.", b"\x81.", b"N\x81.", b"N(N\x81.", b"\x92.", b"NN\x92.", b"N(NN\x92.", b"b.", b"Nb.", b"N(Nb.",
    b"a.", b"Na.", b"](Na.", b"e.", b"(e.", b"s.", b"NNs.", b"}(NNs.", b"u.", b"(u.", b"}(Nu.", b"}N(NNNu.", b"(Nd.",
    b"(NNNd.", b"\x90.", b"(\x90.", b"q\x00.", b"(q\x00.", b"r\x00\x00\x00\x00.", b"p0\n.", b"\x94.", b"(\x94.",
    b"h\x00.", b"j\x00\x00\x00\x00.", b"g0\n.", b"Q.", b"(Q.", b"\x98.", b"N\x98.", b"]\x98.", b"\x93.", b"N\x93.",
    b"NN\x93.", b"\x8c\x01aN\x93.", b"\x8c\x01a(\x8c\x01a\x93.", b"}(]Nu.", b"}]Ns.", b"\x8f(]\x90.", b"(}\x91.",
    b"}\x8f(\x90Ns.", b"(\x96" + b"\0" * 8 + b"\x91.", b"}(N(]tNu.", b"\x8a\x05.", b"\x8b\xff\xff\xff\xff.",
    b"\x8b\x00\x00\x00\x80.", b"J\x00.", b"G\x00.", b"M\x00.", b"K", b"\x95" + b"\xff" * 8 + b"N.",
    b"\x96" + b"\xff" * 8 + b"N.", b"\x8d" + b"\xff" * 8 + b"N.", b"\x8e" + b"\xff" * 8 + b"N.",
]  # fmt: skip


@pytest.mark.parametrize("data", REFUSED)
def test_refused_by_both(data: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        run(data)
    assert caught.value.offset is not None
    assert caught.value.partial is not None
    with pytest.raises(Exception):  # noqa: B017, PT011
        Reference(io.BytesIO(data)).load()


class Reference(pickle.Unpickler):
    """Python's own, which takes every persistent id. (Since 3.13 its method cannot be set on an object.)"""

    def persistent_load(self, pid: object) -> None:
        return None


@pytest.mark.parametrize(
    "spelled", [b"9" * 4301, b"1_" * 2200 + b"1", b" " * 4400 + b"1", b"1" + b" " * 4400, b"0x" + b"abcde" * 900]
)
@pytest.mark.parametrize(("before", "after"), [(b"I", b"\n."), (b"L", b"L\n."), (b"L", b"\n."), (b"Np", b"\n.")])
def test_an_integer_that_another_reader_converts_is_a_limit(spelled: bytes, before: bytes, after: bytes) -> None:
    # Blanks and underscores are no digits, hexadecimal digits have no limit, and the limit is a setting.
    with pytest.raises(LimitExceeded) as caught:
        run(before + spelled + after)
    assert caught.value.limit == "integer_bytes"


@pytest.mark.parametrize(
    "text",
    [
        b"plain", b"\\\\", b"\\'", b'\\"', b"\\a\\b\\f\\n\\r\\t\\v", b"\\0", b"\\01", b"\\012", b"\\0123", b"\\18",
        b"\\8", b"\\x41\\x4f", b"\\X41", b"\\\\x41", b"\\q\\w", b"\\u1234", b"\\377", b"\\777", b"\\400",
    ],
)  # fmt: skip
def test_escapes_are_those_of_bytes_literals(text: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = codecs.escape_decode(text)[0]
    program = run(b"S'" + text + b"'\n.", encoding="bytes")
    assert program.value == expected
    unusual = any(part in text for part in (b"\\8", b"\\X", b"\\q", b"\\u", b"\\777", b"\\400"))
    assert bool(program.notes) == unusual


def test_arguments_that_are_no_tuple_are_noted_and_kept() -> None:
    program = run(b"cos\nsystem\n]R.")
    assert program.notes
    call = program.value
    assert isinstance(call, Call)
    assert call.args == []
    assert run(b"cos\nsystem\n)]\x92.").notes


def test_a_name_cut_off_at_the_end_is_still_an_effect() -> None:
    # CPython drops the last byte as if it were the newline, imports, and only then runs out of input.
    with pytest.raises(Malformed) as caught:
        run(b"cevil\nnamex")
    (found,) = caught.value.partial.effects
    assert (found.module, found.name) == ("evil", "name")
    assert caught.value.offset == 11


def test_an_empty_name_is_noted_and_kept() -> None:
    for data in (b"c\na\n.", b"ca\n\n.", b"(ia\n\n."):
        program = run(data)
        assert program.notes
        assert isinstance(program.effects[0], Global)


def test_what_ran_before_a_break_is_kept() -> None:
    data = b"cos\nsystem\nX\x02\x00\x00\x00id\x85R\xff"
    with pytest.raises(Malformed) as caught:
        run(data)
    partial = caught.value.partial
    assert [type(e) for e in partial.effects] == [Global, Call]
    assert (partial.whole, partial.end, caught.value.offset, partial.value) == (False, 20, 20, None)


def test_notes_are_bounded() -> None:
    program = run(b"I 0\n0" * 5000 + b"N.")
    assert 1 <= len(program.notes) <= 1000
