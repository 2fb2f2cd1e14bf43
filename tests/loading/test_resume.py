"""A training run that is saved, killed and resumed through `safeload.load` goes on as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

RUN = """
import json, os, random, signal, sys
import numpy as np, torch
import safeload

path, start, end, kill = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4] == "kill"
torch.set_num_threads(1)
torch.manual_seed(1), random.seed(2), np.random.seed(3)
model = torch.nn.Sequential(
    torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Dropout(0.3), torch.nn.Linear(8, 1)
)
optimizer = torch.optim.Adam(model.parameters(), 0.01, amsgrad=True)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 7, 11], 0.5)
shuffle = np.random.Generator(np.random.PCG64(5))
best = np.float64(float("inf"))
if start:
    # Without it this process would begin with other numbers than the run that was killed.
    torch.manual_seed(99), random.seed(99), np.random.seed(99)
    held = safeload.load(path)
    model.load_state_dict(held["model"])
    optimizer.load_state_dict(held["optimizer"])
    scheduler.load_state_dict(held["scheduler"])
    torch.set_rng_state(held["rng"])
    random.setstate(held["python"])
    np.random.set_state(held["numpy"])
    shuffle, best = held["shuffle"], held["best"]
    assert held["epoch"] == start - 1 and type(best) is np.float64
for epoch in range(start, end):
    order = torch.from_numpy(shuffle.permutation(16))
    x = torch.randn(16, 4)[order] + random.random() + np.random.rand()
    loss = ((model(x) - x.sum(1, keepdim=True)) ** 2).mean()
    optimizer.zero_grad(), loss.backward(), optimizer.step(), scheduler.step()
    best = np.minimum(best, np.float64(loss.item()))
    print(json.dumps([epoch, loss.item().hex(), float(best).hex(), scheduler.get_last_lr()[0].hex()]), flush=True)
    if kill or epoch == end - 1:
        torch.save(
            {
                "model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict(),
                "epoch": epoch, "rng": torch.get_rng_state(), "python": random.getstate(),
                "numpy": np.random.get_state(), "shuffle": shuffle, "best": best,
            },
            path + ".new", _use_new_zipfile_serialization=epoch % 2 == 0, pickle_protocol=2 + epoch % 4,
        )
        os.replace(path + ".new", path)
    if kill and epoch == end - 1:
        os.kill(os.getpid(), signal.SIGKILL)
"""


def run(path: Path, start: int, end: int, kill: bool, status: int) -> list[list[object]]:
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(path), str(start), str(end), "kill" if kill else "stay"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[list[object]]:
    """The run that nothing interrupts."""
    lines = run(tmp_path_factory.mktemp("whole") / "whole.pt", 0, 12, False, 0)
    assert len({line[1] for line in lines}) == 12
    return lines


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
@pytest.mark.parametrize("cut", [4, 7])
def test_losses_are_the_same_to_the_bit(cut: int, tmp_path: Path, whole: list[list[object]]) -> None:
    first = run(tmp_path / "cut.pt", 0, cut, True, -signal.SIGKILL)
    second = run(tmp_path / "cut.pt", cut, 12, False, 0)
    assert first + second == whole
