"""Files of numpy: arrays come as tensors over the same bytes, and what cannot come is said, never given as None."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch

import safeload


def test_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6.0).reshape(2, 3))
    assert torch.equal(safeload.load(tmp_path / "a.npy"), torch.arange(6.0, dtype=torch.float64).reshape(2, 3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz(tmp_path: Path, save: object) -> None:
    arrays = {"a": np.arange(3, dtype=np.int32), "b": np.asfortranarray(np.ones((2, 3)))}
    save(tmp_path / "a.npz", **arrays)  # type: ignore[operator]
    loaded = safeload.load(tmp_path / "a.npz")
    assert list(loaded) == ["a", "b"]
    assert all(np.array_equal(loaded[name].numpy(), array) for name, array in arrays.items())


def test_arrays_of_text_are_not_none(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array(["x", "y"]))
    np.savez(tmp_path / "a.npz", text=np.array(["x", "y"]))
    for name in ("a.npy", "a.npz"):
        assert safeload.scan(tmp_path / name).verdict == "clean"
        with pytest.raises(safeload.LoadFailed, match="arrays of text"):
            safeload.load(tmp_path / name)


def test_objects_in_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, "x", None], dtype=object))
    loaded = safeload.load(tmp_path / "a.npy")
    assert loaded.dtype == object
    assert list(loaded) == [1, "x", None]


def test_arrays_of_an_npz_can_be_read_one_by_one() -> None:
    """`open` listed them and said of each that its storage was not in the file."""
    out = io.BytesIO()
    np.savez(out, x=np.arange(3), y=np.array([2.5]))
    with safeload.open(out.getvalue()) as opened:
        assert {name: opened.get_tensor(name).tolist() for name in opened} == {"x": [0, 1, 2], "y": [2.5]}
