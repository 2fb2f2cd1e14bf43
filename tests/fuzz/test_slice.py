"""A seeded slice of the campaign, and that the campaign sees what it is there to see."""

from __future__ import annotations

import collections
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

import safeload
from tests.fuzz.exercise import Exercise
from tests.fuzz.mutants import Case, Mutants
from tests.fuzz.seeds import Seed, digest, fetch, store

CASES = 1200


def test_good_files_break_nothing(seeds: list[Seed], tmp_path: Path) -> None:
    exercise = Exercise(tmp_path, share=1.0, converted=1.0)
    # Chosen so that each kind of file is among them; the campaign begins with all.
    for seed in seeds[::4]:
        assert exercise.run(Case(seed.data, seed.beside, seed.name), random.Random(99)) == [], seed.name
    assert exercise.done["convert: done"] > 20


def test_damaged_files_break_nothing(seeds: list[Seed], tmp_path: Path) -> None:
    mutants = Mutants(seeds, 20)
    exercise = Exercise(tmp_path)
    for index in range(CASES):
        case = mutants.case(index)
        assert exercise.run(case, random.Random(index)) == [], (index, case.recipe)
    assert sum(exercise.done[f"scan {v}"] for v in ("clean", "unvetted", "unjudged", "dangerous")) == CASES
    assert exercise.done["scan clean"] > CASES // 50
    assert exercise.done["load: done"] > CASES // 50
    assert exercise.done["load: UnsafeCheckpoint"] > CASES // 100
    assert exercise.done["verify: done"] > 5


def test_a_number_is_one_file(seeds: list[Seed], tmp_path: Path) -> None:
    store(seeds[::7], tmp_path)
    again = fetch(tmp_path)
    assert again == seeds[::7]
    assert digest(again) != digest(again[1:])
    one, other = Mutants(seeds[::7], 3), Mutants(again, 3)
    for index in (5, 77, 5, 1000):
        assert one.case(index) == other.case(index)
    assert Mutants(seeds, 4).case(5) != Mutants(seeds, 3).case(5)


def test_every_kind_of_damage_is_done(seeds: list[Seed]) -> None:
    mutants = Mutants(seeds, 5)
    steps = collections.Counter(step for n in range(3000) for step in mutants.case(n).recipe.split()[1:])
    assert {s for s in steps if steps[s] > 1} >= {
        "bytes", "joined", "pickle:opcodes", "zip:zip_field", "zip:zip_member", "zip:zip_shape", "tar:tar_member",
        "tar:tar_header", "npy:npy_header", "npy:npy_body", "safetensors:header_json", "safetensors:tree", "text:text",
        "gzip:inflated", "bz2:inflated", "xz:inflated", "lzma:inflated", "zlib:inflated", "tree-beside",
    }  # fmt: skip


DANGEROUS = b"cos\nsystem\n(S'echo safeload-sample'\ntR."
PLAIN = b"\x80\x02K\x01."


def kinds(data: bytes, folder: Path, **options: Any) -> set[str]:
    found = Exercise(folder, share=1.0, converted=1.0, **options).run(Case(data, None, ""), random.Random(1))
    return {problem.kind for problem in found}


def test_a_foreign_exception_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def scan(given: Any) -> Any:
        raise TypeError("x")

    monkeypatch.setattr(safeload, "scan", scan)
    assert [k.partition(" at ")[0] for k in kinds(PLAIN, tmp_path)] == ["scan raises TypeError"]


def test_an_error_of_a_scan_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def scan(given: Any) -> Any:
        raise safeload.Malformed("x")

    monkeypatch.setattr(safeload, "scan", scan)
    assert "scan raises Malformed" in kinds(PLAIN, tmp_path)


