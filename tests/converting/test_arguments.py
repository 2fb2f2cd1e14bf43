"""Options and paths without a meaning: each is refused before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from tests.converting.making import left, saved

STATE = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}


@pytest.mark.parametrize(
    "options",
    [{"keys": [1]}, {"keys": "w"}, {"strip_prefix": 5}, {"rename": []}, {"rename": None}, {"metadata": [("a", "b")]}],
)
def test_options_of_other_types(options: dict[str, Any], tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", STATE)
    with pytest.raises(safeload.UsageError):
        safeload.convert(source, tmp_path / "x.safetensors", **options)
    assert left(tmp_path) == ["x.pth"]


def test_paths_and_metadata_without_a_meaning(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", STATE)
    with pytest.raises(safeload.OutputError):
        safeload.save(STATE, f"{tmp_path}/a\0b")
    with pytest.raises(safeload.OutputError):
        safeload.convert(source, f"{tmp_path}/a\0b")
    with pytest.raises(safeload.UsageError):
        safeload.save(STATE, tmp_path / "y.safetensors", 5)  # type: ignore[arg-type]
    assert left(tmp_path) == ["x.pth"]
