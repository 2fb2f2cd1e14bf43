"""Temporary git repositories, and the command run in them as a hook runs it."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.containers.whole.made import chunk

PICKLE = "benign/state-dict.pt"
SAFETENSORS = "benign/weights.safetensors"
DANGEROUS = "names/payload-in-data-pkl.pt"
UNVETTED = "benign/own-module.pt"


DOT = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    + chunk(b"IDAT", zlib.compress(bytes(2))) + chunk(b"IEND", b"")
)  # fmt: skip
"""A picture of one black dot."""


def clean_environment(**more: str) -> dict[str, str]:
    """An environment in which git knows nothing of the machine, and safeload is that of the checkout."""
    left_out = ("GIT_", "GITHUB_", "CI_", "SAFELOAD_", "RUNNER_", "PRE_COMMIT")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
    root = str(Path(__file__).resolve().parents[2])
    return {
        **kept,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONPATH": root,
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


class Repo:
    """One work tree."""

    def __init__(self, path: Path, samples: Path) -> None:
        self.path = path
        self.samples = samples

    def git(self, *arguments: str, cwd: Path | None = None, **environment: str) -> str:
        done = subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@example.org", *arguments],
            cwd=cwd or self.path, env=clean_environment(**environment), capture_output=True, text=True,
            errors="surrogateescape", check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def put(self, name: str, what: str | bytes) -> Path:
        """A sample by its name, or these bytes, under `name`."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, bytes):
            path.write_bytes(what)
        else:
            shutil.copyfile(self.samples / what, path)
        return path

    def commit(self, message: str = "x") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD").strip()

    def safeload(
        self, *arguments: str, cwd: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "safeload", *arguments],
            cwd=cwd or self.path, env=clean_environment(**environment), capture_output=True, text=True, check=False,
        )  # fmt: skip


@pytest.fixture
def repo(tmp_path: Path, root: Path) -> Repo:
    path = tmp_path / "repo"
    path.mkdir()
    made = Repo(path, root / "samples" / "files")
    made.git("init", "-q", "-b", "main")
    return made


@pytest.fixture
def repo_at(root: Path) -> Callable[[Path], Repo]:
    return lambda path: Repo(path, root / "samples" / "files")
