"""Checkpoints of every container become safetensors, and what a file holds besides is refused or listed."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

import safeload
from tests.converting.making import left, saved
from tests.converting.same import different

pytestmark = pytest.mark.filterwarnings("ignore")


def names(path: Path) -> set[str]:
    with safetensors.safe_open(path, "numpy") as f:
        return set(f.keys())


def through(path: Path) -> Path:
    out = path.with_suffix(".out.safetensors")
    safeload.convert(path, out)
    safeload.verify(path, out)
    return out


def test_tensors_pickled_without_torch_save(tmp_path: Path) -> None:
    w = torch.randn(40, 30)
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"w": w, "t": w.t(), "n": [w[3]]}))
    out = through(path)
    assert names(out) == {"w", "t", "n.0"}
    assert different(safeload.load(out), safeload.load(path)) == ""


def test_arrays(tmp_path: Path) -> None:
    arrays = {
        "f": np.asfortranarray(np.random.default_rng(1).random((40, 30))), "c": np.arange(400.0), "small": np.ones(3),
        "text": np.array(["word"] * 100), "raw": b"x" * 5000, "swapped": np.arange(300).astype(">f8"),
    }  # fmt: skip
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(arrays))
    out = through(path)
    assert names(out) == {"f.fortran", "c", "text.bytes", "safeload.bytes.3", "swapped"}
    assert np.array_equal(safetensors.torch.load_file(out)["f.fortran"].numpy(), arrays["f"].T)
    assert different(safeload.load(out), safeload.load(path)) == ""


def test_files_of_numpy(tmp_path: Path) -> None:
    x, y = np.random.default_rng(1).random((5, 3)), np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3))
    np.savez(tmp_path / "a.npz", x=x, y=y)
    found = safetensors.torch.load_file(through(tmp_path / "a.npz"))
    assert np.array_equal(found["x"].numpy(), x)
    assert np.array_equal(found["y"].numpy(), y)
    np.save(tmp_path / "b.npy", y)
    assert np.array_equal(safetensors.torch.load_file(through(tmp_path / "b.npy"))["tensor"].numpy(), y)


def test_every_type_of_a_safetensors_file(tmp_path: Path) -> None:
    if not hasattr(torch, "float4_e2m1fn_x2"):
        pytest.skip("this torch lacks some of the types")
    state = {
        "e8": torch.arange(4, dtype=torch.uint8).view(torch.float8_e8m0fnu), "c": torch.ones(3, dtype=torch.complex64),
        "u": torch.ones(3, dtype=torch.uint16), "f8": torch.ones(5).to(torch.float8_e5m2),
        "f4": torch.arange(6, dtype=torch.uint8).reshape(2, 3).view(torch.float4_e2m1fn_x2), "b": torch.tensor([True]),
    }  # fmt: skip
    safetensors.torch.save_file(state, tmp_path / "x.safetensors")
    out = through(tmp_path / "x.safetensors")
    assert names(out) == set(state)
    assert different(safeload.load(out), safeload.load(tmp_path / "x.safetensors")) == ""


def test_a_tensor_that_is_all_of_its_file(tmp_path: Path) -> None:
    assert names(through(saved(tmp_path / "x.pth", torch.ones(3)))) == {"tensor"}


def test_a_checkpoint_without_tensors(tmp_path: Path) -> None:
    out = through(saved(tmp_path / "x.pth", {"epoch": 3}))
    assert names(out) == set()
    assert safeload.load(out) == {"epoch": 3}


def test_further_pickles_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps({"a": 1}) + pickle.dumps([2]))
    done = safeload.convert(path, tmp_path / "x.safetensors")
    assert [(d.what, d.name) for d in done.dropped] == [("value", "object 2")]


def test_archives_of_several_files_are_refused(tmp_path: Path) -> None:
    inner = io.BytesIO()
    torch.save({"w": torch.ones(2)}, inner)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("a.pth", inner.getvalue())
        archive.writestr("b.pth", inner.getvalue())
    with pytest.raises(safeload.NotConvertible, match="unpack archives"):
        safeload.convert(tmp_path / "x.zip", tmp_path / "x.safetensors")
    assert left(tmp_path) == ["x.zip"]
