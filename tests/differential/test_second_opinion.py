"""The second reader against safeload: they agree on samples and real files, and a machine that is wrong is seen."""

from __future__ import annotations

import io
import os
import pickle as standard
import random
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import pytest

from safeload import scan
from safeload.findings import Verdict
from safeload.machine import Call, Global, Program
from safeload.scanning import reader as reading
from safeload.scanning import streams
from samples.assemble import (
    ECHO,
    ORDERED_DICT,
    call,
    name,
    old_storage,
    pickle,
    stack_name,
    tensor,
)
from samples.build import SAMPLES
from samples.files_of_torch import legacy, zip_of
from tests.differential.second_opinion import second_opinion
from tests.differential.second_reader import derive
from tests.differential.second_table import Differs, Outside


def agrees(data: bytes) -> None:
    """Both take it, and see the same."""
    derive(data)
    assert scan(data).verdict is Verdict.CLEAN
    assert second_opinion(data) == ""


def refuses(data: bytes, why: str) -> None:
    """The second reader does not take it, and safeload does not call it clean."""
    with pytest.raises(Outside, match=why):
        derive(data)
    assert scan(data).verdict is not Verdict.CLEAN


# A machine that is wrong.

PLACES = {
    "zip": zip_of({"w": tensor(), "x": ECHO}).build(),
    "legacy": legacy({"w": tensor(old_storage()), "x": ECHO}, {"0": (4, b"\0" * 16)}),
    "pickle": pickle({"x": ECHO}),
    "name alone": pickle({"x": name("os", "system")}),
    "by the stack": pickle({"x": call(stack_name("os", "system"), "echo safeload-sample")}),
}
GOOD = {
    "zip": zip_of({"w": tensor()}).build(),
    "legacy": legacy({"w": tensor(old_storage())}, {"0": (4, b"\0" * 16)}),
    "pickle": pickle({"x": ORDERED_DICT}),
}


def mistaken(monkeypatch: pytest.MonkeyPatch, mistake: Any) -> None:
    """The machine makes a mistake from here on."""
    interpret = reading.interpret

    def wrong(*args: Any) -> Program:
        program = interpret(*args)
        mistake(program)
        return program

    monkeypatch.setattr(reading, "interpret", wrong)


