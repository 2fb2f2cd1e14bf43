"""`safeload completion`, asked by real shells: bash everywhere, zsh and fish where they are installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from safeload.cli import COMMANDS, app
from safeload.cli.commands.completion import INSTALL, SHELLS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX shells")


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Path:
    """A folder with `safeload` as a command in `bin` and two files to complete."""
    command = tmp_path / "bin" / "safeload"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m safeload "$@"\n')
    command.chmod(0o755)
    (tmp_path / "model-a.pt").touch()
    (tmp_path / "model-b.pt").touch()
    return tmp_path


def ask(place: Path, root: Path, *command: str, **extra: str) -> str:
    environment = {**os.environ, "PATH": f"{place}/bin:{os.environ['PATH']}", "PYTHONPATH": str(root), **extra}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def in_bash(place: Path, root: Path, *words: str) -> list[str]:
    """What bash would offer for the last of `words`: the function that the script defines, called as bash calls it."""
    script = (
        "source <(safeload completion bash)\n"
        # Which function bash calls for the command is what the script registered, and not written here.
        'set -- $(complete -p safeload); while [ "$1" != -F ]; do shift; done; function=$2\n'
        f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}\n"
        "$function safeload\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    return ask(place, root, "bash", "--norc", "-c", script).split()


def test_bash_completes_commands(place: Path, root: Path) -> None:
    assert in_bash(place, root, "safeload", "sc") == ["scan"]
    assert in_bash(place, root, "safeload", "") == [name for name, _, _ in COMMANDS]


def test_bash_completes_options_and_choices(place: Path, root: Path) -> None:
    assert in_bash(place, root, "safeload", "scan", "--fail") == ["--fail-on"]
    assert in_bash(place, root, "safeload", "scan", "--fail-on", "d") == ["dangerous"]
    assert in_bash(place, root, "safeload", "attest", "ver") == ["verify"]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("safeload scan mod", "file,mod"),
        ("safeload scan --policy mod", "file,mod"),
        ("safeload convert model-a.pt mod", "file,mod"),
        ("safeload attest verify mod", "file,mod"),
        ("safeload mod", ""),
        ("safeload scan --mod", ""),
    ],
)
def test_names_of_files_where_nothing_better_is_known(place: Path, root: Path, words: str, offered: str) -> None:
    count = str(words.count(" "))
    answer = ask(place, root, "safeload", _SAFELOAD_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=count)
    assert answer.strip() == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(place: Path, root: Path) -> None:
    script = 'safeload completion fish | source; complete -C "safeload sc"; complete -C "safeload scan model-"'
    home = {"HOME": str(place), "XDG_CONFIG_HOME": str(place / "config"), "XDG_DATA_HOME": str(place / "data")}
    lines = ask(place, root, "fish", "--no-config", "-c", script, **home).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["scan", "model-a.pt", "model-b.pt"]


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_takes_the_script(place: Path, root: Path) -> None:
    script = (
        'autoload -Uz compinit && compinit -D; eval "$(safeload completion zsh)"; print ${_comps[safeload]};'
        # How zsh asks: the words and where the cursor is; three lines an answer.
        "env COMP_WORDS='safeload sc' COMP_CWORD=1 _SAFELOAD_COMPLETE=zsh_complete safeload"
    )
    lines = ask(place, root, "zsh", "-f", "-c", script, HOME=str(place)).splitlines()
    assert lines == ["_safeload_completion", "plain", "scan", "Judge checkpoints without running them."]


@pytest.mark.parametrize("shell", list(SHELLS))
def test_the_first_line_says_how_to_install_it(shell: str) -> None:
    result = CliRunner().invoke(app, ["completion", shell])
    assert result.exit_code == 0
    assert result.output.startswith(f"# Install it: {INSTALL[shell]}\n")
    assert "\x1b" not in result.output


def test_unknown_shells() -> None:
    result = CliRunner().invoke(app, ["completion", "csh"])
    assert result.exit_code == 2
    assert "'bash', 'zsh', 'fish'" in result.stderr
