"""Seeded slices of the campaigns, and that they would notice: with a rule gone, they find the files."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")

from safeload.containers.zip import rules as zip_rules
from safeload.findings import Verdict
from tests.containers.zip_builder import Archive, Member
from tests.differential import archive_campaign
from tests.differential import archive_readers as readers
from tests.differential.archive_campaign import Tally, run
from tests.differential.archive_examining import BAD, FORMS, examine, examine_kind
from tests.differential.archive_heads import PAYLOAD, TRICKS
from tests.differential.archive_kinds import MAKERS, make_kind
from tests.differential.archive_wraps import WRAPS
from tests.differential.archives import Case, Chance, make
from tests.differential.kind_readers import fitting, hostile_member, package_modules

SEED, CASES = 5, 1500


def test_what_is_clean_is_what_torch_reads(tmp_path: Path) -> None:
    # In a child, as torch's reader may not survive every file.
    tally = run("checkpoint", SEED, CASES, 1, tmp_path)
    assert tally.bad == [], tally.line()
    assert tally.cases == CASES
    # The slice is worth something: files of every kind that readers differ on, each trick, and honest files as well.
    assert tally.outcomes["clean, loads as torch loads it"] > 200
    assert tally.outcomes["refused, torch and zipfile differ"] > 15
    assert tally.outcomes["refused, only torch reads it"] > 100
    assert tally.tricks.keys() == TRICKS.keys() | WRAPS.keys()


def test_what_is_understood_is_what_every_loader_of_its_kinds_takes(tmp_path: Path) -> None:
    tally = run("kind", SEED, 600, 1, tmp_path)
    assert tally.bad == [], tally.line()
    assert min(tally.outcomes[name] for name in ("clean", "unvetted", "unjudged", "dangerous")) > 50
    assert tally.tricks.keys() >= TRICKS.keys() | {f"a {kind}" for kind in MAKERS}


def test_what_is_quiet_of_a_tar_is_what_tarfile_sees(tmp_path: Path) -> None:
    tally = run("tar", SEED, 1000, 1, tmp_path)
    assert tally.bad == [], tally.line()
    assert tally.outcomes["quiet, and tarfile sees the same"] > 50
    assert tally.outcomes["quiet, and torch loads the same"] > 5


# Kind -> the kinds whose loader gets to what it would run, as the loaders say. Of one "below" or at the "root" each has
# its own.
TAKEN = {
    "torch-package": {"torch-package"}, "pt2": {"pt2"}, "keras": {"keras"}, "npz": set(), "stable-baselines3": set(),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAKEN)
def test_the_loaders_take_what_the_generator_makes(kind: str) -> None:
    made = [make_kind(SEED, n) for n in range(600)]
    honest = [case.data for case in made if case.tricks == (f"a {kind}",)]
    assert len(honest) > 5
    assert [fitting(data) for data in honest] == [TAKEN[kind]] * len(honest)


def test_a_package_is_opened_and_its_modules_are_those_of_the_generator() -> None:
    case = next(c for c in (make_kind(SEED, n) for n in range(999)) if c.tricks == ("a torch-package",))
    with zipfile.ZipFile(io.BytesIO(case.data)) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
    assert package_modules(case.data) == {name for name in names if name.endswith(".py")} != set()


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("package-code", "torch-package fits"),
        ("pt2-program", "pt2 fits"),
        ("zip-python-code", "is imported, and not told"),
    ],
)
def test_a_kind_that_is_not_told_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, words: str
) -> None:
    told = zip_rules.Notes.add

    def add(self: zip_rules.Notes, name: str, message: str, **given: object) -> None:
        if name != rule:
            told(self, name, message, **given)  # type: ignore[arg-type]

    monkeypatch.setattr(zip_rules.Notes, "add", add)
    cases = (make_kind(SEED, n) for n in range(200))
    honest = [case for case in cases if len(case.tricks) == 1]
    found = [line for case in honest for line in examine_kind(case, tmp_path / "x")[1].get("found", ())]
    assert any(words in line for line in found), found


def test_a_payload_that_is_passed_over_is_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = Chance(2, 2)
    data = TRICKS["odd head"](chance, Archive((Member(b"a/readme", b"words\n", flags=0, align=0),), zip64=False))
    data = data.plus(Member(b"a/x.bin", PAYLOAD, flags=0, align=0)).build()
    assert hostile_member(data) == "'a/x.bin' asks for posix.system"
    assert examine_kind(Case(0, data, ()), tmp_path / "x")[1] == {}
    # A scan that calls it clean.
    monkeypatch.setattr(readers, "ours_reads", lambda data: readers.Ours(clean=True, verdict="clean", container="zip"))
    assert any("asks for posix.system" in line for line in examine_kind(Case(0, data, ()), tmp_path / "x")[1]["found"])


def found_with(tmp_path: Path, wanted: set[str], limit: int) -> Iterator[str]:
    """The disagreements among the cases that play no other trick than these."""
    for number in range(limit):
        case = make(SEED, number)
        if case.tricks and set(case.tricks) <= wanted:
            outcome, _ = examine(case, tmp_path / "case.pt")
            if outcome.startswith(BAD):
                yield outcome


@pytest.mark.parametrize(
    ("rules", "tricks"),
    [
        ({"zip-duplicate-name"}, {"copies of a name"}),
        ({"zip-two-directories", "zip-gap"}, {"two directories"}),
        (
            {"zip-name-nul", "zip-name-characters", "foreign-member", "torch-zip-outside-folder"},
            {"second data pkl by another name", "odd name"},
        ),
    ],
)
def test_a_rule_that_is_gone_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rules: set[str], tricks: set[str]
) -> None:
    assert list(found_with(tmp_path, tricks, 700)) == []
    for rule in rules:
        monkeypatch.setitem(zip_rules.RULES, rule, zip_rules.RULES[rule]._replace(verdict=Verdict.CLEAN))
    # A verdict that is given in the place of the rule's own goes too.
    told = zip_rules.Notes.add

    def add(self: zip_rules.Notes, rule: str, message: str, **given: object) -> None:
        told(self, rule, message, **(given | {"verdict": Verdict.CLEAN} if rule in rules else given))  # type: ignore[arg-type]

    monkeypatch.setattr(zip_rules.Notes, "add", add)
    assert any("data.pkl" in outcome for outcome in found_with(tmp_path, tricks, 1500))


PLAIN = readers.Ours(
    clean=True, container="torch-zip", main=b"one", mains=(b"one",), members={"a/data.pkl": b"one", "a/data/0": b"x"},
    places={"0": (64, 1)}, loaded={"n": 1},
)  # fmt: skip
SAME = readers.Seen(main=b"one", members={"data.pkl": b"one", "data/0": b"x"}, places={"0": (64, 1)}, loaded={"n": 1})
ZIPPED = readers.Seen(main=b"one", members={"a/data.pkl": b"one", "a/data/0": b"x"})


@pytest.mark.parametrize(
    ("theirs", "zipped", "words"),
    [
        ({}, {}, []),
        ({"main": b"two"}, {}, ["torch reads another data.pkl"]),
        ({}, {"main": b"two"}, ["zipfile reads another data.pkl"]),
        ({"members": {"data/0": b"y"}}, {}, ["torch reads 'data/0' otherwise"]),
        ({}, {"members": {"b/data.pkl": b"one"}}, ["zipfile reads 'b/data.pkl' otherwise"]),
        ({"places": {"0": (128, 1)}}, {}, ["torch finds storage 0 at (128, 1), not at (64, 1)"]),
        ({"loaded": {"n": 2}}, {}, ["torch.load gives another object than safeload.load"]),
        ({"loaded": {"n": True}}, {}, ["torch.load gives another object than safeload.load"]),
        ({"main": None, "members": None, "loaded": readers.NOTHING}, {"main": None, "members": None}, []),
    ],
)
def test_each_difference_counts(theirs: dict[str, object], zipped: dict[str, object], words: list[str]) -> None:
    told = dataclasses.replace(SAME, **theirs), dataclasses.replace(ZIPPED, **zipped)  # type: ignore[arg-type]
    assert readers.disagreements(PLAIN, *told) == words


def test_a_row_of_archives_is_held_against_each_of_them() -> None:
    row = readers.Ours(clean=True, container="zip-sequence", mains=(b"one", b"two"))
    nothing = readers.Seen()
    assert readers.disagreements(row, readers.Seen(main=b"one"), readers.Seen(main=b"two")) == []
    assert readers.disagreements(row, readers.Seen(main=b"six"), nothing) != []
    assert readers.disagreements(row, nothing, readers.Seen(main=b"six")) != []


def test_an_honest_archive_that_is_refused_counts(tmp_path: Path) -> None:
    outcome, seen = examine(Case(0, b"PK\3\4 and no more", ()), tmp_path / "case.pt")
    assert outcome.startswith(BAD)
    assert seen["found"] == ["an honest archive is refused"]


@pytest.mark.parametrize("form", FORMS)
def test_a_case_is_always_the_same(form: str) -> None:
    made = FORMS[form].make
    assert [made(3, n) for n in range(50)] == [made(3, n) for n in range(50)]
    assert made(3, 1).data != made(4, 1).data


def test_the_counts_of_a_tally() -> None:
    tally = Tally()
    tally.add(0, "clean, loads as torch loads it", [])
    tally.add(7, f"{BAD}: torch reads another data.pkl", ["comment"])
    assert tally.bad == [7]
    assert tally.line() == (
        "2 archives, 1 disagreements (DIFFERENT: torch reads another data.pkl: 1, clean, loads as torch loads it: 1)"
    )


class Dying:
    """A child that dies by a signal at the third case of its range, which it knows by its options."""

    def __init__(self, command: list[str], **_: object) -> None:
        first, cases = (int(command[command.index(option) + 1]) for option in ("--first", "--cases"))
        done = range(first, min(first + 2, first + cases))
        self.stdout = [json.dumps([number, "refused, nobody reads it", []]).encode() for number in done]
        self.returncode = 0 if cases <= 2 else -11

    def __enter__(self) -> Dying:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is running."""


def test_a_file_that_torch_dies_of_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_campaign.subprocess, "Popen", Dying)
    tally = run("checkpoint", SEED, 8, 1, tmp_path)
    died = [number for number in (2, 5) if make(SEED, number).plain or number in tally.bad]
    assert tally.cases == 8
    assert tally.outcomes["refused, nobody reads it"] == 6
    # The two that the child died of are judged without torch: to call such a file clean would be a disagreement.
    assert tally.bad == died
    assert tally.outcomes["refused, torch does not survive it"] == 2 - len(died)


def test_a_clean_file_that_torch_dies_of_is_a_disagreement(tmp_path: Path) -> None:
    clean = next(number for number in range(100) if make(SEED, number).plain)
    outcome = archive_campaign._died("checkpoint", SEED, clean, tmp_path, -11)[1]
    assert outcome == f"{BAD}: torch does not survive a clean file"
    assert Path(tmp_path, f"checkpoint-{SEED}-{clean}.pt").read_bytes() == make(SEED, clean).data
