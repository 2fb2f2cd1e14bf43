"""An ordinary repository is quiet: nothing in it is dangerous, and nothing is unjudged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from safeload.cli import app
from tests.quiet.repositories import REPOSITORIES, write

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a command in the folder, with a git that knows no settings but these."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    environment |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    for who in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{who}_NAME": "test", f"GIT_{who}_EMAIL": "test@example.org"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_scan_of_a_repository_is_quiet(name: str, tmp_path: Path) -> None:
    files = REPOSITORIES[name]()
    assert 30 <= len(files) <= 120
    write(files, tmp_path)
    done = CliRunner().invoke(app, ["scan", str(tmp_path), "--allow-empty", "--no-config", "--format", "json"])
    report = json.loads(done.stdout)
    loud = [
        (file["path"], file["verdict"], file["findings"]) for file in report["files"] if file["verdict"] != "skipped"
    ]
    assert loud == []
    assert len(report["files"]) == len(files)
    assert done.exit_code == 0


@pytest.mark.parametrize("name", REPOSITORIES)
def test_a_commit_of_a_repository_passes_the_hook(name: str, tmp_path: Path, run: Run) -> None:
    write(REPOSITORIES[name](), tmp_path)
    assert run("git", "init", "-q").returncode == 0
    assert run("git", "add", "-A", "-f").returncode == 0
    done = run(sys.executable, "-m", "safeload", "hook", "scan", "--staged")
    assert done.returncode == 0, done.stdout + done.stderr
    assert run("git", "commit", "-q", "-m", "all").returncode == 0


def test_one_model_among_them_is_heard(tmp_path: Path, run: Run) -> None:
    write(REPOSITORIES["dvc"]() | {"models/model.pkl": b"cos\nsystem\n(S'echo hello'\ntR."}, tmp_path)
    done = CliRunner().invoke(app, ["scan", str(tmp_path), "--allow-empty", "--no-config", "--format", "json"])
    report = json.loads(done.stdout)
    loud = [file["path"] for file in report["files"] if file["verdict"] != "skipped"]
    assert loud == [str(tmp_path / "models" / "model.pkl")]
    assert done.exit_code == 1
    assert run("git", "init", "-q").returncode == 0
    assert run("git", "add", "-A", "-f").returncode == 0
    assert run(sys.executable, "-m", "safeload", "hook", "scan", "--staged").returncode == 1
