"""`--exclude` and `--include` of the commands: what is judged, what is counted, and whose patterns count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.configured_project import DANGEROUS, project, run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = project(tmp_path / "project")
    monkeypatch.chdir(place)
    return place


def scanned(*arguments: str | Path, **options: Any) -> tuple[int, list[str], tuple[int, int]]:
    """Exit code, names of the files that are listed, and what is counted as left out: all, and folders."""
    result = run("scan", "--format", "json", *arguments, **options)
    document = json.loads(result.stdout)
    summary = document["summary"]
    names = sorted(Path(file["path"]).name for file in document["files"])
    assert summary["files"] == len(names)
    return result.exit_code, names, (summary["excluded"], summary["excluded_folders"])


def test_what_is_left_out_is_not_judged_and_counted(here: Path) -> None:
    assert scanned("models", "--exclude", "*.pkl", "--exclude", "!clean.pkl") == (0, ["clean.pkl"], (3, 0))
    assert scanned("models", "--include", "clean.pkl", "--include", "un*") == (
        2, ["clean.pkl", "unjudged.pkl", "unvetted.pkl"], (1, 0),
    )  # fmt: skip
    assert scanned(".", "--exclude", "models/", "--exclude", ".git")[1:] == (["pack.toml"], (2, 2))


def test_the_summary_line(here: Path) -> None:
    (here / "models" / "more").mkdir()
    result = run("scan", "models", "--exclude", "more", "--exclude", "[du]*")
    assert result.stdout.startswith("clean: 1 file in ")
    assert " (1 clean), 3 files and 1 folder excluded. All that it would do" in result.stdout
    for form in ("github", "markdown", "html"):
        assert (
            ", 3 files and 1 folder excluded. "
            in run("scan", "models", "--exclude", "more", "--exclude", "[du]*", "--format", form).stdout
        )
    junit = run("scan", "models", "--exclude", "[du]*", "--format", "junit").stdout
    assert '<property name="excluded" value="3"/>' in junit
    sarif = json.loads(run("scan", "models", "--exclude", "[du]*", "--format", "sarif").stdout)
    assert sarif["runs"][0]["properties"]["summary"]["excluded"] == 3


def test_a_named_file_is_judged_whatever_the_patterns_say(here: Path) -> None:
    assert scanned("models/dangerous.pkl", "--exclude", "*")[:2] == (1, ["dangerous.pkl"])
    assert scanned("models/dangerous.pkl", "--include", "*.pt")[:2] == (1, ["dangerous.pkl"])


def test_nothing_left_is_nothing_judged(here: Path) -> None:
    result = run("scan", "models", "--exclude", "*")
    assert result.exit_code == 2
    assert result.stdout.endswith(
        ", 4 files excluded. Nothing was judged: --exclude and --include left nothing over; --allow-empty accepts it.\n"
    )
    assert run("scan", "models", "--exclude", "*", "--allow-empty").exit_code == 0


@pytest.mark.slow
def test_workers_judge_the_same(here: Path) -> None:
    assert scanned("models", "--exclude", "d*", "--jobs", "2") == scanned("models", "--exclude", "d*")


@pytest.mark.parametrize("option", ["--exclude", "--include"])
def test_a_bad_pattern_is_named(here: Path, option: str) -> None:
    result = run("scan", "models", option, "*.pt", option, "a[b")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "the pattern 'a[b' has a '['" in result.stderr


def test_configuration_and_environment(here: Path) -> None:
    Path("safeload.toml").write_text('exclude = ["[du]*"]\n')
    assert scanned("models") == (0, ["clean.pkl"], (3, 0))
    assert scanned("models", "--exclude", "nothing")[2] == (0, 0)
    assert scanned("models", "--no-config")[2] == (0, 0)
    assert scanned("models", env={"SAFELOAD_EXCLUDE": "*.pkl !un*"})[1:] == (["unjudged.pkl", "unvetted.pkl"], (2, 0))
    Path("safeload.toml").write_text('include = "clean*"\n')
    assert scanned("models") == (0, ["clean.pkl"], (3, 0))
    Path("safeload.toml").write_text('\nexclude = ["x", "a\\\\"]\n')
    result = run("scan", "models")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {here}/safeload.toml:2: 'exclude': 'a\\\\' is no pattern")


@pytest.mark.parametrize(
    "text", ['exclude = ["*"]\nallow-empty = true\n', 'include = ["*.none"]\nallow-empty = true\n']
)
def test_what_is_scanned_leaves_nothing_of_itself_out(
    here: Path, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "downloaded"
    place.mkdir()
    (place / "model.pkl").write_bytes(DANGEROUS)
    for name in (".gitignore", ".ignore", ".safeloadignore"):
        (place / name).write_text("*\n")
    (place / "safeload.toml").write_text(text)
    for target in (place, place / "model.pkl"):
        assert scanned(target)[0] == 1
    monkeypatch.chdir(place)
    result = run("scan", ".", "-q")
    assert result.exit_code == 1
    assert "not read" in result.stderr


def test_the_own_project_says_what_it_leaves_out_when_it_is_scanned(here: Path) -> None:
    Path("safeload.toml").write_text('exclude = ["models/", ".git/"]\n')
    result = run("scan", ".", "-q")
    assert (
        result.stderr == "Note: safeload.toml lies in what is looked at, and sets exclude; --no-config leaves it out\n"
    )


def test_a_baseline_is_about_the_same_files(here: Path) -> None:
    assert run("baseline", "write", "models", "-o", "b.toml", "--reason", "r", "--exclude", "[du]*").exit_code == 0
    result = run("baseline", "check", "models", "--baseline", "b.toml", "--exclude", "[du]*")
    assert (result.exit_code, result.stdout) == (0, "1 file: 0 new, 0 accepted, 0 expired, 0 stale\n")
