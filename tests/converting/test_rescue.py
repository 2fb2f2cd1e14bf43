"""What goes over of files that are damaged, and of objects that are left out: what can be read, and the rest listed."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import torch
from safetensors.numpy import load_file as arrays_of
from safetensors.torch import load_file

import safeload
from safeload.converting.interface import Dropped
from tests.converting.making import left, saved

pytestmark = pytest.mark.filterwarnings("ignore")


class Attack:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("echo harmless",)


class Config:
    """Stands for a project's own class."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


def state() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(3000, generator=generator) for name in ("a", "b", "c")}


def deflated(path: Path, damage: Iterable[int] = (), missing: Iterable[int] = ()) -> Path:
    """The zip at `path` deflated, with the bytes of some storages overwritten, and without others."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, data in members.items():
            if not any(name.endswith(f"/data/{number}") for number in missing):
                new.writestr(name, data)
    raw = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as file:
        for info in file.infolist():
            if any(info.filename.endswith(f"/data/{number}") for number in damage):
                start = info.header_offset + 30 + len(info.filename) + len(info.extra)
                for at in range(start + 5, start + info.compress_size):
                    raw[at] ^= 0x5A
    path.write_bytes(raw)
    return path


def tensors(dropped: Iterable[Dropped]) -> list[tuple[str, str]]:
    return [(item.name, item.reason.partition(":")[0]) for item in dropped if item.what == "tensor"]


MISSING = "its storage is not in the file as it was declared"


# Storages that cannot be read


@pytest.mark.parametrize("options", [{}, {"allow": "unvetted"}, {"keys": ("b",)}, {"disarm": True}])
@pytest.mark.parametrize("more", [{}, {"evil": Attack()}, {"config": Config(x=1)}])
def test_a_damaged_storage_is_not_judged_and_never_converts(
    tmp_path: Path, more: dict[str, Any], options: dict[str, Any]
) -> None:
    path = deflated(saved(tmp_path / "x.pth", {**state(), **more}), damage=[1])
    with pytest.raises(safeload.UnsafeCheckpoint) as refused:
        safeload.convert(path, tmp_path / "x.safetensors", **options)
    assert any(f.rule == "zip-deflate" and f.member == "x/data/1" for f in refused.value.report.findings)
    assert left(tmp_path) == ["x.pth"]


def test_a_missing_storage_is_left_out_by_disarm(tmp_path: Path) -> None:
    item = {**state(), "p": torch.nn.Parameter(torch.ones(3))}
    path, out = deflated(saved(tmp_path / "x.pth", item), missing=[1, 3]), tmp_path / "x.safetensors"
    for options in ({}, {"allow": "unvetted"}):
        with pytest.raises(safeload.UnsafeCheckpoint):
            safeload.convert(path, out, **options)
    done = safeload.convert(path, out, disarm=True)
    assert sorted(tensors(done.dropped)) == [("b", MISSING), ("p", MISSING)]
    assert load_file(out).keys() == {"a", "c"}
    safeload.verify(path, out)


def test_disarm_of_a_whole_compressed_file_keeps_the_tree(tmp_path: Path) -> None:
    path = deflated(saved(tmp_path / "x.pth", {**state(), "epoch": 3}))
    safeload.convert(path, tmp_path / "x.safetensors", disarm=True)
    assert safeload.load(tmp_path / "x.safetensors")["epoch"] == 3


# Arrays in objects that are left out


def test_arrays_of_dropped_objects_go_over(tmp_path: Path) -> None:
    arrays = {
        "f8": np.arange(4.0), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "bool": np.array([True]),
        "u2": np.arange(3, dtype=np.uint16), "big": np.arange(3, dtype=">f4"),
        "c8": np.ones(2, np.complex64), "point": np.array(3.0),
    }  # fmt: skip
    config = Config(mask=torch.ones(3), deep=[{"x": np.ones(2, np.float32)}], c16=np.full(2, 1 + 2j), **arrays)
    path, out = saved(tmp_path / "x.pth", {"w": torch.ones(2), "own": np.zeros(2), "config": config}), tmp_path / "o"
    done = safeload.convert(path, out, allow="unvetted")
    found = arrays_of(out)
    names = {f"config.{name}" for name in arrays}
    assert found.keys() == names | {"w", "own", "config.mask", "config.deep.0.x", "config.c16.view_as_real"}
    for name, array in arrays.items():
        got, array = found[f"config.{name}"], array.astype(array.dtype.newbyteorder("<"))
        assert (got.dtype, got.shape, got.tobytes()) == (array.dtype, array.shape, array.tobytes())
    assert found["config.c16.view_as_real"].tolist() == [[1, 2], [1, 2]]
    assert [item.what for item in done.dropped] == ["object", "call"]
    safeload.verify(path, out)


def test_such_arrays_are_cast(tmp_path: Path) -> None:
    path, out = saved(tmp_path / "x.pth", {"c": Config(a=np.array([1.5, 2.5]))}), tmp_path / "x.safetensors"
    safeload.convert(path, out, allow="unvetted", dtype="bf16")
    assert load_file(out)["c.a"].dtype is torch.bfloat16
    safeload.verify(path, out)


def test_arrays_without_a_form_are_listed(tmp_path: Path) -> None:
    shared = np.ones(2)
    config = Config(
        text=np.array(["a"]),
        date=np.zeros(2, "<M8[s]"),
        none=np.zeros((0, 3)),
        first=shared,
        second=shared,
        ok=np.ones(1),
    )
    path, out = saved(tmp_path / "x.pth", {"w": torch.ones(2), "c": config}), tmp_path / "x.safetensors"
    done = safeload.convert(path, out, allow="unvetted")
    listed = {item.place: item.reason for item in done.dropped if item.what == "value"}
    no_form = "an array of a type or shape that is no tensor, in an object that was left out"
    assert listed == {"c.text": no_form, "c.date": no_form, "c.none": no_form, "c.second": "the same array as c.first"}
    assert arrays_of(out).keys() == {"w", "c.first", "c.ok"}
    safeload.verify(path, out)


def test_an_array_that_the_tree_holds_too_is_stored_once(tmp_path: Path) -> None:
    shared = np.arange(3.0)
    path, out = saved(tmp_path / "x.pth", {"c": Config(a=shared), "b": shared}), tmp_path / "x.safetensors"
    done = safeload.convert(path, out, allow="unvetted")
    assert done.tensors == 1
    assert np.array_equal(safeload.load(out, unvetted="record")["b"], shared)
    safeload.verify(path, out)


def test_the_tree_still_loads(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.ones(2), "c": Config(a=np.ones(3)), "n": np.ones(2), "epoch": 4})
    safeload.convert(path, tmp_path / "x.safetensors", allow="unvetted")
    found = safeload.load(tmp_path / "x.safetensors", unvetted="record")
    assert found["epoch"] == 4
    assert np.array_equal(found["n"], np.ones(2))
    with safetensors.safe_open(tmp_path / "x.safetensors", "np") as file:
        assert np.array_equal(file.get_tensor("c.a"), np.ones(3))
