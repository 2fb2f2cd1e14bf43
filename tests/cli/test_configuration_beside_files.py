"""What a project's own configuration loosens is also said where a file of the project was named, and not its folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.configured_project import UNVETTED, project, run

NOTE = "Note: safeload.toml lies in what is looked at, and sets fail-on; --no-config leaves it out\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = project(tmp_path / "downloaded")
    (place / "model.pkl").write_bytes(UNVETTED)
    (place / "safeload.toml").write_text('fail-on = "dangerous"\n')
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize(
    "command", [("scan", "model.pkl"), ("scan", "./model.pkl", "-q"), ("hook", "scan", "model.pkl")]
)
def test_a_file_beside_the_configuration(here: Path, command: tuple[str, ...]) -> None:
    result = run(*command)
    assert (result.exit_code, result.stderr) == (0, NOTE)


def test_what_comes_through_a_pipe(here: Path) -> None:
    result = run("scan", "-", input=UNVETTED)
    assert (result.exit_code, result.stderr) == (0, NOTE)


def test_nothing_is_said_where_nothing_is_loosened(here: Path) -> None:
    assert run("scan", "models/unvetted.pkl").stderr == ""
    assert run("explain", "model.pkl").stderr == ""  # it takes no --fail-on


def test_a_configuration_with_a_number_too_long_is_a_wrong_one(here: Path) -> None:
    (here / "safeload.toml").write_text("jobs = " + "9" * 5000)
    result = run("scan", "model.pkl")
    assert result.exit_code == 2
    assert "safeload.toml:1: " in result.stderr
    assert "Traceback" not in result.stderr
