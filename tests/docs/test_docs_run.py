"""The pages are tried as printed, in a folder with the files that they talk about: shell sessions and snippets.

A `console` block is a session: `$ command`, then what it prints; a line `...` stands for any lines. A `sh` or `python`
block below `<!-- tried -->` is run, and ends with exit code 0, or with the number after the word.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import Block, blocks, commands, furnish
from tests.docs.test_docs import PAGES, read

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("bash") is None, reason="the pages are written for a POSIX shell"
)

VARIES = (
    (r"in \d+\.\d+ s\b", "in 0.10 s"),
    (r"\b[0-9a-f]{64}\b", "<sha256>"),
    (r"\b20\d\d-\d\d-\d\d\b", "<day>"),
    (r"safetensors \d+\.\d+\.\d+", "safetensors <version>"),
)


def tried(block: Block) -> bool:
    return block.kind == "console" or block.mark.startswith("tried")


RUN = [page for page in PAGES if any(tried(block) for block in blocks(read(page)))]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What the pages talk about, in `here`; the command `safeload` in `bin`."""
    command = tmp_path / "bin" / "safeload"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -P -m safeload "$@"\n')
    command.chmod(0o755)
    (tmp_path / "here").mkdir()
    furnish(tmp_path / "here")
    return tmp_path


def run(place: Path, root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SAFELOAD", "FORCE_"))}
    environment |= {"PATH": f"{place}/bin:{environment['PATH']}", "PYTHONPATH": str(root)}
    return subprocess.run(
        command,
        cwd=place / "here",
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
    )


def alike(shown: str, printed: str) -> bool:
    """Whether what a page shows is what was printed: "..." on a line of its own is any number of lines."""
    for pattern, word in VARIES:
        shown, printed = re.sub(pattern, word, shown), re.sub(pattern, word, printed)
    parts = re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE)
    return re.fullmatch("(?:.*\n)*?".join(map(re.escape, parts)), printed) is not None


def session(text: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with what is shown below it."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert parts[0] == "", "a session starts with a command"
    return list(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("page", RUN)
def test_a_page_works_as_printed(page: str, place: Path, root: Path) -> None:
    for block in blocks(read(page)):
        if not tried(block):
            continue
        where = f"{page}:{block.line}"
        if block.kind == "console":
            for command, shown in session(block.text):
                printed = run(place, root, "bash", "-c", command).stdout
                assert alike(shown, printed), f"{where}: $ {command}\n{printed}"
            continue
        expected = int(block.mark.removeprefix("tried").strip() or 0)
        start = [sys.executable, "-P", "-c"] if block.kind == "python" else ["bash", "-ec"]
        done = run(place, root, *start, block.text)
        assert done.returncode == expected, f"{where}: {done.stdout}"


def test_every_command_of_the_readme_runs(place: Path, root: Path) -> None:
    """Also those without a session: in the order of the page, they end with an answer and never with an error."""
    run(place, root, "bash", "-c", "git init -q . && git add models/base.pt")
    given = [command for block in blocks(read("README.md")) for _, command in commands(block)]
    assert len(given) > 12
    for command in given:
        done = run(place, root, "bash", "-c", command)
        expected = {0, 1} if command.split()[1] in {"scan", "explain", "diff", "hook"} else {0}
        assert done.returncode in expected, f"$ {command}\n{done.stdout}"
        assert "Traceback" not in done.stdout


def test_the_pages_for_starters_are_tried() -> None:
    assert {"README.md", "docs/quickstart.md", "docs/recipes.md"} <= set(RUN)


def test_what_is_printed_otherwise_is_seen() -> None:
    assert alike("a\n...\nd\n", "a\nb\nc\nd\n")
    assert alike("1 file in 0.13 s\n", "1 file in 9.99 s\n")
    assert not alike("a\n", "a\nb\n")
    assert not alike("a\n...\nd\n", "a\nb\nc\n")
    assert not alike("a.c\n", "abc\n")
