"""A seeded slice of the campaign, and that it would see a machine which is wrong. `campaign.py` runs more of it."""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safeload.findings import Verdict
from safeload.machine import OPCODES, Program, run
from safeload.scanning.scanner import scan
from tests.differential import campaign, judging_cases, pickles, spellings
from tests.differential.judging_cases import Judged
from tests.differential.opcode_streams import Weaver
from tests.differential.oracle_process import Case, Oracle

CASES = 16_000

CLEAN = b"\x80\x02(ccollections\nOrderedDict\n)R0]q\x00(K\x01X\x01\x00\x00\x00aeh\x00}K\x05\x8f(K\x02\x90stq\x01."
# a vetted call whose list changes afterwards
CHANGED = b"\x80\x02](K\x01eq\x00cbuiltins\nset\nh\x00\x85Rh\x00K\x02a\x86."


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    if sys.platform == "win32":
        pytest.skip("the child limits itself by means of POSIX")
    made = Oracle()
    yield made
    made.close()


def outcome(oracle: Oracle, data: bytes, encoding: str = "ASCII") -> tuple[str, str]:
    oracle.ask([(data, encoding)])
    return Judged((data, encoding)).outcome(oracle.answers()[0])


def test_a_seeded_slice_agrees(oracle: Oracle) -> None:
    chunk = campaign.compare(0, 0, CASES, oracle)
    assert [(index, detail, case) for index, case, detail in chunk.failures] == []
    found = Counter(name for (name, _), count in chunk.counts.items() for _ in range(count))
    # nothing of it is empty, and most of it reaches what it is for
    assert chunk.counts["equal", "clean"] > CASES // 12
    assert chunk.counts["equal", "unvetted"] > CASES // 100
    assert found["equal"] > CASES * 2 // 5
    assert found["refused by both"] > CASES // 10
    assert found["gave up"] < CASES // 50


def test_a_case_is_a_function_of_its_numbers() -> None:
    cases = [pickles.case(7, index) for index in range(200)]
    random.seed(1)
    assert [pickles.case(7, index) for index in range(199, -1, -1)] == cases[::-1]
    assert [pickles.case(8, index) for index in range(200)] != cases


def test_every_opcode_and_every_spelling_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    written: set[int] = set()
    put = Weaver.put

    def noted(self: Weaver, code: bytes, push: str | None = None, take: int = 0) -> None:
        written.update(code[:1])
        put(self, code, push, take)

    monkeypatch.setattr(Weaver, "put", noted)
    rng = random.Random(0)
    whole = [pickles.woven(rng, 0.0) for _ in range(3000)]
    headers = {data[:2] for data in whole if data[:1] == b"\x80"}
    assert headers >= {bytes([0x80, protocol]) for protocol in range(6)}
    # PROTO, FRAME and STOP are put around what is woven, or asked for here
    assert {op.name for op in OPCODES if op.code not in written} <= {"PROTO", "FRAME"}
    assert any(b"\x95" in data for data in whole)
    for choices, code in ((spellings.ODD_INTEGERS, b"I"), (spellings.ODD_FLOATS, b"F"), (spellings.ODD_TEXTS, b"V")):
        kind = {b"I": "int", b"F": "float", b"V": "text"}[code]
        made = {spellings.literal(rng, kind, 2, odd=True) for _ in range(5000)}
        assert {code + form + b"\n" for form in choices} <= made


def test_no_other_reading_of_the_bytes_is_cleaner() -> None:
    # a scan decides by content what a file is: no pickle may pass as a file of another format
    for index in range(1500):
        data, _ = pickles.case(9, index)
        if scan(data).verdict is Verdict.CLEAN:
            assert Judged((data, "ASCII")).verdict is Verdict.CLEAN, data


def test_woven_pickles_are_mostly_valid(oracle: Oracle) -> None:
    rng = random.Random(3)
    cases = [(pickles.woven(rng, 0.0), "ASCII") for _ in range(500)]
    oracle.ask(cases)
    found = Counter(Judged(case).outcome(answer)[0] for case, answer in zip(cases, oracle.answers(), strict=True))
    assert found["equal"] > 350, found


def _without_last_effect(program: Program) -> None:
    program.effects.pop()


def _other_value(program: Program) -> None:
    program.value = (program.value, None)


def _other_content(program: Program) -> None:
    program.value[0].append(1)  # type: ignore[index]


def _not_shared(program: Program) -> None:
    program.value = (program.value[0], list(program.value[1]), *program.value[2:])  # type: ignore[index]


def _longer(program: Program) -> None:
    program.end += 1


def _fewer_opcodes(program: Program) -> None:
    program.opcodes -= 1


