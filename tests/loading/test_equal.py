"""What `safeload.load` gives is what `torch.load(weights_only=False)` gives of the same file, leaf by leaf.

Types, dtypes, shapes, strides, bits, requires_grad, attributes; which parts are one object and which share a storage.
Where torch cannot read what it wrote, the object that was saved is the measure.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import safeload
from samples.assemble import floats
from samples.benign import tar_file
from tests.loading.equality import difference
from tests.loading.zoo import DTYPES, PLAIN, TENSORS, VALUES, of_dtype, ramp

ZOO = {**TENSORS, **VALUES}
pytestmark = pytest.mark.usefixtures("quiet")
LEGACY = {"_use_new_zipfile_serialization": False}

# torch 2.13 cannot read these back from its own legacy files: it asks an untyped storage for its dtype, or reads the
# sizes of nested tensors before it has read their bytes.
TORCH_CANNOT = {"dtypes", "nested", "storages"}


def saved(item: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(item, out, **options)
    return out.getvalue()


def by_torch(data: bytes, **options: Any) -> Any:
    return torch.load(io.BytesIO(data), weights_only=False, **options)


def resaved(data: bytes, method: int) -> bytes:
    """The members of a zip as Python's zipfile writes them: unaligned, or compressed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", method) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    return out.getvalue()


@pytest.mark.parametrize("name", sorted(ZOO))
def test_zip(name: str, tmp_path: Path) -> None:
    data = saved(ZOO[name]())
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    wanted = by_torch(data)
    for got in (safeload.load(path), safeload.load(path, mmap=False), safeload.load(io.BytesIO(data))):
        assert difference(got, wanted) == ""


@pytest.mark.parametrize("name", sorted(ZOO))
def test_zip_written_by_python(name: str, tmp_path: Path) -> None:
    data = saved(ZOO[name]())
    wanted = by_torch(data)
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = tmp_path / f"{method}.pt"
        path.write_bytes(resaved(data, method))
        assert difference(safeload.load(path), wanted) == ""


@pytest.mark.parametrize("name", sorted(ZOO))
def test_legacy(name: str, tmp_path: Path) -> None:
    item = ZOO[name]()
    path = tmp_path / "x.pt"
    path.write_bytes(saved(item, **LEGACY))
    wanted = item if name in TORCH_CANNOT else by_torch(path.read_bytes())
    if name == "storages":
        typed = torch.storage.TypedStorage
        wanted = [typed(wrap_storage=x, dtype=torch.uint8) if isinstance(x, torch.UntypedStorage) else x for x in item]
        wanted[2] = wanted[4] = typed(wrap_storage=item[2].untyped(), dtype=torch.int16)
    assert difference(safeload.load(path), wanted) == ""


@pytest.mark.parametrize("protocol", range(1, 6))
@pytest.mark.parametrize("name", sorted(ZOO.keys() - {"files"}))
def test_every_protocol_gives_the_same(name: str, protocol: int) -> None:
    item = ZOO[name]()
    # numpy keeps the order of axes from protocol 5 on only, and datetime its fold from 4 on.
    wanted = by_torch(saved(item, pickle_protocol=protocol if name in ("numpy_arrays", "times") else 2))
    assert difference(safeload.load(saved(item, pickle_protocol=protocol)), wanted) == ""
    assert difference(safeload.load(saved(item, pickle_protocol=protocol, **LEGACY)), wanted) == ""


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("name", sorted(PLAIN))
def test_plain_pickles(name: str, protocol: int) -> None:
    if name == "files" and protocol < 2:
        pytest.skip("io objects have no form below protocol 2")
    data = pickle.dumps(PLAIN[name](), protocol)
    assert difference(safeload.load(data), pickle.loads(data)) == ""


def big_endian(item: Any, dtype: torch.dtype) -> bytes:
    """`item`, whose storages are all of `dtype`, as a big-endian machine saves it."""
    width = dtype.itemsize // (2 if dtype.is_complex else 1)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(item))) as old, zipfile.ZipFile(out, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename.endswith("/byteorder"):
                content = b"big"
            elif "/data/" in info.filename:
                content = b"".join(content[i : i + width][::-1] for i in range(0, len(content), width))
            new.writestr(info.filename, content)
    return out.getvalue()


