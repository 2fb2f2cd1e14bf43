"""Configuration at the command line: what goes before what, what is in force, and the folder that brings its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.configured_project import UNVETTED, golden, project, run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = project(tmp_path / "project")
    monkeypatch.chdir(place)
    return place


def write(text: str, path: str = "safeload.toml") -> None:
    Path(path).write_text(text)


def test_nothing_is_configured(here: Path, root: Path) -> None:
    golden(root, "config-default.txt", run("config").stdout)


def test_what_is_in_force_and_whence(here: Path, root: Path) -> None:
    write('policy = "pack.toml"\nfail-on = "dangerous"\nlimit = ["opcodes=1m", "findings=9"]\njobs = 2\n')
    result = run("config", env={"SAFELOAD_JOBS": "4", "SAFELOAD_ALLOW_EMPTY": "1"})
    assert result.exit_code == 0
    golden(root, "config.txt", result.stdout.replace(str(here), "PROJECT"))
    rows = {row["option"]: row for row in json.loads(run("config", "--json").stdout)}
    assert rows["fail-on"] == {"option": "fail-on", "value": "dangerous", "whence": "safeload.toml:2"}
    assert rows["timeout"] == {"option": "timeout", "value": None, "whence": "default"}


def test_command_line_over_environment_over_file(here: Path) -> None:
    scan = ("scan", "models/unvetted.pkl", "-q")
    assert run(*scan).exit_code == 1
    write('fail-on = "dangerous"\n')
    assert run(*scan).exit_code == 0
    assert run(*scan, env={"SAFELOAD_FAIL_ON": "unvetted"}).exit_code == 1
    assert run(*scan, "--fail-on", "dangerous", env={"SAFELOAD_FAIL_ON": "unvetted"}).exit_code == 0
    assert run(*scan, "--fail-on", "unvetted").exit_code == 1
    assert run(*scan, "--no-config").exit_code == 1
    write('fail-on = "unvetted"\n', "ci.toml")
    assert run(*scan, "--config", "ci.toml").exit_code == 1
    assert run(*scan, env={"SAFELOAD_CONFIG": "ci.toml"}).exit_code == 1


def test_a_flag_of_the_file_can_be_taken_back_by_the_environment(here: Path) -> None:
    (here / "empty").mkdir()
    write("allow-empty = true\n")
    assert run("scan", "empty").exit_code == 0
    assert run("scan", "empty", env={"SAFELOAD_ALLOW_EMPTY": "false"}).exit_code == 2


def test_files_are_taken_from_the_folder_of_the_configuration(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write('policy = "pack.toml"\n')
    monkeypatch.chdir(here / "models")
    assert run("scan", "unvetted.pkl").exit_code == 0
    assert "record-safe" in run("scan", "unvetted.pkl").stdout


def test_formats_and_limits(here: Path) -> None:
    write('format = "json"\nlimit = "opcodes=1"\n')
    result = run("scan", "models/clean.pkl")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["files"][0]["findings"][0]["rule"] == "limit-reached"
    assert run("scan", "models/clean.pkl", "--limit", "opcodes=99").exit_code == 0
    assert run("convert", "models/clean.pkl", "out.safetensors").exit_code == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('fail-on = "never"\n', "safeload.toml:1: 'fail-on': 'never' is not one of 'unvetted', 'dangerous'."),
        ("\njobs = -1\n", "safeload.toml:2: 'jobs': "),
        ("timeout = 0\n", "safeload.toml:1: 'timeout': it takes a number of seconds above 0"),
        ('limit = "opcode=1"\n', "safeload.toml:1: 'limit': unknown limit 'opcode'"),
        ('format = "xml"\n', "safeload.toml:1: 'format': 'xml' is not one of "),
        ("fail_on = 1\n", "safeload.toml:1: unknown key 'fail_on'; did you mean 'fail-on'?"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(here: Path, text: str, message: str) -> None:
    write(text)
    for command in (("scan", "models/clean.pkl"), ("config",)):
        result = run(*command)
        assert (result.exit_code, result.stdout) == (2, "")
        assert result.stderr.startswith(f"Error: {here}/{message}")
    assert run("scan", "models/clean.pkl", "--no-config").exit_code == 0


def test_a_wrong_variable_is_named() -> None:
    result = run("scan", "x", env={"SAFELOAD_JOBS": "many"})
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: SAFELOAD_JOBS: 'jobs': 'many' is not a valid integer")


LOOSE = 'fail-on = "dangerous"\nallow-empty = true\nbaseline = "b.toml"\npolicy = "pack.toml"\n'


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A downloaded folder that brings a configuration, which would let it pass."""
    place = tmp_path / "downloaded"
    place.mkdir()
    (place / "model.pkl").write_bytes(UNVETTED)
    (place / "safeload.toml").write_text('fail-on = "dangerous"\n')
    return place


def test_a_folder_that_is_scanned_configures_nothing(hostile: Path, here: Path) -> None:
    assert run("scan", hostile).exit_code == 1
    inside = here / "models" / "downloaded"
    hostile.rename(inside)
    assert run("scan", inside).exit_code == 1
    assert run("scan", inside / "model.pkl").exit_code == 1


@pytest.mark.parametrize("target", [".", "model.pkl", "../downloaded", "-"])
@pytest.mark.parametrize("name", ["safeload.toml", "pyproject.toml"])
def test_nor_when_one_stands_in_it(hostile: Path, target: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "pyproject.toml":
        (hostile / "safeload.toml").unlink()
        (hostile / name).write_text('[tool.safeload]\nfail-on = "dangerous"\n')
    monkeypatch.chdir(hostile)
    result = run("scan", target, "-q", input=UNVETTED)
    assert result.exit_code == 1
    assert result.stderr == (
        f"Note: {name} lies in what is looked at, which is no repository: not read; --config {name} reads it\n"
    )
    assert run("scan", target, "-q", "--config", name, input=UNVETTED).exit_code == 0


def test_a_wrong_file_in_it_is_not_even_read(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hostile / "safeload.toml").write_bytes(b"\xff")
    monkeypatch.chdir(hostile)
    assert run("scan", "model.pkl", "-q").exit_code == 1


def test_the_own_project_says_what_it_loosens_when_it_is_scanned(here: Path) -> None:
    write('fail-on = "dangerous"\njobs = 1\n')
    for name in ("dangerous", "unjudged"):
        (here / f"models/{name}.pkl").unlink()
    result = run("scan", ".", "-q")
    assert result.exit_code == 0
    assert (
        result.stderr == "Note: safeload.toml lies in what is looked at, and sets fail-on; --no-config leaves it out\n"
    )
    assert run("scan", "models", "-q").stderr == ""


def test_a_guarded_program_gets_the_policy_of_the_project(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write('policy = "nothing-here.toml"\n')
    result = run("run", "train.py")
    assert result.exit_code == 2
    assert "nothing-here.toml" in result.stderr
