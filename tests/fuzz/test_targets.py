"""The targets of the coverage-guided fuzzer without the fuzzer: over the corpus, and over damage to it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

import safeload
from safeload.scanning.scanner import Scan
from tests.fuzz import coverage_guided, reader_targets, targets
from tests.fuzz.coverage_guided import CORPUS, NAMES
from tests.fuzz.damage import some_bytes
from tests.fuzz.make_corpus import write
from tests.fuzz.targets import TARGETS


def files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_corpus_is_what_its_code_writes(tmp_path: Path) -> None:
    write(tmp_path)
    assert files(tmp_path) == files(CORPUS)
    assert sum(map(len, files(tmp_path).values())) < 30_000


@pytest.mark.parametrize("name", NAMES)
def test_every_target_takes_its_corpus_and_what_is_left_of_it(name: str) -> None:
    seeds = [data for path, data in files(CORPUS).items() if path.startswith(f"{name}/")]
    assert seeds
    rng = random.Random(name)
    TARGETS[name](b"")
    for data in seeds:
        TARGETS[name](data)
        for _ in range(25):
            TARGETS[name](some_bytes(rng, data, rng.choice(seeds)))


@pytest.mark.parametrize("name", reader_targets.TARGETS)
def test_the_readers_take_damage_upon_damage(name: str) -> None:
    seeds = [data for path, data in files(CORPUS).items() if path.startswith(f"{name}/")]
    rng = random.Random(name)
    for _ in range(250):
        data = rng.choice(seeds)
        for _ in range(rng.choice((1, 2, 4))):
            data = some_bytes(rng, data, rng.choice(seeds))
        TARGETS[name](data)


def test_an_expression_that_reaches_into_an_object_is_noticed() -> None:
    for text in ("s0.__class__", "L[(lambda: 1)]", "[x for x in s0]", "'a'", "f('a')"):
        with pytest.raises(AssertionError):
            reader_targets.assert_plain(text, reaching=True)
    reader_targets.assert_plain("L['x'].size()[0] >= 2", reaching=True)
    with pytest.raises(AssertionError):
        reader_targets.assert_plain("L['x'].size()[0] >= 2", reaching=False)


def test_a_call_that_is_passed_over_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    skipped = safeload.Report("x", safeload.Verdict.SKIPPED, size=1, reason="text, no model")
    clean = safeload.Report("x", safeload.Verdict.CLEAN, size=1)

    def scan(*given: object, explicit: bool = True, **options: object) -> Scan:
        return Scan(clean if explicit else skipped, None)

    monkeypatch.setattr(reader_targets, "scan_source", scan)
    for data in (b"cposix\nsystem\n(S'echo safeload-sample'\ntR.", b"(dp0\n.", b"I1\n."):
        with pytest.raises(AssertionError):
            reader_targets.folder_file(data)
    reader_targets.folder_file(b"Some words.\n")


def test_the_names_are_the_targets(capsys: pytest.CaptureFixture[str]) -> None:
    assert tuple(TARGETS) == NAMES
    assert coverage_guided.main(["--list"]) == 0
    assert capsys.readouterr().out.split() == list(NAMES)


@pytest.mark.parametrize("name", ["plain", "framed", "text", "wide"])
def test_honest_pickles_of_the_corpus_are_clean(name: str) -> None:
    assert str(safeload.scan(CORPUS / "machine" / name).verdict) == "clean"


READERS = (
    "strings", "keras_config", "skops_schema", "torchserve_manifest", "pt2_program", "aoti_flags", "check_expression",
    "whole", "judge",
)  # fmt: skip


def test_a_target_fails_with_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **options: object) -> None:
        raise TypeError("x")

    for name in READERS:
        monkeypatch.setattr(reader_targets, name, broken)
    monkeypatch.setattr(targets, "run", broken)
    monkeypatch.setattr(targets, "scan_source", broken)
    monkeypatch.setattr(safeload, "scan", broken)
    for target in TARGETS.values():
        with pytest.raises(TypeError):
            target(b"\x80\x02N.")


def test_the_loader_has_to_agree_with_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safeload, "load", lambda *given, **options: 1)
    with pytest.raises(AssertionError):
        targets.loader(b"cos\nsystem\n(S'echo safeload-sample'\ntR.")


def test_without_atheris_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert coverage_guided.main(["machine"]) == 2
    assert "pip install -r tests/fuzz/requirements.txt" in capsys.readouterr().err
    assert coverage_guided.main(["acme"]) == 2
    assert "machine, zip" in capsys.readouterr().out


def test_what_the_fuzzer_is_given() -> None:
    assert coverage_guided.arguments("zip", ["-runs=5", "/x"]) == [
        "-runs=5", "-artifact_prefix=/x/", "-max_len=4096", "/x", str(CORPUS / "zip"),
    ]  # fmt: skip
