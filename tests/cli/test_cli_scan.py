"""`safeload scan` through click's runner: what is reported, where it goes, and how it ends."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from safeload.cli import app
from safeload.cli.commands.scan import exit_code
from safeload.findings import Verdict

CLEAN = b"\x80\x04]\x94(K\x01K\x02e."
DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."
UNVETTED = b"cproject\nModel\n."
UNJUDGED = b"\x80\x04]\x94(K\x01K\x02"


def scan(*args: str | Path, **options: Any) -> Result:
    return CliRunner().invoke(app, ["scan", *map(str, args)], **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "models"
    place.mkdir()
    for name, data in (("clean", CLEAN), ("dangerous", DANGEROUS), ("unvetted", UNVETTED), ("unjudged", UNJUDGED)):
        (place / f"{name}.pkl").write_bytes(data)
    (place / "README.md").write_text("# text\n")
    return place


@pytest.mark.parametrize(
    ("names", "default", "dangerous"),
    [
        (["clean"], 0, 0),
        (["unvetted"], 1, 0),
        (["dangerous"], 1, 1),
        (["unjudged"], 2, 2),
        (["clean", "unvetted"], 1, 0),
        (["unvetted", "unjudged"], 2, 2),
        (["unjudged", "dangerous"], 1, 1),
        (["clean", "none"], 2, 2),
        (["dangerous", "none"], 1, 1),
    ],
)
def test_exit_codes(folder: Path, names: list[str], default: int, dangerous: int) -> None:
    paths = [folder / f"{name}.pkl" for name in names]
    assert scan(*paths).exit_code == default
    assert scan("--fail-on", "unvetted", *paths).exit_code == default
    assert scan("--fail-on", "dangerous", *paths).exit_code == dangerous


@pytest.mark.parametrize("verdict", [v for v in Verdict if v != Verdict.SKIPPED])
@pytest.mark.parametrize("fail_on", ["unvetted", "dangerous"])
def test_only_clean_or_allowed_ends_with_zero(verdict: Verdict, fail_on: str) -> None:
    allowed = verdict == Verdict.CLEAN or (verdict, fail_on) == (Verdict.UNVETTED, "dangerous")
    assert (exit_code(verdict, fail_on) == 0) == allowed


def test_fail_on_changes_no_verdict(folder: Path) -> None:
    strict = json.loads(scan("--format", "json", folder / "unvetted.pkl").stdout)
    lax = json.loads(scan("--format", "json", "--fail-on", "dangerous", folder / "unvetted.pkl").stdout)
    assert strict == lax
    assert strict["summary"]["verdict"] == "unvetted"


def test_text_names_what_is_not_clean(folder: Path) -> None:
    lines = scan(folder).stdout.splitlines()
    heads = [line.split() for line in lines if line and not line.startswith(" ")]
    assert [head[:2] for head in heads[:-1]] == [
        ["DANGEROUS", f"{folder}/dangerous.pkl"],
        ["UNJUDGED", f"{folder}/unjudged.pkl"],
        ["UNVETTED", f"{folder}/unvetted.pkl"],
    ]
    assert lines[-1].startswith("dangerous: 5 files in ")
    assert "(1 dangerous, 1 unjudged, 1 unvetted, 1 clean, 1 skipped)" in lines[-1]
    assert any("system('echo harmless')" in line for line in lines)
    assert any("0x1e (byte 30)" in line or "(byte " in line for line in lines)


def test_json_goes_to_stdout_alone(folder: Path) -> None:
    result = scan("--format", "json", "--verbose", folder)
    document = json.loads(result.stdout)
    assert result.stderr == ""
    assert document["schema"] == "safeload.scan/1"
    assert document["summary"] == {
        "verdict": "dangerous",
        "files": 5,
        "clean": 1,
        "unvetted": 1,
        "dangerous": 1,
        "unjudged": 1,
        "skipped": 1,
        "excluded": 0,
        "excluded_folders": 0,
    }
    assert [os.path.basename(file["path"]) for file in document["files"]] == [
        "README.md",
        "clean.pkl",
        "dangerous.pkl",
        "unjudged.pkl",
        "unvetted.pkl",
    ]


def test_a_missing_path_is_reported_and_the_rest_scanned(folder: Path, tmp_path: Path) -> None:
    result = scan(tmp_path / "none", folder / "clean.pkl", "--verbose")
    assert result.exit_code == 2
    assert "there is no file or folder of this name" in result.stdout
    assert f"clean      {folder}/clean.pkl" in result.stdout


def test_nothing_to_scan(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", folder.parent / "text"):
        place.mkdir(exist_ok=True)
        if place.name == "text":
            (place / "notes.txt").write_text("notes\n")
        assert scan(place).exit_code == 2
        assert scan("--allow-empty", place).exit_code == 0
    assert scan("--allow-empty", tmp_path / "empty", folder / "unjudged.pkl").exit_code == 2
    assert scan("--allow-empty", tmp_path / "none").exit_code == 2


def test_a_text_named_explicitly_is_not_skipped(folder: Path) -> None:
    assert scan(folder / "README.md").exit_code == 2
    assert scan("--allow-empty", folder / "README.md").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [[], ["--jobs", "2"], ["--timeout", "60"]])
def test_standard_input(jobs: list[str]) -> None:
    result = scan("--format", "json", *jobs, "-", input=CLEAN)
    (file,) = json.loads(result.stdout)["files"]
    assert (result.exit_code, file["path"], file["verdict"], file["size"]) == (0, "-", "clean", len(CLEAN))
    assert scan(*jobs, "-", input=DANGEROUS).exit_code == 1
    assert scan(*jobs, "-", input=b"").exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("options", [["--jobs", "3"], ["--jobs", "0"], ["--timeout", "60"], ["--jobs", "1"]])
def test_workers_give_the_same_report(folder: Path, options: list[str]) -> None:
    assert scan("--format", "json", *options, folder).stdout == scan("--format", "json", folder).stdout


@pytest.mark.parametrize("options", [[], ["--jobs", "2"]])
def test_limits_are_applied(folder: Path, options: list[str]) -> None:
    result = scan(*options, "--limit", "opcodes=2", folder / "clean.pkl")
    assert result.exit_code == 2
    assert "--limit opcodes=VALUE" in result.stdout


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "Missing argument"),
        (["--limit", "nonsense=1", "x"], "unknown limit 'nonsense'; the limits are opcodes,"),
        (["--limit", "opcodes=-1", "x"], "positive whole number"),
        (["--timeout", "0", "x"], "above 0"),
        (["--timeout", "nan", "x"], "above 0"),
        (["--timeout", "inf", "x"], "above 0"),
        (["--jobs", "-1", "x"], "--jobs"),
        (["--quiet", "--verbose", "x"], "exclude each other"),
        (["--format", "xml", "x"], "'text', 'json'"),
        (["--fail-on", "clean", "x"], "--fail-on"),
        (["--policy", "none.toml", "x"], "none.toml"),
        (["-o", "no/such/folder/report", "x"], "there is no folder"),
        (["-o", ".", "x"], "is a folder"),
        (["--no-\x1b[31m", "x"], "--no-\\x1b[31m"),
    ],
)
def test_usage_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = scan(*args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "\x1b" not in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_command() -> None:
    result = CliRunner().invoke(app, ["scam"])
    assert result.exit_code == 2
    assert "scam" in result.stderr


def test_quiet_and_verbose(folder: Path) -> None:
    assert scan("--quiet", folder / "clean.pkl").stdout == ""
    assert scan("--quiet", folder).stdout.count("\n") == 1
    verbose = scan("--verbose", folder).stdout
    assert f"skipped    {folder}/README.md  (" in verbose
    assert f"clean      {folder}/clean.pkl" in verbose


@pytest.mark.parametrize(
    ("options", "environment", "colored"),
    [
        ([], {}, False),
        (["--color", "always"], {"NO_COLOR": "1"}, True),
        (["--color", "never"], {"FORCE_COLOR": "1"}, False),
        ([], {"FORCE_COLOR": "1"}, True),
        ([], {"FORCE_COLOR": "0"}, False),
        ([], {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ([], {"NO_COLOR": "", "FORCE_COLOR": "1"}, True),
    ],
)
def test_colors(folder: Path, options: list[str], environment: dict[str, str], colored: bool) -> None:
    clean_slate = {"NO_COLOR": None, "FORCE_COLOR": None}
    result = scan(*options, folder, env=clean_slate | environment, color=True)
    assert ("\x1b[" in result.stdout) == colored


@pytest.mark.skipif(sys.platform == "win32", reason="such names exist on POSIX")
def test_a_hostile_file(tmp_path: Path) -> None:
    hostile = tmp_path / os.fsdecode(b"\x1b[2J\xe2\x80\xae\xff.pkl")
    hostile.write_bytes(b"cos\nsystem\n(V\\u001b]0;x\\u202e\\u0007\ntR.")
    for options in ([], ["--jobs", "1"], ["--verbose"], ["--format", "json"], ["--color", "never"]):
        result = scan(*options, tmp_path)
        assert result.exit_code == 1
        assert {c for c in result.output if not (c.isascii() and c.isprintable())} == {"\n"}
    text = scan(tmp_path).stdout
    assert "$'" + str(tmp_path) + "/\\x1b[2J\\u202e\\xff.pkl'" in text
    assert "\\x1b]0;x\\u202e\\x07" in text
    (file,) = json.loads(scan("--format", "json", tmp_path).stdout)["files"]
    assert file["path"] == str(hostile)


def test_help_teaches() -> None:
    for args in ([], ["--help"], ["-h"]):
        result = CliRunner().invoke(app, args)
        assert "safeload scan models/" in result.output
        assert "Exit codes" in result.output
        assert result.exit_code == (0 if args else 2)
    result = scan("--help")
    assert result.exit_code == 0
    for word in ("--format", "--policy", "--fail-on", "--allow-empty", "--jobs", "--timeout", "--limit", "unjudged"):
        assert word in result.output


def test_version() -> None:
    from safeload.policy import Policy
    from safeload.report import VERSION

    result = CliRunner().invoke(app, ["--version"])
    assert result.output == f"safeload {VERSION} (policy {Policy.default().digest[:12]})\n"
    assert result.exit_code == 0


def test_our_own_bug_is_one_file_s(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import safeload.scanning.scanner as scanner

    real = scanner.scan_source

    def broken(source: Any, **options: Any) -> Any:
        if source.name.endswith("clean.pkl"):
            raise KeyError("oops")
        return real(source, **options)

    monkeypatch.setattr(scanner, "scan_source", broken)
    document = json.loads(scan("--format", "json", folder).stdout)
    (bad,) = [file for file in document["files"] if file["path"].endswith("clean.pkl")]
    assert bad["verdict"] == "unjudged"
    assert bad["findings"][0]["rule"] == "internal-error"
    assert "KeyError" in bad["findings"][0]["message"]
    assert document["summary"]["files"] == 5
