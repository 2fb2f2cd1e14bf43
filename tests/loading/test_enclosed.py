"""Files inside files: the storages of an enclosed checkpoint are its own, also where an outer one has the same key."""

from __future__ import annotations

import collections
import io
import pickle
import re
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from tests.fuzz.seeds import _Enclosed
from tests.loading.equality import difference
from tests.loading.test_equal import saved


class Reduced:
    """Pickles as a call of `func` with `args`."""

    def __init__(self, func: Any, *args: Any) -> None:
        self.call = func, args

    def __reduce__(self) -> Any:
        return self.call


class Id:
    """Pickles as a persistent id."""

    def __init__(self, *pid: Any) -> None:
        self.pid = pid


class Pickler(pickle.Pickler):
    def persistent_id(self, obj: Any) -> Any:
        return obj.pid if isinstance(obj, Id) else None


def tensor(storage: Any, *shape: int) -> Reduced:
    stride = tuple(torch.empty(shape).stride())
    return Reduced(torch._utils._rebuild_tensor_v2, storage, 0, shape, stride, False, collections.OrderedDict())


def legacy_storage(values: list[int]) -> bytes:
    """A legacy file of one storage."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's typed storages are deprecated, and still what old files hold
        torch.save(torch.tensor(values).storage(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def two_files(inner_indices: list[int], outer_indices: list[int]) -> bytes:
    """A zip whose sparse tensor takes its indices from an enclosed legacy file; both have storages of one key."""
    inner = legacy_storage(inner_indices)
    key = re.search(rb"\x00(\d{8,})q", inner)
    assert key is not None
    name = key[1].decode()
    indices = tensor(Reduced(torch.storage._load_from_bytes, inner), 1, len(inner_indices))
    values = tensor(Id("storage", torch.FloatStorage, "7", "cpu", 2), 2)
    outer = tensor(Id("storage", torch.LongStorage, name, "cpu", 2), 2)
    sparse = Reduced(torch._utils._rebuild_sparse_tensor, torch.sparse_coo, (indices, values, (4,), True))
    data = io.BytesIO()
    Pickler(data, 2).dump({"outer": outer, "sparse": sparse})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("archive/data.pkl", data.getvalue())
        zipped.writestr(f"archive/data/{name}", struct.pack("<2q", *outer_indices))
        zipped.writestr("archive/data/7", struct.pack("<2f", 1.5, 2.5))
        zipped.writestr("archive/version", "3\n")
    return archive.getvalue()


def test_indices_come_from_the_enclosed_file() -> None:
    loaded = safeload.load(two_files([0, 3], [1, 2]))
    assert loaded["sparse"].to_dense().tolist() == [1.5, 0.0, 0.0, 2.5]
    assert loaded["outer"].tolist() == [1, 2]


def test_bad_indices_do_not_hide_behind_good_ones_of_the_same_key() -> None:
    with pytest.raises(safeload.UnsafeCheckpoint) as refused:
        safeload.load(two_files([0, 1 << 40], [0, 3]))
    assert [f.rule for f in refused.value.report.findings] == ["tensor-bounds"]


def quantized() -> torch.Tensor:
    scales, points = torch.tensor([0.5, 0.25]), torch.tensor([1, 2])
    return torch.quantize_per_channel(torch.ones(2, 3), scales, points, 0, torch.qint8)


# torch 2.13 says that it will drop quantized tensors one day.
@pytest.mark.filterwarnings("ignore:.*quantize")
@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.sparse_coo_tensor([[0, 2]], [1.0, 2.0], (4,), is_coalesced=True, check_invariants=True),
        quantized,
        lambda: torch.arange(6.0).reshape(2, 3).t(),
    ],
    ids=["sparse", "per-channel", "strided"],
)
def test_plain_pickles_of_tensors(make: Callable[[], torch.Tensor]) -> None:
    value = make()
    assert difference(safeload.load(pickle.dumps({"x": value})), {"x": value}) == ""


@pytest.mark.parametrize("given", ["path", "bytes"])
def test_a_tensor_of_an_enclosed_file_is_read_from_it(given: str, tmp_path: Path) -> None:
    """`open` looked its storage up in the outer file, and gave the values of another tensor of the same key."""
    sparse = torch.eye(2).to_sparse()
    whole = {"a": torch.ones(4), "in": _Enclosed({"w": torch.arange(4.0), "s": sparse})}
    data = saved(whole)
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    with safeload.open(path if given == "path" else data) as opened:
        assert opened.keys() == ["a", "in.w", "in.s"]
        assert opened.get_tensor("a").tolist() == [1, 1, 1, 1]
        assert opened.get_tensor("in.w").tolist() == [0, 1, 2, 3]
        assert opened.get_slice("in.w")[1:3].tolist() == [1, 2]
        assert opened.get_tensor("in.s").to_dense().tolist() == [[1, 0], [0, 1]]
