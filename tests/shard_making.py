"""Sets of safetensors shards with their index: as others write them, and with one thing wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

import safeload

FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


def flat(folder: Path) -> dict[str, torch.Tensor]:
    """A flat model in two shards with an index, as transformers writes it."""
    state = {f"layer.{number}.weight": torch.full((4, 2), float(number)) for number in (10, 9, 1, 2)}
    names = list(state)
    for file, group in ((FIRST, names[:2]), (SECOND, names[2:])):
        safetensors.torch.save_file({name: state[name] for name in group}, folder / file, {"format": "pt"})
    write(folder, dict.fromkeys(names[:2], FIRST) | dict.fromkeys(names[2:], SECOND))
    return state


def write(folder: Path, weight_map: Mapping[str, str], metadata: Mapping[str, Any] | None = None) -> Path:
    """The index over the files of `folder`."""
    path = folder / INDEX
    path.write_text(json.dumps({"metadata": metadata or {"total_size": 128}, "weight_map": dict(weight_map)}, indent=2))
    return path


def nested(folder: Path, item: Any, size: int | str = 100) -> tuple[Path, str]:
    """`item` as torch saves it, and the index of the shards it was converted into."""
    source = folder / "source.pth"
    torch.save(item, source)
    done = safeload.convert(source, folder / "model.safetensors", max_shard_size=size)
    assert isinstance(done.shards, tuple)
    assert len(done.shards) > 1
    return source, done.output


def index_of(folder: Path) -> dict[str, Any]:
    """The index as data."""
    found: dict[str, Any] = json.loads((folder / INDEX).read_text())
    return found


def put(folder: Path, index: dict[str, Any]) -> Path:
    """`index` in place of the one in `folder`."""
    path = folder / INDEX
    path.write_text(json.dumps(index))
    return path
