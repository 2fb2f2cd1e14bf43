"""An ordinary repository is quiet: nothing in it is dangerous, and nothing is unjudged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from safeload import scan
from tests.quiet.repositories import REPOSITORIES, write

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "test"), ("EMAIL", "test@example.org"))
}


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_scan_of_a_repository_is_quiet(name: str, tmp_path: Path) -> None:
    files = REPOSITORIES[name]()
    assert 30 <= len(files) <= 120
    write(files, tmp_path)
    reports = scan(tmp_path)
    assert len(reports.files) == len(files)
    loud = [(r.path, r.verdict, [f.message for f in r.findings]) for r in reports.files if r.verdict != "skipped"]
    assert loud == []


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_commit_of_a_repository_passes_the_hook(name: str, tmp_path: Path) -> None:
    write(REPOSITORIES[name](), tmp_path)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")} | IDENTITY
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    assert run("git", "init", "-q").returncode == 0
    assert run("git", "add", "-A", "-f").returncode == 0
    done = run(sys.executable, "-m", "safeload", "hook", "scan", "--staged")
    assert (done.returncode, done.stdout + done.stderr) == (0, done.stdout + done.stderr)
    assert run("git", "commit", "-q", "-m", "all").returncode == 0
