"""The optional parts of safeload: how each is found, what is missing without it, and what installs it.

The lower bounds are those of pyproject.toml, held equal by a test. Imports the parts only when they are asked for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from typing import NamedTuple

from safeload.install import install_line

# Seconds for a program to say its version.
PATIENCE = 20


class Part(NamedTuple):
    """`version` gives None when the part is not there, and raises anything when it is there and fails.

    least   the lowest version that works, "" for any
    """

    name: str
    version: Callable[[], str | None]
    least: str
    without: str
    install: str


def parts() -> tuple[Part, ...]:
    """All of them, in the order in which they are shown."""
    return (
        Part(
            "torch",
            _torch,
            "2.4",
            "scanning and converting work; load, open, protect and run do not",
            install_line("torch"),
        ),
        Part("numpy", _numpy, "1.26", "convert and verify do not work", install_line("convert")),
        Part("safetensors", _safetensors, "0.4", "convert and verify do not work", install_line("convert")),
        Part(
            "fickling",
            _fickling,
            "0.1.12",
            "no second opinion in Python (explain --python)",
            install_line("explain"),
        ),
        _program("git", "hooks cannot read what is staged", "--version"),
        _program("git-lfs", "what Git LFS pointers stand for cannot be fetched", "version"),
        Part(
            "pre-commit",
            lambda: _asked("pre-commit", "--version"),
            "",
            "the hooks of .pre-commit-hooks.yaml have nobody to run them",
            "pip install pre-commit",
        ),
    )


def version_tuple(version: str) -> tuple[int, ...]:
    """The numbers a version starts with: "2.13.0a1" is (2, 13, 0)."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def _program(name: str, without: str, argument: str) -> Part:
    manager = {"darwin": "brew install", "win32": "winget install"}.get(sys.platform, "apt-get install")
    return Part(name, lambda: _asked(name, argument), "", without, f"{manager} {name}")


def _asked(program: str, argument: str) -> str | None:
    """The version that a program prints. Raises OSError when it cannot be run or fails."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run(  # noqa: S603 - found on the user's own PATH
            [path, argument], capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"{path} did not say its version within {PATIENCE} s") from None
    if done.returncode:
        raise OSError(f"{path} {argument} ended with {done.returncode}")
    number = re.search(r"\d+(\.\d+)+", done.stdout)
    return number[0] if number else done.stdout.strip()


def _metadata(name: str) -> str | None:
    try:
        return installed(name)
    except PackageNotFoundError:
        return None


def _torch() -> str | None:
    if (version := _metadata("torch")) is not None:
        import torch  # noqa: F401 - that it can be imported is what is asked
    return version


def _numpy() -> str | None:
    if (version := _metadata("numpy")) is not None:
        import numpy  # noqa: F401
    return version


def _safetensors() -> str | None:
    if (version := _metadata("safetensors")) is not None:
        import safetensors  # noqa: F401
    return version


def _fickling() -> str | None:
    if (version := _metadata("fickling")) is not None:
        import fickling  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
    return version
