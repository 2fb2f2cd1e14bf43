"""A converted checkpoint loads as the object that it was: whatever it holds, in every container."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import safeload
from tests.converting.making import rewritten, saved
from tests.converting.same import different
from tests.loading.zoo import TENSORS, VALUES

ZOO = {**TENSORS, **VALUES}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", ZOO)
def test_everything_comes_back(name: str, zipped: bool, tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", ZOO[name](), _use_new_zipfile_serialization=zipped)
    out = tmp_path / "x.safetensors"
    done = safeload.convert(path, out)
    assert safeload.verify(path, out) == done.verification
    assert different(safeload.load(out), safeload.load(path)) == ""
    assert safeload.scan(out).findings == ()


def training() -> tuple[torch.nn.Module, torch.optim.Optimizer, Any]:
    torch.manual_seed(3)
    model = torch.nn.Sequential(
        torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.Dropout(), torch.nn.Linear(7, 1)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
    return model, optimizer, torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6])


def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any, count: int) -> list[float]:
    losses = []
    for _ in range(count):
        batch = torch.randn(4, 5) + random.random() + float(np.random.rand())
        loss = model(batch).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def test_training_resumes_with_the_same_losses(tmp_path: Path) -> None:
    random.seed(1)
    np.random.seed(2)
    parts = training()
    steps(*parts, 4)
    model, optimizer, scheduler = parts
    state = {
        "model_state_dict": model.state_dict(), "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(), "epoch": 4, "best": float("inf"), "betas": (0.9, 0.999),
        "rng": [torch.get_rng_state(), random.getstate(), np.random.get_state()],
    }  # fmt: skip
    path = saved(tmp_path / "x.pth", state)
    wanted = steps(*parts, 5)
    safeload.convert(path, tmp_path / "x.safetensors")
    found = safeload.load(tmp_path / "x.safetensors")
    model, optimizer, scheduler = training()
    model.load_state_dict(found["model_state_dict"])
    optimizer.load_state_dict(found["optimizer"])
    scheduler.load_state_dict(found["scheduler"])
    torch.set_rng_state(found["rng"][0])
    random.setstate(found["rng"][1])
    np.random.set_state(found["rng"][2])
    assert steps(model, optimizer, scheduler, 5) == wanted
    assert found["model_state_dict"]._metadata == torch.load(path, weights_only=False)["model_state_dict"]._metadata


def test_names_are_dotted_paths(tmp_path: Path) -> None:
    state = {"model": {"a.w": torch.ones(2)}, "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}}, "epoch": 1}
    safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    assert set(safetensors.torch.load_file(tmp_path / "x.safetensors")) == {"model.a.w", "optimizer.state.0.exp_avg"}


def test_a_plain_state_dict_keeps_its_keys_and_their_order(tmp_path: Path) -> None:
    state = {"z": torch.ones(3, dtype=torch.uint8), "a.b": torch.ones(2), "m": torch.ones((), dtype=torch.float64)}
    safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    assert list(safeload.load(tmp_path / "x.safetensors")) == ["z", "a.b", "m"]
    raw = (tmp_path / "x.safetensors").read_bytes()
    assert (8 + int.from_bytes(raw[:8], "little")) % 8 == 0
    with safetensors.safe_open(tmp_path / "x.safetensors", "pt") as f:
        assert f.metadata()["format"] == "pt"
        assert set(f.keys()) == set(state)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_other_writers_of_zips(method: int, tmp_path: Path) -> None:
    whole = torch.randn(300, 200)
    state = {"w": whole, "t": whole.t(), "part": whole[5:9], "zeros": torch.zeros(5000), "h": torch.ones(3).half()}
    path = rewritten(saved(tmp_path / "x.pth", state), method=method)
    safeload.convert(path, tmp_path / "x.safetensors")
    safeload.verify(path, tmp_path / "x.safetensors")
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_big_endian_storages_are_swapped(tmp_path: Path) -> None:
    state = {"w": torch.randn(50, 3), "t": torch.randn(7, 9).t(), "c": torch.randn(4, dtype=torch.complex64)}
    path = rewritten(saved(tmp_path / "x.pth", state), big=True)
    safeload.convert(path, tmp_path / "x.safetensors")
    safeload.verify(path, tmp_path / "x.safetensors")
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_bytes_and_file_objects_convert_too(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.randn(3000, 3), "t": torch.randn(5, 4).t()})
    for number, source in enumerate((path.read_bytes(), path.open("rb"))):
        safeload.convert(source, tmp_path / f"{number}.safetensors")
    assert len({p.read_bytes() for p in tmp_path.glob("*.safetensors")}) == 1


def test_a_conversion_is_reproducible_and_repeats(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.randn(3, 3), "n": [1, {"s"}]})
    safeload.convert(path, tmp_path / "a.safetensors")
    safeload.convert(path, tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    # What came out is a checkpoint like any other.
    safeload.convert(tmp_path / "a.safetensors", tmp_path / "c.safetensors")
    assert different(safeload.load(tmp_path / "c.safetensors"), safeload.load(path)) == ""


def test_metadata_of_a_safetensors_file_goes_over(tmp_path: Path) -> None:
    safetensors.torch.save_file({"w": torch.ones(2)}, tmp_path / "a.safetensors", {"ss_network_dim": "4"})
    safeload.convert(tmp_path / "a.safetensors", tmp_path / "b.safetensors", metadata={"git": "abc"})
    with safetensors.safe_open(tmp_path / "b.safetensors", "pt") as f:
        assert (f.metadata()["ss_network_dim"], f.metadata()["git"]) == ("4", "abc")


def test_a_tree_too_large_for_the_header_lies_beside(tmp_path: Path) -> None:
    state = {"w": torch.ones(2), "text": ["word"] * 1000}
    path = saved(tmp_path / "x.pth", state)
    limits = safeload.Limits(header_bytes=2000)
    done = safeload.convert(path, tmp_path / "x.safetensors", limits=limits)
    assert done.sidecar == str(tmp_path / "x.tree.json")
    assert different(safeload.load(tmp_path / "x.safetensors"), state) == ""
    safeload.verify(path, tmp_path / "x.safetensors", limits=limits)
    with pytest.raises(safeload.OutputExists):
        safeload.convert(path, tmp_path / "x.safetensors", limits=limits)
    safeload.convert(path, tmp_path / "x.safetensors", limits=limits, force=True)
    (tmp_path / "x.tree.json").write_text("{}")
    with pytest.raises(safeload.NotEqual):
        safeload.verify(path, tmp_path / "x.safetensors", limits=limits)
