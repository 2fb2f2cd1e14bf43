"""Write the files that benchmarks/convert.py measures: `python convert_corpus.py FOLDER NAME...`. Needs torch.

Content is pseudo-random and the same in every run. The large file is made from views of a scratch file, so that no more
than a few of its tensors are in memory at once; what is written holds every byte of it, no hole.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import torch

GB = 1_000_000_000
FILES = {"tiny": (2, 512), "gb_300": (300, GB), "gb_10000": (10_000, GB), "gb8_300": (300, 8 * GB)}
BLOCK = 1 << 22


def state_dict(tensors: int, nbytes: int, scratch: Path) -> dict[str, torch.Tensor]:
    """`tensors` float32 tensors of `nbytes` together, each with a storage of its own, over the scratch file."""
    each = max(nbytes // 4 // tensors // 64, 1) * 64
    block = np.random.default_rng(0).standard_normal(BLOCK, dtype=np.float32)
    with scratch.open("wb") as file:
        left, turn = each * tensors, 0
        while left > 0:
            # No two blocks alike: a file system that finds equal blocks would not write them.
            turn += 1
            file.write((block[:left] + np.float32(turn)).data)
            left -= BLOCK
    held = np.memmap(scratch, dtype=np.float32, mode="r+")
    return {
        f"layers.{i // 4}.block{i % 4}.weight": torch.from_numpy(held[i * each : (i + 1) * each]).view(-1, 64)
        for i in range(tensors)
    }


def main(where: Path, names: list[str]) -> None:
    """Write the files of these names into `where`."""
    for name in names:
        scratch = where / f"{name}.scratch"
        torch.save(state_dict(*FILES[name], scratch), where / f"{name}.pth")
        scratch.unlink()
    os.sync()  # or the kernel writes them out while the first conversions are timed


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
