"""Mistyped commands, `safeload help`, and colours: what every command has in common."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from safeload.cli import COMMANDS, app
from safeload.cli.coloring import colored
from safeload.cli.text.help_text import LIMIT_WORDS, TOPICS, limits_text, spelled, text_of
from safeload.limits import Limits
from safeload.reports import FORMATS


def safeload(*args: str) -> Result:
    return CliRunner().invoke(app, list(args))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["sacn", "x.pt"], "No such command 'sacn'. Did you mean 'scan'?"),
        (["SCAN"], "No such command 'SCAN'. Did you mean 'scan'?"),
        (["very"], "Did you mean 'verify'?"),
        (["attest", "verfy"], "No such command 'verfy'. Did you mean 'verify'?"),
        (["scan", "--jbos", "2", "x.pt"], "'--jobs'"),
        (["--versoin"], "'--version'"),
        (["help", "verdict"], "No such topic or command 'verdict'. Did you mean 'verdicts'"),
        (["doctor", "--josn"], "'--json'"),
        (["completion"], "Choose from: bash, zsh, fish"),
        (["hook"], "Missing command, one of: ci, no-pickle, scan"),
        (["baseline"], "Missing command, one of: check, write"),
        (["scan", "--policy", "strct", "x.pt"], "there is no policy 'strct'; the policies are weights-only, standard"),
        (["rules", "show", "zzzz"], "safeload rules list has them"),
    ],
)
def test_a_slip_is_answered_with_what_was_meant(args: list[str], said: str) -> None:
    result = safeload(*args)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_nothing_is_suggested_where_nothing_is_close() -> None:
    for args in (["frobnicate"], ["help", "frobnicate"], ["attest", "frobnicate"]):
        result = safeload(*args)
        assert result.exit_code == 2
        assert "frobnicate" in result.stderr
        assert "Did you mean" not in result.stderr


def test_a_file_in_place_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my model.pt").touch()
    result = safeload("my model.pt")
    assert result.exit_code == 2
    assert "to judge it: safeload scan 'my model.pt'" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="such names exist on POSIX")
def test_a_hostile_word_moves_no_cursor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = "\x1b[2J\u202ex;id"
    (tmp_path / name).touch()
    for args in ([name], ["help", name], ["attest", name]):
        result = safeload(*args)
        assert result.exit_code == 2
        assert {c for c in result.output if not (c.isascii() and c.isprintable())} <= {"\n"}
    assert "safeload scan $'" in safeload(name).stderr


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "environment", "to_file", "expected"),
    [
        ("auto", {}, None, True),
        ("auto", {}, "report.txt", False),
        ("auto", {"TERM": "dumb"}, None, False),
        ("auto", {"NO_COLOR": "1"}, None, False),
        ("auto", {"NO_COLOR": ""}, None, True),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, None, False),
        ("auto", {"FORCE_COLOR": "1"}, "report.txt", True),
        ("never", {"FORCE_COLOR": "1"}, None, False),
        ("always", {"NO_COLOR": "1"}, "report.txt", True),
    ],
)
def test_when_there_are_colors(
    monkeypatch: pytest.MonkeyPatch, choice: str, environment: dict[str, str], to_file: str | None, expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert colored(choice, to_file) is expected


def test_no_terminal_no_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stdout", stream)
        assert colored("auto") is False


def test_help_lists_every_topic_and_shows_each() -> None:
    listed = safeload("help").stdout
    for name, (line, _) in TOPICS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", listed, re.MULTILINE)
        result = safeload("help", name)
        assert (result.exit_code, result.stderr) == (0, "")
        text = result.stdout
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= 88
        assert text.splitlines()[0].lower().replace(" ", "-") == name.lower()
        assert "{" not in text


@pytest.mark.parametrize("name", [name for name, _, _ in COMMANDS])
def test_help_of_a_command_is_its_own_help(name: str) -> None:
    assert safeload("help", name).stdout == safeload(name, "--help").stdout


def test_the_topic_of_limits_has_each_as_the_option_takes_it() -> None:
    assert LIMIT_WORDS.keys() == set(Limits._fields)
    lines = limits_text().splitlines()
    assert [line.split()[0] for line in lines] == list(Limits._fields)
    assert Limits.parse(tuple("=".join(line.split()[:2]) for line in lines)) == Limits()
    assert [spelled(n) for n in (1, 1024, 1025, 64 << 20, 4 << 30)] == ["1", "1k", "1025", "64m", "4g"]


def test_the_topic_of_formats_has_every_report() -> None:
    words = re.findall(r"[a-z]+", safeload("help", "formats").stdout)
    assert {form.name for form in FORMATS} - set(words) == set()


def test_topics_name_every_verdict_and_variable(root: Path) -> None:
    from safeload.findings import Verdict

    assert {verdict.value for verdict in Verdict} - set(re.findall("[a-z]+", TOPICS["verdicts"][1])) == set()
    read = set()
    for path in (root / "safeload").rglob("*.py"):
        read |= set(
            re.findall(
                r"[\"'](SAFELOAD_(?!ACTION_)[A-Z_]+|NO_COLOR|FORCE_COLOR)[\"']", path.read_text(encoding="utf-8")
            )
        )
    explained = set(re.findall(r"\b[A-Z_]{4,}\b", text_of("environment")))
    assert read - explained == set(), "say it in safeload/cli/text/help_text.py"


def test_help_and_version_come_without_judging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safeload.scanning.scanner", None)
    for args in (["help"], ["help", "limits"], ["--help"], ["--version"], ["scan", "--help"]):
        assert safeload(*args).exit_code == 0


def test_whatever_colors_has_the_option(root: Path) -> None:
    """A command that asks for `colored`, itself or by a file of its own, has the one option for it."""
    using = {
        path.stem
        for path in (root / "safeload" / "cli").rglob("*.py")
        if re.search(r"\bcolored\(", path.read_text(encoding="utf-8")) and path.stem != "coloring"
    }
    beside = {"outputs": "scan"}  # what a file prints for whom
    for name in {beside.get(stem, stem) for stem in using}:
        command = app.get_command(click.Context(app), name)
        assert command is not None, name
        (option,) = [param for param in command.params if "--color" in param.opts]
        assert isinstance(option.type, click.Choice)
        assert list(option.type.choices) == ["auto", "always", "never"]
    assert len(using) > 3
