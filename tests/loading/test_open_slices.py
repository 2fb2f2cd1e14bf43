"""Slices of `safeload.open`: the elements that torch shows, and only their bytes are read."""

from __future__ import annotations

import io
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from safeload.inputs import FileSource

INDICES: list[Any] = [
    0, -1, 2, slice(None), slice(1, 3), slice(None, None, 2), slice(-2, None), slice(5, 2), slice(100, 200), ...,
    (slice(1, 3), 0), (..., 1), (0, ..., 2), (slice(None), slice(1, None), slice(0, 4, 3)), (1, 2, 3), (..., slice(2)),
    (1, ...), (slice(None), -1), (), (slice(0, 0),),
]  # fmt: skip

TENSORS = {
    "plain": torch.arange(60.0).reshape(3, 4, 5),
    "transposed": torch.arange(60.0).reshape(5, 4, 3).permute(2, 1, 0),
    "strided": torch.arange(480.0).reshape(6, 8, 10)[::2, ::2, ::2],
    "expanded": torch.arange(4.0).reshape(1, 4, 1).expand(3, 4, 5),
    "complex": torch.arange(60).reshape(3, 4, 5).to(torch.complex64) * 1j,
    "conj": (torch.arange(60).reshape(3, 4, 5) * 1j).conj(),
    "bool": torch.arange(60).reshape(3, 4, 5) % 7 == 0,
    "half": torch.arange(60).reshape(3, 4, 5).to(torch.bfloat16),
    "view": torch.arange(100.0)[40:].reshape(3, 4, 5),
}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("mmap", [None, False])
def test_slices_are_torchs(legacy: bool, mmap: bool | None, tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "t.pt", _use_new_zipfile_serialization=not legacy)
    with safeload.open(tmp_path / "t.pt", mmap=mmap) as f:
        for name, tensor in TENSORS.items():
            part = f.get_slice(name)
            assert (part.shape, part.get_shape(), part.dtype) == ((3, 4, 5), [3, 4, 5], part.get_dtype())
            for index in INDICES:
                got, expected = part[index], tensor[index]
                assert torch.equal(got, expected), (name, index)
                assert got.stride() == expected.stride() or 0 in expected.shape, (name, index)


def test_random_slices_are_torchs() -> None:
    out = io.BytesIO()
    torch.save(TENSORS, out)
    chance = random.Random(3)
    with safeload.open(out.getvalue()) as f:
        for _ in range(2000):
            name = chance.choice(list(TENSORS))
            index = tuple(
                chance.randrange(-size, size)
                if chance.random() < 0.3
                else slice(
                    chance.randrange(-7, 7), chance.choice([None, chance.randrange(-7, 7)]), chance.randrange(1, 4)
                )
                for size in (3, 4, 5)[: chance.randrange(4)]
            )
            assert torch.equal(f.get_slice(name)[index], TENSORS[name][index]), (name, index)


@pytest.mark.parametrize(
    "index", [3, -4, (0, 0, 5), (0, 0, 0, 0), slice(None, None, -1), (..., ...), "a", 1.0, True, None, [0, 1],
              torch.tensor([0]), slice("a", None)]
)  # fmt: skip
def test_other_indices_are_refused(index: Any) -> None:
    out = io.BytesIO()
    torch.save({"x": TENSORS["plain"]}, out)
    with safeload.open(out.getvalue()) as f, pytest.raises(safeload.UsageError):
        f.get_slice("x")[index]


def test_rows_can_be_walked() -> None:
    out = io.BytesIO()
    torch.save({"x": TENSORS["plain"], "scalar": torch.tensor(1)}, out)
    with safeload.open(out.getvalue()) as f:
        rows = f.get_slice("x")
        assert len(rows) == 3
        assert torch.equal(torch.stack(list(rows)), TENSORS["plain"])
        assert f.get_slice("scalar")[()] == 1
        with pytest.raises(safeload.UsageError):
            len(f.get_slice("scalar"))


def test_sparse_tensors_are_not_sliced() -> None:
    out = io.BytesIO()
    torch.save({"x": torch.eye(3).to_sparse()}, out)
    with safeload.open(out.getvalue()) as f:
        assert torch.equal(f.get_tensor("x").to_dense(), torch.eye(3))
        with pytest.raises(safeload.UsageError, match="get_tensor"):
            f.get_slice("x")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_slice_reads_its_own_bytes_only(legacy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    big = torch.arange(1_000_000, dtype=torch.int32).reshape(1000, 1000)
    torch.save({"x": big}, tmp_path / "t.pt", _use_new_zipfile_serialization=not legacy)
    read = []

    def counted(self: FileSource, offset: int, buffer: bytearray) -> None:
        read.append(len(buffer))
        original(self, offset, buffer)

    original = FileSource.read_into
    monkeypatch.setattr(FileSource, "read_into", counted)
    with safeload.open(tmp_path / "t.pt", mmap=False) as f:
        rows = f.get_slice("x")
        assert read == []
        assert torch.equal(rows[10:12], big[10:12])
        assert torch.equal(rows[500, 3:5], big[500, 3:5])
        assert read == [8000, 8]


def sparse_files(folder: Path, gigabytes: int) -> dict[str, Path]:
    """Checkpoints of one tensor of so many GB, which take next to nothing on the disk."""
    rows = gigabytes << 18
    hollow = torch.UntypedStorage.from_file(str(folder / "hollow"), shared=True, nbytes=rows << 12)
    with torch.serialization.skip_data():
        torch.save({"w": {"x": torch.empty(0).set_(hollow, 0, (rows, 1024))}}, folder / "big.pt")
    header = b'{"w.x":{"dtype":"F32","shape":[%d,1024],"data_offsets":[0,%d]}}' % (rows, rows << 12)
    header += b" " * (-len(header) % 8)
    with (folder / "big.safetensors").open("wb") as out:
        out.write(len(header).to_bytes(8, "little") + header)
        out.truncate(8 + len(header) + (rows << 12))
    return {"zip": folder / "big.pt", "safetensors": folder / "big.safetensors"}


@pytest.mark.skipif(os.name == "nt", reason="files are not sparse by default")
def test_files_larger_than_memory(tmp_path: Path) -> None:
    if not hasattr(torch.serialization, "skip_data"):
        pytest.skip("torch writes files with holes since 2.6")
    for form, path in sparse_files(tmp_path, 64).items():
        assert path.stat().st_size > 64 << 30
        assert path.stat().st_blocks < 1 << 12, form
        start = time.perf_counter()
        for mmap in (None, False):
            with safeload.open(path, mmap=mmap) as f:
                assert dict(f.shapes) == {"w.x": (64 << 18, 1024)}
                row = f.get_slice("w.x")[12_345_678]
                assert row.shape == (1024,)
                assert not row.any()
                if mmap is None:
                    whole = f.get_tensor("w.x")
                    assert whole.shape == (64 << 18, 1024)
                    assert whole[-1, -1] == 0
        assert time.perf_counter() - start < 20, form


@pytest.mark.parametrize("step", [7, 1 << 40, 1 << 62, 1 << 70])
def test_a_step_beyond_the_end_is_one_element(step: int, tmp_path: Path) -> None:
    torch.save({"w": torch.arange(12.0).reshape(3, 4)}, tmp_path / "x.pth")
    with safeload.open(tmp_path / "x.pth") as f:
        assert f.get_slice("w")[1::step].tolist() == [[4.0, 5.0, 6.0, 7.0]]
        assert f.get_slice("w")[::step, ::step].tolist() == [[0.0]]
        assert f.get_slice("w")[3::step].shape == (0, 4)
