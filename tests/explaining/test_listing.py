"""The disassembly against the standard library's, against the machine's own run, and at every place where it stops."""

from __future__ import annotations

import pickle
import pickletools
import random
from collections import OrderedDict
from datetime import date
from itertools import pairwise

import pytest

from safeload.errors import LimitExceeded, Malformed
from safeload.explaining.listing import LONGEST, Line, listing
from safeload.limits import Limits
from safeload.machine import Program, run
from tests.machine.streams import damaged, woven

VALUES = [
    [1, "a", 2.5, None, True, (1, 2), {"k": [b"x"]}, -(1 << 70), 70_000, -5],
    {"a": {1: 2}, "b": [[], {}, ()] * 3, (1, 2, 3): {3, 4}, "f": frozenset({1}), "e": OrderedDict(a=1)},
    [ValueError("x"), complex(1, 2), bytearray(b"y"), date(2020, 1, 2), print],
    [str(i) for i in range(300)] * 2,
]
PAYLOAD = b"cos\nsystem\n(S'echo harmless'\ntR."


def lines(data: bytes, limits: Limits | None = None) -> list[Line]:
    return list(listing(data, 0, limits or Limits()))


def partial(data: bytes, limits: Limits | None = None) -> tuple[Program, str]:
    """What the machine's own run says, and why it stopped."""
    try:
        return run(data, limits=limits or Limits()), ""
    except (Malformed, LimitExceeded) as error:
        return error.partial or Program(0), error.message


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_opcodes_and_offsets_are_those_of_the_standard_library(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    found = lines(data)
    assert [(line.name, line.offset) for line in found] == [(op.name, at) for op, _, at in pickletools.genops(data)]
    for line, (op, argument, _) in zip(found, pickletools.genops(data), strict=True):
        if op.name in {"PROTO", "FRAME", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}:
            assert line.argument == repr(argument)
        elif op.name in {"BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "BINBYTES", "SHORT_BINBYTES"}:
            assert line.argument == ascii(argument)
        elif op.name in {"GET", "BINGET", "LONG_BINGET"}:
            assert line.memo == f"= memo[{argument}]"
        elif op.name in {"PUT", "BINPUT", "LONG_BINPUT"}:
            assert line.memo == f"memo[{argument}] ="
        elif op.arg is None:
            assert line.argument == ""


def test_memoize_counts() -> None:
    found = lines(pickle.dumps([[], {}], 4))
    assert [line.memo for line in found if line.name == "MEMOIZE"] == ["memo[0] =", "memo[1] =", "memo[2] ="]


def test_the_stack_counts_values_and_marks() -> None:
    found = lines(b"(((NN1t(l0]q\x00((Neh\x00e2.")
    assert [(line.name, line.before, line.after) for line in found] == [
        ("MARK", 0, 1), ("MARK", 1, 2), ("MARK", 2, 3), ("NONE", 3, 4), ("NONE", 4, 5), ("POP_MARK", 5, 2),
        ("TUPLE", 2, 2), ("MARK", 2, 3), ("LIST", 3, 3), ("POP", 3, 2), ("EMPTY_LIST", 2, 3), ("BINPUT", 3, 3),
        ("MARK", 3, 4), ("MARK", 4, 5), ("NONE", 5, 6), ("APPENDS", 6, 6),
    ]  # fmt: skip
    assert found[-1].note == "stops here: a mark is where a value should be (byte 16)"


def test_what_an_opcode_does_is_said() -> None:
    notes = {line.name: line.note for line in lines(b"\x80\x02cos\nsystem\nq\x00X\x04\x00\x00\x00id>x\x85Rh\x00}b.")}
    assert notes["GLOBAL"] == "imports os.system"
    assert notes["REDUCE"] == "calls os.system with 'id>x'"
    assert notes["BUILD"] == "gives its state to os.system: {}"
    assert notes["BINGET"] == "os.system"
    assert notes["STOP"].startswith("the object: os.system; not canonical: values or marks are left")
    inst = lines(b"(S'a'\nios\nsystem\n.")[2]
    assert (inst.argument, inst.note) == ("os system", "imports os.system; calls os.system with 'a'")
    renamed = lines(b"c__builtin__\nxrange\n.")[0]
    assert (renamed.argument, renamed.note) == (
        "__builtin__ xrange",
        "imports builtins.range (spelled __builtin__.xrange)",
    )
    assert lines(b"\x82\x05.")[0].note == "imports whatever is registered in copyreg under the number 5"
    assert lines(b"Pa\n.")[0] == Line(0, "PERSID", "'a'", 0, 1, "", "asks the loader for 'a'")
    assert "looks like a pickle" in lines(b"B\x20\x00\x00\x00" + PAYLOAD.ljust(32, b".") + b".")[0].note


def test_where_it_stops_and_why() -> None:
    whole = lines(PAYLOAD)
    assert whole[-1].name == "STOP"
    for cut in range(len(PAYLOAD)):
        found = lines(PAYLOAD[:cut])
        assert found[-1].note.startswith("stops here: "), cut
        *before, last = found
        # A name that is cut off is still imported by CPython, so the line before the last may be a guess of its end.
        assert [line.offset for line in before] == [line.offset for line in whole][: len(before)]
        assert last.before == last.after
    unknown = lines(b"N\xff.")[-1]
    assert unknown == Line(1, "0xff", "", 1, 1, "", "stops here: byte 1 is 0xff, which is no opcode")
    assert lines(b"N")[-1].name == ""
    assert lines(b"")[0].note.startswith("stops here: ")


@pytest.mark.parametrize("seed", range(4))
def test_it_says_what_the_machine_does_for_any_bytes(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        data = woven(rng) if rng.random() < 0.5 else damaged(rng)
        program, message = partial(data)
        found = lines(data)
        if program.whole:
            assert (found[-1].name, len(found)) == ("STOP", program.opcodes)
        else:
            assert found[-1].note[:100] == f"stops here: {message}"[:100] or not message.isprintable()
            assert found[-1].offset == program.end
        said = sum(line.note.count("imports ") for line in found)
        assert said >= sum(type(effect).__name__ == "Global" for effect in program.effects)
        for before, after in pairwise(found):
            assert (before.after, before.offset < after.offset) == (after.before, True)
        for line in found:
            text = "".join((line.name, line.argument, line.memo, line.note))
            assert text.isascii()
            assert text.isprintable() or not text
            assert max(len(line.argument), len(line.note)) <= LONGEST + 100


def test_a_limit_is_where_it_stops() -> None:
    found = lines(b"NNNNN.", Limits(opcodes=3))
    assert [line.name for line in found] == ["NONE", "NONE", "NONE", "NONE"]
    assert found[-1].note.startswith("stops here: more than 3 opcodes (byte 3); raise it with --limit opcodes")


def test_bytes_may_come_as_they_are_needed() -> None:
    data = pickle.dumps(VALUES[0], 2)
    asked: list[int] = []

    def more(length: int) -> bytes:
        asked.append(length)
        return data[: length + 3]

    assert list(listing(data[:4], 0, Limits(), more=more)) == lines(data)
    assert asked
    assert list(listing(b"junk" + data, 4, Limits()))[-1].offset == lines(data)[-1].offset + 4


def test_only_what_is_wanted_is_put_into_words() -> None:
    data = pickle.dumps(VALUES[3], 2)
    every = lines(data)
    some = list(listing(data, 0, Limits(), wanted=lambda number, offset: number % 100 == 7 or offset == 0))
    assert some == [line for number, line in enumerate(every) if number % 100 == 7 or line.offset == 0]
    # The line that says why it stops always comes.
    assert len(list(listing(data[:-1], 0, Limits(), wanted=lambda *_: False))) == 1


def test_chains_of_any_length_are_said_shortly() -> None:
    for data in (b"cos\nsystem\n" + b")R" * 5000 + b".", b"N" + b"Q" * 5000 + b".", b")" + b"\x85" * 5000 + b"R."):
        assert max(len(line.note) for line in lines(data)) <= LONGEST
