"""`safeload scan --attest` and `safeload attest verify` in click's runner: what is written and said, how it ends."""

from __future__ import annotations

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
    "clean-but-old.pkl": b"(lI1\na.",
}


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for file, data in FILES.items():
        (tmp_path / file).write_bytes(data)
    return tmp_path


def test_a_clean_file_gets_a_certificate_that_verifies(folder: Path) -> None:
    out = folder / "good.json"
    done = run("scan", folder / "good.pt", "--attest", out)
    assert (done.exit_code, done.stderr) == (0, "")
    given = json.loads(out.read_text(encoding="ascii"))
    assert [s["name"] for s in given["subject"]] == ["good.pt#judged"]
    done = run("attest", "verify", folder / "good.pt", out)
    assert done.exit_code == 0
    assert done.stdout.splitlines()[1:] == [
        "  torch-zip, pickles: 1, names: 3, storages: 1",
        "  bound: all but the storages' bytes",
    ]
    assert [p.name for p in folder.iterdir() if p.suffix == ".tmp"] == []
    done = run("attest", "verify", "-q", folder / "good.pt", out)
    assert (done.exit_code, done.output) == (0, "")


def test_a_full_hash_is_said(folder: Path) -> None:
    out = folder / "good.json"
    assert run("scan", "-q", folder / "good.pt", "--attest", out, "--full-hash").exit_code == 0
    assert [s["name"] for s in json.loads(out.read_text())["subject"]] == ["good.pt", "good.pt#judged"]
    assert "bound: every byte" in run("attest", "verify", folder / "good.pt", out).stdout


@pytest.mark.parametrize(
    ("file", "options", "code", "why"),
    [
        ("dangerous.pkl", (), 1, "its verdict is dangerous"),
        ("dangerous.pkl", ("--fail-on", "dangerous"), 1, "its verdict is dangerous"),
        ("unvetted.pkl", (), 1, "its verdict is unvetted"),
        ("unvetted.pkl", ("--fail-on", "dangerous"), 1, "its verdict is unvetted"),
        ("unjudged.pkl", (), 2, "its verdict is unjudged"),
        ("clean-but-old.pkl", (), 2, "outside what the independent verifier takes"),
        ("missing.pkl", (), 2, "it could not be judged"),
    ],
)
def test_nothing_is_written_for_anything_else(
    folder: Path, file: str, options: tuple[str, ...], code: int, why: str
) -> None:
    out = folder / "out.json"
    done = run("scan", folder / file, "--attest", out, *options)
    assert done.exit_code == code
    assert "No certificate was written: " in done.stderr
    assert why in done.stderr
    assert not out.exists()


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
        ("good.pt", "--full-hash"),
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


def test_an_old_certificate_stays_as_it_was(folder: Path) -> None:
    out = folder / "out.json"
    out.write_text("before")
    assert run("scan", folder / "dangerous.pkl", "--attest", out).exit_code == 1
    assert out.read_text() == "before"


def test_what_does_not_hold_is_refused(folder: Path) -> None:
    out = folder / "good.json"
    run("scan", folder / "good.pt", "--attest", out)
    done = run("attest", "verify", folder / "other.pt", out)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("Refused: ")
    assert "the certificate says" in done.stderr
    out.write_text("{}")
    assert run("attest", "verify", folder / "good.pt", out).exit_code == 1


def test_what_cannot_be_read_is_no_refusal(folder: Path) -> None:
    out = folder / "good.json"
    run("scan", folder / "good.pt", "--attest", out)
    assert run("attest", "verify", folder / "missing.pt", out).exit_code == 2
    assert run("attest", "verify", folder / "good.pt", folder / "missing.json").exit_code == 2
    assert run("attest", "verify", folder / "good.pt").exit_code == 2
    assert run("attest").exit_code == 2


def test_the_policy_must_be_the_one_of_the_scan(folder: Path) -> None:
    pack = folder / "pack.toml"
    pack.write_text('[[narrow]]\nmodule = "collections"\nnames = ["Counter"]\n')
    out = folder / "good.json"
    assert run("scan", folder / "good.pt", "--policy", pack, "--attest", out).exit_code == 0
    done = run("attest", "verify", folder / "good.pt", out)
    assert (done.exit_code, "other rules" in done.stderr) == (1, True)
    assert run("attest", "verify", folder / "good.pt", out, "--policy", pack).exit_code == 0