@pytest.mark.parametrize("place", PLACES)
def test_a_machine_that_sees_no_os_system_is_seen(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(program: Program) -> None:
        nodes = [e.func if isinstance(e, Call) else e for e in program.effects]
        seen = [not (isinstance(n, Global) and n.module == "os") for n in nodes]
        program.effects = [e for e, kept in zip(program.effects, seen, strict=True) if kept]

    data = PLACES[place]
    assert (scan(data).verdict, second_opinion(data)) == (Verdict.DANGEROUS, "")
    mistaken(monkeypatch, blind)
    assert scan(data).verdict is Verdict.CLEAN  # the mistake
    assert second_opinion(data) == "clean, and the second reader sees 'os.system' in it"


def _twice(program: Program) -> None:
    program.effects += [e for e in program.effects if isinstance(e, Call)]


def _fewer_opcodes(program: Program) -> None:
    program.opcodes -= 1


@pytest.mark.parametrize(("mistake", "field"), [(_twice, "calls"), (_fewer_opcodes, "opcodes")])
@pytest.mark.parametrize("place", GOOD)
def test_a_machine_that_counts_otherwise_is_seen(
    place: str, mistake: Any, field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agrees(GOOD[place])
    mistaken(monkeypatch, mistake)
    assert field in second_opinion(GOOD[place])


# Pickles in a row: one unpickler keeps its memo.

HIDDEN = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94\x86."
SHOWN = b"\x80\x04\x8c\x0bcollections\x94\x8c\x0bOrderedDict\x94h\x00h\x01\x93\x87."
PLAIN = b"\x80\x04N\x94."
PUT = b"\x80\x02X\x01\x00\x00\x00aq\x00h\x00\x86."


def test_a_row_that_names_something_else_with_one_memo_is_refused() -> None:
    """A new unpickler for each pickle sees OrderedDict; one for both sees os.system."""
    for alone in (HIDDEN, SHOWN, PLAIN, PUT):
        agrees(alone)
    seen = io.BytesIO(HIDDEN + SHOWN)
    kept = standard.Unpickler(seen)
    kept.load()
    assert (kept.load()[2], standard.loads(SHOWN)[2]) == (os.system, OrderedDict)
    for row in (HIDDEN + SHOWN, PLAIN + SHOWN, PUT + SHOWN):
        refuses(row, "depends on those before it")


def test_a_row_that_an_unpickler_joins_late_is_refused() -> None:
    """Read from the first pickle on, the third does what it does alone; read from the second on, it breaks."""
    first, second, third = b"\x80\x04K\x01q\x00.", b"\x80\x04Nq\x05.", b"\x80\x04K\x01\x94h\x00\x86."
    agrees(first + third)
    refuses(second + third, "depends on those before it: .* KeyError")
    refuses(first + second + third, "depends on those before it: .* KeyError")


def test_a_scan_that_begins_anew_with_each_pickle_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mistake that a reader makes easily: one memo for each pickle of a row, and none for all of them."""
    monkeypatch.setattr(streams.Row, "next", lambda *args: None)
    for row in (HIDDEN + SHOWN, PLAIN + SHOWN):
        assert scan(row).verdict is Verdict.CLEAN  # the mistake
        assert "clean, and the pickle at " in second_opinion(row)


def test_a_row_that_does_not_read_what_others_left_is_taken() -> None:
    for row in (PUT + PUT, PLAIN + PUT, HIDDEN + PLAIN, PUT + HIDDEN, SHOWN + PLAIN + PUT):
        agrees(row)
    with pytest.raises(Outside, match="so many pickles"):
        derive(PUT * 65)


def _pickle(rng: random.Random) -> bytes:
    """Words into the memo, and a name or a tuple out of it."""
    out, indices = [b"\x80\x04"], list[int]()
    for word in rng.choices(
        [b"collections", b"OrderedDict", b"os", b"system"], weights=[4, 4, 1, 1], k=rng.randrange(4)
    ):
        index = rng.choice([len(indices)] * 4 + [rng.randrange(4)])
        put = rng.choice([b"\x94", b"q" + bytes([index])]) if index == len(indices) else b"q" + bytes([index])
        out += [b"\x8c" + bytes([len(word)]) + word, put, b"0"]
        indices.append(index)
    got = [b"h" + bytes([index]) for index in rng.sample(indices, rng.randrange(len(indices) + 1))]
    return b"".join([*out, *got, b"\x93."]) if len(got) == 2 else b"".join([*out, b"(", *got, b"t."])


def test_rows_of_pickles() -> None:
    rng = random.Random(2)
    found = Counter[str]()
    for _ in range(3000):
        data = b"".join(_pickle(rng) for _ in range(rng.choice([2, 2, 3, 4])))
        assert second_opinion(data) == "", data
        try:
            derive(data)
            found["taken"] += 1
        except Outside as error:
            found["differs" if isinstance(error, Differs) else "name" if error.name else "outside"] += 1
    assert min(found[kind] for kind in ("taken", "differs", "name")) > 100, found


# All of the samples, real files, and what comes of samples by chance.


def test_samples() -> None:
    assert [(s.path, why) for s in SAMPLES if (why := second_opinion(s.data))] == []
    taken = {s.path for s in SAMPLES if _taken(s.data)}
    # What is taken runs nothing: bytes that look like a pickle, and lists in lists beyond the scan's limit.
    hostile = {s.path for s in SAMPLES if s.verdict != Verdict.CLEAN.value}
    assert taken & hostile == {"memory/deep-nesting.pkl", "names/pickle-in-bytes.pkl"}
    assert len(taken) > 12


def _taken(data: bytes) -> bool:
    try:
        derive(data)
    except Outside:
        return False
    return True


WILD = Path(__file__).resolve().parents[3] / "shared" / "wild" / "files"


@pytest.mark.skipif(not WILD.is_dir(), reason="the collection of real checkpoints is not here")
def test_real_checkpoints() -> None:
    found = {file: (WILD / file).read_bytes() for file in sorted(os.listdir(WILD))}
    assert {file: why for file, data in found.items() if (why := second_opinion(data))} == {}
    assert sum(map(_taken, found.values())) > 60


def test_altered_samples() -> None:
    generator = random.Random(11)
    seeds = [s.data for s in SAMPLES if len(s.data) < 20_000]
    taken = 0
    for _ in range(5000):
        data = bytearray(generator.choice(seeds))
        for _ in range(generator.choice((1, 1, 1, 2, 4))):
            if not data:
                break
            at = generator.randrange(len(data))
            match generator.randrange(4):
                case 0:
                    data[at] ^= 1 << generator.randrange(8)
                case 1:
                    del data[at : at + generator.randrange(1, 9)]
                case 2:
                    data[at:at] = generator.randbytes(generator.randrange(1, 5))
                case _:
                    data[at:at] = generator.choice(seeds)[:64]
        assert second_opinion(bytes(data)) == "", bytes(data)
        taken += _taken(bytes(data))
    assert taken > 5
