"""`safeload baseline`: what it writes, what it leaves out, and what a check says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.configured_project import OTHER, golden, project, run

WRITE = ("-o", "known.toml", "--reason", "ours", "--expires", "2099-12-31")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = project(tmp_path / "project")
    monkeypatch.chdir(place)
    return place


def test_write(here: Path, root: Path) -> None:
    result = run("baseline", "write", "models/dangerous.pkl", "models/unvetted.pkl", "models/clean.pkl", *WRITE)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "known.toml: 2 entries, until 2099-12-31\n"
    golden(root, "baseline.toml", Path("known.toml").read_text())


def test_what_is_left_out_is_said_and_fails(here: Path) -> None:
    result = run("baseline", "write", "models", *WRITE)
    assert result.exit_code == 2
    assert result.stderr.startswith("Left out: models/unjudged.pkl: it could not be judged: --include-unjudged takes")
    assert "unjudged" not in Path("known.toml").read_text()
    assert run("baseline", "write", "models", *WRITE, "--include-unjudged").exit_code == 0
    assert run("scan", "models", "--baseline", "known.toml").exit_code == 0
    with (here / "models/unjudged.pkl").open("ab") as file:
        file.write(b"x")
    assert run("scan", "models", "--baseline", "known.toml").exit_code == 2


def test_record_safe_names_need_no_entry(here: Path) -> None:
    result = run("baseline", "write", "models/unvetted.pkl", *WRITE, "--policy", "pack.toml")
    assert result.stderr == "known.toml: 0 entries, until 2099-12-31\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("--reason", " "), "say why these findings are let pass"),
        (("--expires", "2020-01-01"), "2020-01-01 is over"),
        (("--expires", "soon"), "it takes a date as 2030-01-31, not 'soon'"),
        (("--policy", "strict"), "the policy 'strict' excuses nothing"),
        (("-o", "models/clean.pkl"), "is one of the files to scan"),
    ],
)
def test_what_cannot_be_written(here: Path, change: tuple[str, str], message: str) -> None:
    result = run("baseline", "write", "models/clean.pkl", *WRITE, *change)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("known.toml").exists()


def test_a_reason_is_demanded(here: Path) -> None:
    result = run("baseline", "write", "models", "-o", "known.toml")
    assert result.exit_code == 2
    assert "--reason" in result.stderr


def test_an_entry_holds_for_ninety_days(here: Path) -> None:
    from datetime import date, timedelta

    before = date.today()
    run("baseline", "write", "models/unvetted.pkl", "-o", "known.toml", "--reason", "ours")
    found = date.fromisoformat(re.search(r"expires = (\S+)", Path("known.toml").read_text())[1])
    assert before + timedelta(90) <= found <= date.today() + timedelta(90)


def test_check(here: Path, root: Path) -> None:
    assert run("baseline", "write", "models/dangerous.pkl", "models/unvetted.pkl", *WRITE).exit_code == 0
    good = run("baseline", "check", "models/dangerous.pkl", "models/unvetted.pkl", "--baseline", "known.toml")
    assert (good.exit_code, good.stdout) == (0, "2 files: 0 new, 2 accepted, 0 expired, 0 stale\n")
    (here / "models/unvetted.pkl").write_bytes(OTHER)
    text = Path("known.toml").read_text()
    Path("known.toml").write_text(text.replace("2099-12-31", "2020-01-31", 1))
    result = run("baseline", "check", "models", "--baseline", "known.toml")
    assert result.exit_code == 1
    golden(root, "baseline-check.txt", result.stdout)


def test_check_as_json(here: Path) -> None:
    assert run("baseline", "write", "models/dangerous.pkl", *WRITE).exit_code == 0
    result = run("baseline", "check", "models/unvetted.pkl", "--baseline", "known.toml", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["schema"] == "safeload.baseline-check/1"
    assert [(new["path"], new["global"]) for new in document["new"]] == [("models/unvetted.pkl", "project.Model")]
    assert [(stale["global"], stale["line"], stale["expires"]) for stale in document["stale"]] == [
        ("os.system", 3, "2099-12-31")
    ]
    assert document["expired"] == []


def test_check_needs_a_baseline(here: Path) -> None:
    result = run("baseline", "check", "models")
    assert result.exit_code == 2
    assert "name the baseline" in result.stderr
    (here / "safeload.toml").write_text('baseline = "known.toml"\n')
    assert run("baseline", "write", "models/unvetted.pkl", *WRITE).exit_code == 0
    assert run("baseline", "check", "models/unvetted.pkl").exit_code == 0
