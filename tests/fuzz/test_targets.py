"""The targets of the coverage-guided fuzzer without the fuzzer: over the corpus, and over damage to it."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

import safeload
from tests.fuzz import coverage_guided, targets
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


def test_the_names_are_the_targets() -> None:
    assert tuple(TARGETS) == NAMES


@pytest.mark.parametrize("name", ["plain", "framed", "text", "wide"])
def test_honest_pickles_of_the_corpus_are_clean(name: str) -> None:
    assert str(safeload.scan(CORPUS / "machine" / name).verdict) == "clean"


def test_a_target_fails_with_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: object, **options: object) -> None:
        raise TypeError("x")

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
