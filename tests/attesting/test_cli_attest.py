"""`safeload scan --attest` and `safeload attest verify` in click's runner: what is written and said, how it ends."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from safeload.cli import app
from samples.assemble import ECHO, name, pickle, tensor
from samples.files_of_torch import zip_of

GOOD = zip_of({"w": tensor()}).build()
FILES = {
    "good.pt": GOOD,
    "other.pt": zip_of({"v": tensor()}).build(),
    "dangerous.pkl": pickle(ECHO),
    "unvetted.pkl": pickle(name("project", "Model")),
    "unjudged.pkl": pickle([1])[:-1],
}


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file, data in FILES.items():
        (tmp_path / file).write_bytes(data)
    return tmp_path


@pytest.fixture
def stated(folder: Path) -> Path:
    """The statement of good.pt."""
    out = folder / "good.json"
    done = run("scan", folder / "good.pt", "--attest", out)
    assert (done.exit_code, done.stderr) == (0, "")
    return out


def test_a_clean_file_gets_a_statement_that_it_agrees_with(folder: Path, stated: Path) -> None:
    given = json.loads(stated.read_text(encoding="ascii"))
    digest = hashlib.sha256(GOOD).hexdigest()
    assert given["subject"] == [{"name": "good.pt", "digest": {"sha256": digest}}]
    done = run("attest", "verify", stated, folder / "good.pt")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{folder / 'good.pt'}: clean, as the statement says\n  sha256 {digest}\n"
    assert [p.name for p in folder.iterdir() if p.suffix == ".tmp"] == []
    done = run("attest", "verify", "-q", stated, folder / "good.pt")
    assert (done.exit_code, done.output) == (0, "")


@pytest.mark.parametrize(
    ("file", "options", "code", "why"),
    [
        ("dangerous.pkl", (), 1, "its verdict is dangerous"),
        ("dangerous.pkl", ("--fail-on", "dangerous"), 1, "its verdict is dangerous"),
        ("unvetted.pkl", (), 1, "its verdict is unvetted"),
        ("unvetted.pkl", ("--fail-on", "dangerous"), 1, "its verdict is unvetted"),
        ("unjudged.pkl", (), 2, "its verdict is unjudged"),
        ("missing.pkl", (), 2, "it could not be judged"),
    ],
)
def test_nothing_is_written_for_anything_else(
    folder: Path, file: str, options: tuple[str, ...], code: int, why: str
) -> None:
    out = folder / "out.json"
    done = run("scan", folder / file, "--attest", out, *options)
    assert done.exit_code == code
    assert "No statement was written: " in done.stderr
    assert why in done.stderr
    assert not out.exists()


def test_clean_without_a_statement_is_work_that_was_not_done(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("safeload.attesting.statement.MOST_RANGES", 1)
    done = run("scan", folder / "good.pt", "--attest", folder / "out.json")
    assert (done.exit_code, "too many for a statement" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    "args",
    [
        ("good.pt", "other.pt", "--attest", "out.json"),
        (".", "--attest", "out.json"),
        ("-", "--attest", "out.json"),
        ("good.pt", "--attest", "out.json", "--jobs", "1"),
        ("good.pt", "--attest", "out.json", "--timeout", "9"),
        ("good.pt", "--attest", "good.pt"),
        ("good.pt", "--attest", "."),
        ("good.pt", "--attest", "none/out.json"),
        ("good.pt", "--attest", "same.json", "-o", "same.json"),
    ],
    ids=" ".join,
)
def test_what_has_no_meaning_is_refused_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch, args: tuple[str, ...]
) -> None:
    monkeypatch.chdir(folder)
    done = run("scan", *args)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert (folder / "good.pt").read_bytes() == GOOD
    assert sorted(p.name for p in folder.iterdir()) == sorted(FILES)


def test_an_old_statement_stays_as_it_was(folder: Path) -> None:
    out = folder / "out.json"
    out.write_text("before")
    assert run("scan", folder / "dangerous.pkl", "--attest", out).exit_code == 1
    assert out.read_text() == "before"


@pytest.mark.parametrize(
    ("file", "why"),
    [
        ("other.pt", "its sha256 is not what the statement says"),
        ("dangerous.pkl", "its verdict is dangerous, and not clean"),
        ("unvetted.pkl", "its verdict is unvetted, and not clean"),
        ("unjudged.pkl", "its verdict is unjudged, and not clean"),
    ],
)
def test_another_file_does_not_agree(folder: Path, stated: Path, file: str, why: str) -> None:
    done = run("attest", "verify", stated, folder / file)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Refused: {folder / file} does not agree with {stated}: ")
    assert why in done.stderr


def test_what_cannot_be_compared(folder: Path, stated: Path) -> None:
    assert run("attest", "verify", stated, folder / "missing.pt").exit_code == 2
    assert run("attest", "verify", folder / "missing.json", folder / "good.pt").exit_code == 2
    assert run("attest", "verify", stated).exit_code == 2
    assert run("attest").exit_code == 2
    done = run("attest", "verify", folder / "good.pt", stated)  # in the wrong order
    assert (done.exit_code, "good.pt: it is no statement of safeload" in done.stderr) == (2, True)
    stated.write_text("{}")
    assert run("attest", "verify", stated, folder / "good.pt").exit_code == 2


def test_policy_and_limits_must_be_those_of_the_scan(folder: Path) -> None:
    pack = folder / "pack.toml"
    pack.write_text('[[narrow]]\nmodule = "collections"\nnames = ["Counter"]\n')
    out = folder / "good.json"
    options = ("--policy", pack, "--limit", "opcodes=1k")
    assert run("scan", folder / "good.pt", "--attest", out, *options).exit_code == 0
    verify = ("attest", "verify", out, folder / "good.pt")
    for some, why in (((), "under other rules"), (options[:2], "--limit opcodes=1024 "), (options[2:], "other rules")):
        done = run(*verify, *some)
        assert (done.exit_code, why in done.stderr) == (2, True)
    assert run(*verify, *options).exit_code == 0


def test_a_statement_says_nothing_to_the_terminal(folder: Path, stated: Path) -> None:
    """No text of an untrusted statement is printed."""
    given = json.loads(stated.read_text())
    given["subject"][0]["name"] = given["predicate"]["container"] = "\x1b[2J"
    stated.write_text(json.dumps(given))
    done = run("attest", "verify", stated, folder / "good.pt")
    assert (done.exit_code, "\x1b" in done.output, "2J" in done.output) == (1, False, False)
