"""What the tests of folders make: a sharded checkpoint as transformers wrote it, and listings."""

from __future__ import annotations

import json
from pathlib import Path

import torch


def names(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


def sharded(place: Path, count: int = 2) -> dict[str, torch.Tensor]:
    """A sharded checkpoint in `place`, in the form that transformers wrote."""
    place.mkdir(parents=True, exist_ok=True)
    state = {f"layer.{i}": torch.full((3,), float(i)) for i in range(2 * count)}
    weight_map = {f"layer.{i}": f"pytorch_model-{i // 2 + 1:05d}-of-{count:05d}.bin" for i in range(2 * count)}
    for file in set(weight_map.values()):
        torch.save({name: state[name] for name, where in weight_map.items() if where == file}, place / file)
    index = {"metadata": {"total_size": 12 * len(state)}, "weight_map": weight_map}
    (place / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return state
