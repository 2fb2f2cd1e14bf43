"""Tensors of a path view a private map of the file: nothing is read at load, and nothing is ever written back."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import safeload
from tests.loading.test_equal import LEGACY, ZOO, resaved, saved

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MIB = 1 << 20


def mapping_of(address: int) -> str:
    """The file mapped at `address`, and how; "" for anonymous memory."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
        if found and int(found[1], 16) <= address < int(found[2], 16):
            return f"{found[3]} {found[4]}" if found[4].startswith("/") else ""
    return ""


def read_bytes() -> int:
    """Bytes that this process has read with read() and its like."""
    text = Path("/proc/self/io").read_text()
    return int(text.split("rchar:")[1].split()[0])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.ones(MIB), "b": torch.arange(MIB), "c": torch.ones(3, dtype=torch.bfloat16)}, path)
    return path


def test_tensors_view_the_map_and_no_storage_is_read(path: Path) -> None:
    safeload.load(path)
    before = read_bytes()
    got = safeload.load(path)
    assert read_bytes() - before < 100_000
    for tensor in got.values():
        assert mapping_of(tensor.data_ptr()) == f"rw-p {path}"
        assert tensor.data_ptr() % 64 == 0
    assert (got["a"].sum().item(), got["b"][-1].item()) == (MIB, MIB - 1)


def test_writing_a_tensor_never_changes_the_file(path: Path) -> None:
    whole = path.read_bytes()
    got, other = safeload.load(path), safeload.load(path)
    got["a"].zero_()
    got["b"][5] = -1
    assert path.read_bytes() == whole
    assert (other["a"].sum().item(), other["b"][5].item()) == (MIB, 5)


def test_copies_on_request(path: Path) -> None:
    for tensor in safeload.load(path, mmap=False).values():
        assert mapping_of(tensor.data_ptr()) == ""
    for tensor in safeload.load(path.read_bytes()).values():
        assert mapping_of(tensor.data_ptr()) == ""


def test_compressed_misaligned_and_swapped_storages_are_copied(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    deflated = tmp_path / "deflated.pt"
    deflated.write_bytes(resaved(data, zipfile.ZIP_DEFLATED))
    loose = safeload.Limits(inflation_ratio=2000)
    assert {mapping_of(t.data_ptr()) for t in safeload.load(deflated, limits=loose).values()} == {""}
    stored = tmp_path / "stored.pt"
    for name in ("abcd", "abcde", "abcdef", "abcdefg"):
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stored, "w") as new:
            for info in old.infolist():
                new.writestr(name + info.filename[info.filename.index("/") :], old.read(info))
        for tensor in safeload.load(stored).values():
            assert tensor.data_ptr() % tensor.dtype.itemsize == 0
            assert mapping_of(tensor.data_ptr()) in ("", f"rw-p {stored}")
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stored, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, b"big" if info.filename.endswith("byteorder") else old.read(info))
    assert {mapping_of(t.data_ptr()) for t in safeload.load(stored).values()} == {""}


def test_legacy_files_are_mapped_where_they_are_aligned(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save({"a": torch.ones(MIB, dtype=torch.uint8), "b": torch.ones(MIB, dtype=torch.int8)}, path, **LEGACY)
    got = safeload.load(path)
    assert mapping_of(got["b"].data_ptr()) == f"rw-p {path}"
    assert got["a"].sum().item() == MIB


@pytest.mark.parametrize("mmap", [None, False])
def test_storages_are_of_their_size_and_cannot_grow(mmap: bool | None, path: Path) -> None:
    got = safeload.load(path, mmap=mmap)
    sizes = {key: tensor.untyped_storage().nbytes() for key, tensor in got.items()}
    assert sizes == {"a": 4 * MIB, "b": 8 * MIB, "c": 6}
    for tensor in got.values():
        assert not tensor.untyped_storage().resizable()
        with pytest.raises(RuntimeError):
            tensor.resize_(tensor.numel() + 1)


def test_saving_one_tensor_does_not_save_the_file(path: Path) -> None:
    assert len(saved(safeload.load(path)["c"])) < 2000


def test_the_file_may_go_while_its_tensors_live(path: Path) -> None:
    got = safeload.load(path)
    path.unlink()
    path.write_bytes(b"another")
    assert got["a"].sum().item() == MIB
    # The map keeps a descriptor of its own, which goes with the last tensor.
    del got
    assert not any(str(path) in target for target in open_files())


def open_files() -> list[str]:
    found = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return found


SPARSE = """
import resource, sys, torch, safeload
from pathlib import Path
safeload.load(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
got = safeload.load(sys.argv[1])
w = got["w"]
assert w.shape == (1 << 30,) and w.untyped_storage().nbytes() == 1 << 32
assert w[0].item() == 0 and w[-1].item() == 0
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(grown)
"""


def test_memory_stays_flat_for_a_file_of_four_gib(tmp_path: Path) -> None:
    if not hasattr(torch.serialization, "skip_data"):
        pytest.skip("torch writes files with holes since 2.6")
    path, small = tmp_path / "x.pt", tmp_path / "small.pt"
    torch.save({"w": torch.ones(4)}, small)
    with torch.serialization.skip_data():
        torch.save({"w": torch.empty(1 << 30)}, path)
    assert path.stat().st_size > 1 << 32
    if path.stat().st_blocks * 512 > 100 * MIB:
        pytest.skip("the file system keeps no holes")
    done = subprocess.run(
        [sys.executable, "-c", SPARSE, str(path), str(small)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 20 * 1024


@pytest.mark.parametrize("name", ["state_dict", "kept_parameters", "tied", "numpy_arrays", "numpy_random", "times"])
def test_nothing_warns(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(ZOO[name](), path)
    safeload.load(path)
    torch.save(ZOO[name](), path, **LEGACY)
    safeload.load(path)
