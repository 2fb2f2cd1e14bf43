"""`safeload hook scan` and `no-pickle` over file names, as pre-commit calls them."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from safeload.cli.hook.commands import free_of_pickles, holds_pickle
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan_source

from .conftest import DANGEROUS, DOT, PICKLE, SAFETENSORS, UNVETTED, Repo, clean_environment


def test_a_clean_checkpoint_source_and_text_pass(repo: Repo) -> None:
    repo.put("a.pt", PICKLE)
    repo.put("w.safetensors", SAFETENSORS)
    repo.put("x.py", b"import os\nos.system('id')\n")
    repo.put("notes.txt", b"some words\n")
    repo.put("empty", b"")
    done = repo.safeload("hook", "scan", "--", "a.pt", "w.safetensors", "x.py", "notes.txt", "empty")
    assert (done.returncode, done.stderr) == (0, "")
    assert "(2 clean, 3 skipped)" in done.stdout


@pytest.mark.parametrize(("sample", "code", "word"), [(DANGEROUS, 1, "DANGEROUS"), (UNVETTED, 1, "UNVETTED")])
def test_what_is_not_clean_fails_whatever_its_name(repo: Repo, sample: str, code: int, word: str) -> None:
    repo.put("notes.txt", sample)
    done = repo.safeload("hook", "scan", "--", "notes.txt")
    assert done.returncode == code
    assert f"{word}  notes.txt" in done.stdout.replace("   ", "  ")


def test_what_cannot_be_judged_fails_with_two(repo: Repo) -> None:
    repo.put("model.bin", bytes(range(1, 200)))
    assert repo.safeload("hook", "scan", "--", "model.bin").returncode == 2
    assert repo.safeload("hook", "no-pickle", "--", "model.bin").returncode == 2
    assert repo.safeload("hook", "scan", "--", "absent").returncode == 2


def test_no_names_are_nothing_to_do(repo: Repo) -> None:
    for command in ("scan", "no-pickle"):
        assert repo.safeload("hook", command, "--").returncode == 0
    assert "safeload hook scan --staged" in repo.safeload("hook", "scan").stdout
    assert repo.safeload("hook", "scan", "--staged").stdout == "nothing is staged, so nothing was judged\n"


def test_fail_on_dangerous_lets_unvetted_pass_and_nothing_else(repo: Repo) -> None:
    repo.put("own.pt", UNVETTED)
    repo.put("bad.pt", DANGEROUS)
    assert repo.safeload("hook", "scan", "--fail-on", "dangerous", "--", "own.pt").returncode == 0
    assert repo.safeload("hook", "scan", "--fail-on", "dangerous", "--", "own.pt", "bad.pt").returncode == 1


def test_the_configuration_of_the_project_counts(repo: Repo) -> None:
    repo.put("own.pt", UNVETTED)
    repo.put("safeload.toml", b'fail-on = "dangerous"\n')
    assert repo.safeload("hook", "scan", "--", "own.pt").returncode == 0
    assert repo.safeload("hook", "scan", "--no-config", "--", "own.pt").returncode == 1


def test_no_pickle_names_the_command_that_replaces_it(repo: Repo) -> None:
    repo.put("a b.pt", PICKLE)
    repo.put("notes.txt", PICKLE)
    repo.put("bad.pt", DANGEROUS)
    repo.put("w.safetensors", SAFETENSORS)
    repo.put("x.py", b"import os\n")
    done = repo.safeload("hook", "no-pickle", "--", "a b.pt", "notes.txt", "w.safetensors", "x.py", "bad.pt")
    assert done.returncode == 1
    assert done.stdout == (
        "PICKLE  'a b.pt'  torch-zip: holds a pickle\n"
        "    do  safeload convert 'a b.pt'\n"
        "PICKLE  notes.txt  torch-zip: holds a pickle\n"
        "    do  safeload convert notes.txt\n"
        "PICKLE  bad.pt  torch-zip: holds a pickle\n"
        "    do  do not load it; see why: safeload scan bad.pt\n"
        "        its tensors alone: safeload convert bad.pt --disarm\n"
    )
    assert repo.safeload("hook", "no-pickle", "--", "w.safetensors", "x.py").returncode == 0


def test_the_printed_command_makes_a_file_that_passes(repo: Repo) -> None:
    repo.put("a.pt", PICKLE)
    assert repo.safeload("convert", "a.pt").returncode == 0
    assert repo.safeload("hook", "no-pickle", "--", "a.safetensors").returncode == 0
    assert repo.safeload("hook", "scan", "--", "a.safetensors").returncode == 0


def test_a_converted_file_with_a_tree_holds_no_pickle(repo: Repo) -> None:
    repo.put("nested.pt", "benign/nested.pt")
    assert repo.safeload("convert", "nested.pt").returncode == 0
    done = repo.safeload("hook", "no-pickle", "--", "nested.safetensors")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("sample", ["benign/plain-types.pkl", "benign/compressed.pkl.gz", "benign/legacy.pt",
                                    "benign/torch-0.1.tar", "benign/torchscript.pt"])  # fmt: skip
def test_no_pickle_knows_the_containers_of_pickles(repo: Repo, sample: str) -> None:
    repo.put("image.png", sample)
    assert repo.safeload("hook", "no-pickle", "--", "image.png").returncode == 1


def test_no_pickle_lets_formats_without_pickles_pass(repo: Repo) -> None:
    repo.put("a.npy", "benign/array.npy")
    repo.put("a.gguf", b"GGUF" + bytes([3, 0, 0, 0]) + bytes(64))
    with closing(sqlite3.connect(repo.path / "a.db")) as database, database:
        database.execute("create table words (word text)")
    repo.put("a.png", DOT)
    done = repo.safeload("hook", "no-pickle", "--", "a.npy", "a.db", "a.png", "a.gguf")
    assert (done.returncode, done.stdout) == (0, "")


def test_a_picture_that_goes_on_behind_its_end_is_not_free_of_pickles(repo: Repo) -> None:
    repo.put("a.png", DOT + b"more")
    done = repo.safeload("hook", "no-pickle", "--", "a.png")
    assert (done.returncode, done.stdout.splitlines()[0]) == (2, "UNJUDGED   a.png  unknown")


def test_free_of_pickles_is_only_what_was_read_to_its_end() -> None:
    assert free_of_pickles(Report("x", Verdict.SKIPPED, reason="text"))
    assert free_of_pickles(Report("x", Verdict.CLEAN, container="npy"))
    assert free_of_pickles(Report("x", Verdict.UNVETTED, container="safetensors"))
    assert not free_of_pickles(Report("x", Verdict.UNJUDGED, container="unknown"))
    for data, free in (
        (b"GGUF\3\0\0\0" + bytes(64), True), (b"PAR1" + bytes(60), True), (b"\x7fELF" + bytes(60), True),
        (b"7z\xbc\xaf\x27\x1c" + bytes(60), False), (b"Rar!\x1a\x07" + bytes(60), False), (b"Salted__" * 8, False),
        (bytes(range(1, 200)), False), (bytes(64), False), (b"PK\3\4" + bytes(60), False),
    ):  # fmt: skip
        report = scan_source(MemorySource(data, "x"), policy=Policy.default(), limits=Limits(), explicit=False).report
        assert free_of_pickles(report) is free
    assert not free_of_pickles(Report("x", Verdict.UNVETTED, container="zip"))
    assert not free_of_pickles(Report("x", Verdict.UNJUDGED, container="safetensors"))
    assert holds_pickle(Report("x", Verdict.UNJUDGED, container="safetensors+pickle", streams=1))
    assert holds_pickle(Report("x", Verdict.CLEAN, container="npz", streams=1))


def test_a_file_name_is_no_option(repo: Repo) -> None:
    repo.put("own.pt", UNVETTED)
    repo.put("--fail-on=dangerous", b"words\n")
    assert repo.safeload("hook", "scan", "--", "--fail-on=dangerous", "own.pt").returncode == 1
    done = repo.safeload("hook", "scan", "--fail-on=dangerous", "own.pt")
    assert done.returncode == 2
    assert "put -- before the file names" in done.stderr
    repo.put("--staged", b"words\n")
    assert repo.safeload("hook", "no-pickle", "--staged", "own.pt").returncode == 2


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are no bytes here")
def test_a_name_of_odd_bytes_is_judged_and_shown_escaped(repo: Repo) -> None:
    name = b"a\n::error::\xff\x1b[31m.pt"
    with open(os.path.join(os.fsencode(repo.path), name), "wb") as file:
        file.write((repo.samples / DANGEROUS).read_bytes())
    for command, word in (("scan", b"DANGEROUS"), ("no-pickle", b"PICKLE")):
        done = subprocess.run(
            [sys.executable.encode(), b"-m", b"safeload", b"hook", command.encode(), b"--", name],
            cwd=repo.path, env=clean_environment(), capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stdout.startswith(word)
        assert b"\x1b" not in done.stdout
        assert b"\n::error" not in done.stdout
