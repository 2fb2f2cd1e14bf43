"""Checkpoints to be converted, and what is in the folder afterwards."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch


def saved(path: Path, item: Any, **options: Any) -> Path:
    """`item` saved by torch."""
    torch.save(item, path, **options)
    return path


def rewritten(path: Path, *, big: bool = False, method: int = zipfile.ZIP_STORED, widths: int = 4) -> Path:
    """The zip at `path` as another tool would write it: deflated, or on a big-endian machine."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", method) as new:
        for name in old.namelist():
            data = old.read(name)
            if big and name.endswith("/byteorder"):
                data = b"big"
            elif big and "/data/" in name:
                data = b"".join(data[at : at + widths][::-1] for at in range(0, len(data), widths))
            new.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, method)
    path.write_bytes(out.getvalue())
    return path


def hide(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Take away what a system may lack. The standard library itself looks for O_TMPFILE: it stays, and does nothing."""
    if name == "O_TMPFILE":
        monkeypatch.setattr(os, name, 0)
    else:
        monkeypatch.delattr(os, name)


def left(folder: Path) -> list[str]:
    """The names of all that lies in a folder."""
    return sorted(path.name for path in folder.iterdir())