def _without_touched(program: Program) -> None:
    program.touched.clear()


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (CLEAN, _without_last_effect),
        (CLEAN, _other_value),
        (CLEAN, _other_content),
        (CLEAN, _not_shared),
        (CLEAN, _longer),
        (CLEAN, _fewer_opcodes),
        (CHANGED, _without_touched),
    ],
)
def test_a_wrong_machine_is_seen(data: bytes, wrong: Any, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(oracle, data) == ("equal", "")

    def misread(*args: Any, **kwargs: Any) -> Program:
        program = run(*args, **kwargs)
        wrong(program)
        return program

    monkeypatch.setattr(judging_cases, "run", misread)
    # the scan itself is right: it is asked what it believes of a file that the machine misreads
    judged = Judged((data, "ASCII"))
    judged.understood, judged.verdict = True, Verdict.CLEAN
    oracle.ask([(data, "ASCII")])
    found, detail = judged.outcome(oracle.answers()[0])
    assert found == "DISAGREES"
    assert detail


def test_a_scan_that_forgives_is_seen(oracle: Oracle) -> None:
    for data in (b"I0x1f\n.", b"cos\nsystem\n", b"\x80\x04\x95\x03" + b"\0" * 7 + b"N.N"):
        judged = Judged((data, "ASCII"))
        oracle.ask([(data, "ASCII")])
        answer = oracle.answers()[0]
        assert judged.outcome(answer)[0] in ("equal", "refused by both", "unjudged")
        if any(stream.error is not None for stream in judged.streams):
            judged.understood = True
            assert judged.outcome(answer)[0] == "DISAGREES"
    # C and Python differ: no verdict but unjudged is right
    judged = Judged((b"F1e999\n.", "ASCII"))
    oracle.ask([judged.case])
    (answer,) = oracle.answers()
    assert judged.outcome(answer)[0] == "unjudged"
    judged.understood, judged.verdict = True, Verdict.CLEAN
    assert judged.outcome(answer)[0] == "DISAGREES"


def test_what_no_table_can_vet_is_excused_but_never_clean(oracle: Oracle) -> None:
    # an item of a list is set by its index: CPython does it, the machine records it
    judged = Judged((b"](K\x01K\x02eK\x00K\x05s.", "ASCII"))
    oracle.ask([judged.case])
    (answer,) = oracle.answers()
    assert judged.outcome(answer)[0] == "unvettable"
    judged.verdict = Verdict.CLEAN
    assert judged.outcome(answer)[0] == "DISAGREES"


def test_the_death_of_a_child_is_an_answer() -> None:
    # Each level hashes the one below it twice: CPython would not end, and its process is ended.
    endless = b"(" + b"t" + b"q\x00h\x00\x86" * 60 + b"}" + b"h\x00" + b"Ns."
    oracle = Oracle()
    oracle.ask([(b"N.", "ASCII"), (endless, "ASCII"), (b"K\x01.", "ASCII"), (b"K\x02.", "ASCII")])
    answers = oracle.answers()
    oracle.close()
    assert [answer and answer[0][0][3] for answer in answers] == [["value None"], None, ["value 1"], ["value 2"]]
    assert oracle.deaths == 1
    assert Judged((endless, "ASCII")).outcome(None)[0] == "gave up"
    assert Judged((CLEAN, "ASCII")).outcome(None)[0] == "DISAGREES"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the size of a process is unknown here")
def test_memory_is_limited(oracle: Oracle) -> None:
    oracle.ask([(b"Nr\xff\xff\xff\xff.", "ASCII"), (b"N.", "ASCII")])
    first, second = oracle.answers()
    assert "MemoryError" in first[0][0][5]
    assert second[0][0][0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the child limits itself by means of POSIX")
def test_a_silent_child_is_replaced(tmp_path: Path) -> None:
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 60\n")
    mute.chmod(0o755)
    oracle = Oracle(str(mute), patience=0.1)
    oracle.ask([(b"N.", "ASCII"), (b"N.", "ASCII")])
    assert oracle.answers() == [None, None]
    oracle.close()


def test_the_second_reader_has_a_say(oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle.ask([(CLEAN, "ASCII")])
    (answer,) = oracle.answers()
    judged = Judged((CLEAN, "ASCII"))
    assert campaign.outcome_of(judged, answer) == ("equal", "")
    monkeypatch.setattr(campaign, "second_opinion", lambda data: "it differs" if data == CLEAN else "")
    assert campaign.outcome_of(judged, answer) == ("DISAGREES", "it differs")
    assert campaign.disagrees((CLEAN, "ASCII"), oracle)


def test_failing_cases_are_made_small() -> None:
    def fails(case: Case) -> bool:
        return b"\x93" in case[0] and case[0].endswith(b".")

    whole = bytes(range(0x60, 0xA0)) * 3 + b"."
    assert campaign.minimised((whole, "ASCII"), fails) == (b"\x93.", "ASCII")


def test_the_command_counts_and_ends_with_one_on_a_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "found"
    assert campaign.main(["--cases", "60", "--seed", "5", "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("60 cases: equal ")
    assert not out.exists()
    oracle = Oracle()
    monkeypatch.setattr(campaign, "disagrees", lambda case, _: b"bad" in case[0])
    campaign.keep(out, 5, [(17, (b"xxbadyy", "ASCII"), "it differs")], oracle)
    assert (out / "5-17.pkl").read_bytes() == b"bad"
    assert "it differs" in (out / "5-17.txt").read_text()
