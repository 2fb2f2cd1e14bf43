"""Write the files that benchmarks/load.py measures: `python load_corpus.py FOLDER`. Needs torch and safetensors.

Everything comes from seeded generators, so two runs write the same content. Beside each kind of file stands a tiny one
of the same kind, whose load pays for what is imported and set up at first use.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

GB = 1_000_000_000
PARAMETERS = 10_800


def state_dict(tensors: int, nbytes: int) -> dict[str, torch.Tensor]:
    """`tensors` float32 tensors of `nbytes` together, each with a storage of its own."""
    each = nbytes // 4 // tensors
    return {f"layers.{i // 4}.block{i % 4}.weight": torch.randn(max(each // 64, 1), 64) for i in range(tensors)}


def adam(parameters: int) -> dict[str, Any]:
    """What `torch.optim.Adam.state_dict()` gives for a model of many small parameters: about 93 opcodes for each."""
    state = {
        i: {"step": torch.tensor(7.0), "exp_avg": torch.randn(16, 4), "exp_avg_sq": torch.rand(16, 4)}
        for i in range(parameters)
    }
    group = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "amsgrad": False, "maximize": False}
    return {"state": state, "param_groups": [{**group, "params": list(range(parameters))}]}


def main(where: Path) -> None:
    """Write every file into `where`."""
    torch.manual_seed(0)
    for name, tensors, nbytes in (("tiny", 2, 512), ("gb_300", 300, GB), ("gb_10000", 10_000, GB)):
        held = state_dict(tensors, nbytes)
        torch.save(held, where / f"{name}.pth")
        save_file(held, where / f"{name}.safetensors")
        del held
    torch.save(adam(2), where / "tiny_adam.pth")
    torch.save(adam(PARAMETERS), where / "adam.pth")
    os.sync()  # or the kernel writes them out while the first loads are timed


if __name__ == "__main__":
    main(Path(sys.argv[1]))