@pytest.mark.parametrize("what", ["load", "open", "convert"])
def test_what_is_admitted_against_the_verdict_is_seen(
    what: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert kinds(DANGEROUS, tmp_path) == set()

    class Opened(dict[str, Any]):
        def __enter__(self) -> Any:
            return self

        def __exit__(self, *exception: object) -> None:
            pass

        def keys(self) -> Any:
            return []

    monkeypatch.setattr(safeload, what, lambda *given, **options: Opened())
    assert f"{what} of a file that is dangerous" in kinds(DANGEROUS, tmp_path)


def test_a_load_that_refuses_what_is_clean_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def load(given: Any, **options: Any) -> Any:
        raise safeload.UnsafeCheckpoint("x")

    monkeypatch.setattr(safeload, "load", load)
    assert "load refuses a file that is clean" in kinds(PLAIN, tmp_path)


def test_a_second_verdict_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    reports = [safeload.scan(PLAIN), safeload.scan(DANGEROUS)]
    monkeypatch.setattr(safeload, "scan", lambda given: reports.pop(0) if len(reports) > 1 else reports[0])
    assert "a second scan says otherwise" in kinds(PLAIN, tmp_path)


def test_an_import_is_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    effects: list[str] = []
    real = safeload.scan

    def scan(given: Any) -> Any:
        effects.append("import: acme")
        return real(given)

    monkeypatch.setattr(safeload, "scan", scan)
    assert "scan has an effect: import: acme" in kinds(PLAIN, tmp_path, effects=effects)


def test_wrong_values_are_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seeds: list[Seed]) -> None:
    import torch

    data = next(seed.data for seed in seeds if seed.name == "state_dict.zip")
    assert kinds(data, tmp_path) == set()
    real = safeload.load

    def load(given: Any, **options: Any) -> Any:
        found = real(given, **options)
        if getattr(given, "name", "") != "out.safetensors":  # the source, and not what was converted
            with torch.no_grad():
                found["0.weight"].view(-1)[0] += 1
        return found

    monkeypatch.setattr(safeload, "load", load)
    assert kinds(data, tmp_path) == {"a tensor read alone is another one", "a conversion loads as something else"}


WORKER = """
import json, os, signal, sys
from pathlib import Path
folder, number = Path(sys.argv[1]), int(sys.argv[2])
place = folder / f"{number}.at"
both = place.read_bytes()
at, done = int.from_bytes(both[:8], "little"), int.from_bytes(both[8:], "little")
def put():
    with place.open("r+b") as file:
        file.write(at.to_bytes(8, "little") + done.to_bytes(8, "little"))
while at < 20:
    put()
    if at == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    while at == 12:
        pass
    if at == 10:
        with (folder / f"{number}.log").open("a") as log:
            for what in ({"what": "problem", "kind": "made up", "detail": ""}, {"what": "slow", "seconds": 9}):
                print(json.dumps({"case": at, "recipe": "x", **what}), file=log)
    at, done = at + 2, done + 1
put()
(folder / f"{number}.log").open("a").close()
"""


def test_a_campaign_outlives_its_workers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    from tests.fuzz import campaign

    monkeypatch.setattr(campaign, "command", lambda folder, n: [sys.executable, "-c", WORKER, str(folder), str(n)])
    monkeypatch.setattr(campaign, "make_seeds", lambda folder: store([Seed("a", b"abc"), Seed("b", b"{}")], folder))
    monkeypatch.setattr(campaign, "HUNG", 0.5)
    monkeypatch.setattr(campaign, "smallest", lambda data, kind, index: b"")
    assert campaign.main(["--cases", "20", "--jobs", "2", "--out", str(tmp_path / "out")]) == 1
    line = capsys.readouterr().out
    assert "20 cases in" in line
    assert "3 failures of 3 kinds, 1 slower than 5 s" in line
    kept = {p.name for p in (tmp_path / "out" / "failures").iterdir() if p.suffix == ".txt"}
    assert kept == {"7.txt", "10.txt", "12.txt"}
    assert "the process ends with -9" in (tmp_path / "out" / "failures" / "7.txt").read_text()


def test_the_smallest_that_dies_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    from tests.fuzz.minimise import smallest

    def run(self: Exercise, case: Case, rng: random.Random) -> list[Any]:
        if b"X" in case.data and b"Y" in case.data:
            os.kill(os.getpid(), signal.SIGKILL)
        return []

    monkeypatch.setattr(Exercise, "run", run)
    assert smallest(b"aaaaXaaaYaaa", "the process ends with -9", 0) == b"XY"
    assert smallest(b"aaaaXaaa", "the process ends with -9", 0) == b"aaaaXaaa"


def test_the_commands_say_what_they_take(root: Path) -> None:
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.campaign", "--replay", "samples/files/benign/checkpoint.pt"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "0 problems\n"), done.stderr
