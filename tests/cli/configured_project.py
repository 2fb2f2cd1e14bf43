"""A project with models in it, for the tests of baselines, configuration and packs.

`python -m tests.cli.configured_project` writes their golden files again, after an output was changed on purpose; read
the difference first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from safeload.cli import app

CLEAN = b"\x80\x04]\x94(K\x01K\x02e."
DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."
UNVETTED = b"cproject\nModel\n."
OTHER = b"cproject\nOther\n."
UNJUDGED = b"\x80\x04]\x94(K\x01K\x02"

PACK = '[[record_safe]]\nmodule = "project"\nname = "Model"\nreason = "ours, read as a record"\n'


def run(*args: str | Path, **options: Any) -> Result:
    """A command, in this process."""
    return CliRunner().invoke(app, list(map(str, args)), **options)


def project(place: Path) -> Path:
    """A repository at `place` with one model of each verdict, and a pack."""
    (place / ".git").mkdir(parents=True)
    (place / "models").mkdir()
    for name, data in (("clean", CLEAN), ("dangerous", DANGEROUS), ("unvetted", UNVETTED), ("unjudged", UNJUDGED)):
        (place / "models" / f"{name}.pkl").write_bytes(data)
    (place / "pack.toml").write_text(PACK)
    return place


def golden(root: Path, name: str, text: str) -> None:
    """Compare with the file in tests/golden, which holds what a user sees to the byte."""
    assert text == (root / "tests/golden" / name).read_text(encoding="utf-8")


def _write(root: Path, name: str, text: str) -> None:
    (root / "tests/golden" / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    import sys

    import pytest

    from tests.cli import configured_project

    configured_project.golden = _write
    sys.exit(pytest.main([f"tests/cli/test_{name}.py" for name in ("accepted", "baseline", "config", "rules")]))
