"""Write the files that benchmarks/scan.py measures: `python corpus.py FOLDER`. Needs torch, which
nothing that is measured does.

Everything comes from seeded generators, so two runs write the same content.
"""

from __future__ import annotations

import collections
import pickle
import sys
from pathlib import Path
from typing import Any

import torch

MB = 1_000_000


def state_dict(tensors: int, nbytes: int) -> collections.OrderedDict[str, torch.Tensor]:
    """`tensors` float32 tensors of `nbytes` together, each with a storage of its own."""
    each = nbytes // 4 // tensors
    return collections.OrderedDict(
        (f"layers.{i // 4}.block{i % 4}.weight", torch.randn(max(each // 8, 1), 8)) for i in range(tensors)
    )


def training_state(tensors: int) -> dict[str, Any]:
    """What a resumable training writes: a model, its Adam state, an epoch and some history."""
    model = state_dict(tensors, tensors * 800)
    state = {
        i: {"step": torch.tensor(7.0), "exp_avg": t.clone(), "exp_avg_sq": t.clone()}
        for i, t in enumerate(model.values())
    }
    return {
        "model": model,
        "optimizer": {"state": state, "param_groups": [{"lr": 1e-3, "betas": (0.9, 0.999), "params": list(state)}]},
        "epoch": 12,
        "history": [{"loss": 1 / (i + 1), "step": i} for i in range(50)],
    }


def plain_data() -> dict[str, Any]:
    """About a million opcodes of numbers and text, no call among them."""
    return {
        "loss": [float(i) / 7 for i in range(300_000)],
        "steps": [i * 3 for i in range(300_000)],
        "names": {f"k{i}": i for i in range(130_000)},
    }


def folder(where: Path) -> None:
    """200 small files as projects keep them: mostly state_dicts, some training states, a few old and plain ones."""
    where.mkdir()
    for i in range(200):
        kind = i % 20
        if kind < 12:
            torch.save(state_dict(4 + i % 40, 20_000 + 1_000 * i), where / f"model_{i:03}.pth")
        elif kind < 17:
            torch.save(training_state(2 + i % 10), where / f"checkpoint_{i:03}.pt")
        elif kind < 19:
            torch.save(state_dict(8, 40_000), where / f"old_{i:03}.bin", _use_new_zipfile_serialization=False)
        else:
            (where / f"history_{i:03}.pkl").write_bytes(pickle.dumps(training_history(i), protocol=4))


def training_history(seed: int) -> list[dict[str, float]]:
    """Plain data of a few kilobytes."""
    return [{"step": i, "loss": seed / (i + 1)} for i in range(200)]


def main(where: Path) -> None:
    """Write every file into `where`."""
    torch.manual_seed(0)
    torch.save(state_dict(300, 500 * MB), where / "zip_500mb.pth")
    torch.save(state_dict(20, MB), where / "zip_1mb.pth")
    torch.save(state_dict(100, 200 * MB), where / "legacy_200mb.pth", _use_new_zipfile_serialization=False)
    torch.save(state_dict(30_000, 30_000 * 32), where / "million_tensors.pth")
    (where / "million_plain.pkl").write_bytes(pickle.dumps(plain_data(), protocol=2))
    (where / "tiny.pkl").write_bytes(pickle.dumps({"epoch": 1}, protocol=2))
    folder(where / "folder_200")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
