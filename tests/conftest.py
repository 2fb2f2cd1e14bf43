"""What every test may ask for."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

_LEFT_OUT = (".git", ".venv", ".venv-bench", ".venv-scoreboard", "build", "dist", "__pycache__")


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def project_files(root: Path) -> tuple[Path, ...]:
    """Every file of the project: what git tracks or would track; without git, what is there."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            check=True,
            capture_output=True,
        ).stdout.split(b"\0")
        paths = [root / name.decode() for name in listed if name]
    except (OSError, subprocess.CalledProcessError):
        paths = [p for p in root.rglob("*") if not any(part in _LEFT_OUT for part in p.relative_to(root).parts)]
    return tuple(sorted(p for p in paths if p.is_file()))


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], None]:
    """Runs a function after the verdict and before anything is built."""
    from safeload.loading import judged

    def install(act: Callable[[], None]) -> None:
        admit = judged.admit

        def hooked(*args: Any, **options: Any) -> None:
            admit(*args, **options)
            act()

        monkeypatch.setattr(judged, "admit", hooked)

    return install
