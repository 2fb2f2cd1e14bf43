"""The `--help` of every command to the byte (tests/golden/help/), and what each of them must have.

Run this file to write the golden files again after a help text was changed on purpose; read the difference first.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from safeload.cli import COMMANDS, app

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "help"
WIDEST = 115


def commands() -> Iterator[tuple[str, ...]]:
    """The words of every command and subcommand, () for safeload itself."""
    waiting: list[tuple[tuple[str, ...], click.Command]] = [((), app)]
    while waiting:
        path, command = waiting.pop(0)
        yield path
        if isinstance(command, click.Group):
            context = click.Context(command)
            for name in command.list_commands(context):
                step = command.get_command(context, name)
                assert step is not None
                waiting.append(((*path, name), step))


def page(path: tuple[str, ...]) -> str:
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="safeload", terminal_width=80, env={"NO_COLOR": "1"})
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def golden(path: tuple[str, ...]) -> Path:
    return GOLDEN / ("-".join(("safeload", *path)) + ".txt")


ALL = sorted(commands())
LEAVES = [path for path in ALL if not any(other[: len(path)] == path for other in ALL if other != path)]


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_golden(path: tuple[str, ...]) -> None:
    assert page(path) == golden(path).read_text(encoding="utf-8"), f"python {Path(__file__).name} writes them again"


def test_every_golden_file_is_used() -> None:
    assert {file.name for file in GOLDEN.iterdir()} == {golden(path).name for path in ALL}


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_teaches_by_examples(path: tuple[str, ...]) -> None:
    text = page(path)
    assert "Examples:\n" in text
    assert " ".join(("safeload", *path)) + " " in text.partition("Examples:\n")[2] + " "
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= WIDEST


def test_the_first_line_of_each_command_is_the_line_in_the_list() -> None:
    listed = page(())
    for name, _, line in COMMANDS:
        assert f"  {name} " in listed
        assert line.endswith(".")


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_option_is_explained(path: tuple[str, ...]) -> None:
    command: click.Command | None = app
    for name in path:
        assert isinstance(command, click.Group)
        command = command.get_command(click.Context(command), name)
    assert command is not None
    silent = [p.opts for p in command.params if isinstance(p, click.Option) and not p.help and not p.hidden]
    assert silent == []


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for stale in GOLDEN.iterdir():
        stale.unlink()
    for words in ALL:
        golden(words).write_text(page(words), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{len(ALL)} pages\n")