@pytest.mark.parametrize("dtype", [d for d in DTYPES[:16] if not str(d).startswith("torch.uint") or d == torch.uint8])
def test_big_endian(dtype: torch.dtype) -> None:
    if dtype == torch.complex32:
        pytest.skip("complex32 lies in untyped storages, which torch does not swap")
    item = [of_dtype(dtype), of_dtype(dtype)[1:]]
    data = big_endian(item, dtype)
    assert difference(safeload.load(data), by_torch(data)) == ""
    assert difference(safeload.load(data), by_torch(saved(item))) == ""


def test_big_endian_sparse_indices() -> None:
    item = torch.sparse_coo_tensor([[0, 2]], torch.tensor([5, 6]), (3,), check_invariants=True)
    got = safeload.load(big_endian(item, torch.int64))
    assert (got._indices().tolist(), got._values().tolist()) == ([[0, 2]], [5, 6])


def test_the_tar_of_torch_0_1(tmp_path: Path) -> None:
    path = tmp_path / "x.tar"
    path.write_bytes(tar_file())
    got = safeload.load(path)
    assert difference(got, torch.load(path, weights_only=False)) == ""
    assert got["w"].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert bytes(got["w"].untyped_storage().tolist()) == floats(1, 1, 1, 1)


def test_legacy_views_share_their_storage(root: Path) -> None:
    data = (root / "samples/files/benign/legacy-views.pt").read_bytes()
    assert difference(safeload.load(data), by_torch(data)) == ""


@pytest.mark.parametrize("sample", ["parameter-0.3.pt", "torch-0.3-tensor.pt", "state-dict-1.6.pt", "random-state.pt"])
def test_old_files(sample: str, root: Path) -> None:
    data = (root / "samples/files/benign" / sample).read_bytes()
    assert difference(safeload.load(data), by_torch(data)) == ""


def test_metadata_of_a_state_dict() -> None:
    got = safeload.load(saved(torch.nn.BatchNorm1d(2).state_dict()))
    assert dict(got._metadata) == {"": {"version": 2}}


def test_uint8_beside_its_untyped_storage_and_a_new_dtype() -> None:
    narrow = torch.tensor([1.0, 2.0]).to(torch.float8_e5m2)
    item = [narrow.view(torch.uint8), narrow, narrow.untyped_storage()]
    data = saved(item)
    got = safeload.load(data)
    assert difference(got, by_torch(data)) == ""
    got[0][0] = 0
    assert got[1].float().tolist() == [0.0, 2.0]


def test_float_zero_points_are_another_scheme() -> None:
    made = torch.quantize_per_channel(
        ramp(2, 3), torch.tensor([0.5, 2.0]), torch.tensor([0.5, 1.5]), 0, torch.quint8
    )  # fmt: skip
    got = safeload.load(saved(made))
    assert got.qscheme() == torch.per_channel_affine_float_qparams
    assert got.q_per_channel_zero_points().tolist() == [0.5, 1.5]


@pytest.mark.parametrize(("protocol", "order"), [(2, "<"), (4, "<"), (5, ">")])
def test_arrays_of_the_other_byte_order_are_swapped_as_numpy_does(protocol: int, order: str) -> None:
    for kind, numbers in (("f4", [0.0, 1.0, 2.0]), ("c8", [0j, 1j, -1j]), ("U2", ["a", "bc", ""]), ("i2", [0, 1, -2])):
        got = safeload.load(pickle.dumps(np.array(numbers, f">{kind}"), protocol))
        assert (got.dtype.str, got.tolist()) == (order + kind, numbers)


def test_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "x.safetensors"
    save_file({"a": ramp(2, 3), "b": torch.tensor([True]), "c": ramp(3, dtype=torch.bfloat16)}, path)
    got = safeload.load(path)
    assert {k: (v.dtype, v.tolist()) for k, v in got.items()} == {
        "a": (torch.float32, [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
        "b": (torch.bool, [True]),
        "c": (torch.bfloat16, [0.0, 1.0, 2.0]),
    }
