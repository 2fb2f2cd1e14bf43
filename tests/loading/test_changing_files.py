"""A file that changes between the scan and the load: what was judged is what is loaded, or nothing is."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from samples.assemble import ORDERED_DICT, call, floats, longs, name, storage, tensor
from samples.files_of_torch import zip_of
from samples.memory import VALUES, indices, sparse
from tests.loading.test_equal import saved

pytestmark = pytest.mark.usefixtures("quiet")


def overwrite(path: Path, old: bytes, new: bytes) -> None:
    """Change bytes of the file in place, and put its time back as an attacker would."""
    data, status = path.read_bytes(), path.stat()
    assert data.count(old) == 1
    with path.open("r+b") as file:
        file.seek(data.index(old))
        file.write(new)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


NESTED = call(
    name("torch._utils", "_rebuild_nested_tensor"), tensor(), indices("1", 2, 1), indices("2", 2, 1), indices("3", 2)
)  # fmt: skip
QUANTIZER = (name("torch", "per_channel_affine"), tensor(storage("1", 2, "DoubleStorage"), (2,)), indices("2", 2), 0)
CHANNELS = call(
    name("torch._utils", "_rebuild_qtensor"), storage("0", 4, "QInt8Storage"), 0, (2, 2), (2, 1), QUANTIZER, False,
    ORDERED_DICT,
)  # fmt: skip

VALIDATED: dict[str, tuple[Any, dict[str, bytes], bytes, Callable[[Any], Any], Any]] = {
    "coo": (sparse("sparse_coo", indices("0", 1, 2), VALUES, (40,)), {"0": longs(31, 37), "1": floats(1, 1)},
            longs(31, 37), lambda t: t._indices().tolist(), [[31, 37]]),
    "csr": (sparse("sparse_csr", indices("0", 3), indices("2", 2), VALUES, (2, 99)),
            {"0": longs(0, 1, 2), "1": floats(1, 1), "2": longs(71, 77)},
            longs(71, 77), lambda t: t.col_indices().tolist(), [71, 77]),
    "nested": (NESTED, {"0": floats(1, 2, 3, 4), "1": longs(3, 1), "2": longs(1, 1), "3": longs(0, 3)},
               longs(3, 1), lambda t: [x.tolist() for x in t.unbind()], [[1.0, 2.0, 3.0], [4.0]]),
    "points": (CHANNELS, {"0": b"\1\2\3\4", "1": struct.pack("<2d", 0.5, 0.25), "2": longs(71, 77)},
               longs(71, 77), lambda t: t.q_per_channel_zero_points().tolist(), [71, 77]),
    "scales": (CHANNELS, {"0": b"\1\2\3\4", "1": struct.pack("<2d", 0.5, 0.25), "2": longs(71, 77)},
               struct.pack("<2d", 0.5, 0.25), lambda t: t.q_per_channel_scales().tolist(), [0.5, 0.25]),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(VALIDATED))
@pytest.mark.parametrize("mmap", [None, False])
def test_validated_values_come_from_private_copies(
    kind: str, mmap: bool | None, tmp_path: Path, between: Callable[[Callable[[], None]], None]
) -> None:
    item, storages, old, read, wanted = VALIDATED[kind]
    path = tmp_path / "x.pt"
    path.write_bytes(zip_of({"w": item}, storages).build())
    rewritten = []

    def rewrite() -> None:
        overwrite(path, old, b"\x7f" * len(old))
        rewritten.append(1)

    between(rewrite)
    try:
        got = safeload.load(path, mmap=mmap)["w"]
    except safeload.InputError as error:
        # The change was seen when the file was mapped.
        assert "changed between the scan and the load" in str(error)  # noqa: PT017
    else:
        assert read(got) == wanted
    assert rewritten == [1]
    if mmap is False:
        assert read(got) == wanted


@pytest.mark.parametrize("mmap", [None, False])
def test_another_file_under_the_same_path_changes_nothing(
    mmap: bool | None, tmp_path: Path, between: Callable[[Callable[[], None]], None]
) -> None:
    path, other = tmp_path / "x.pt", tmp_path / "y.pt"
    path.write_bytes(saved({"w": torch.ones(4), "n": 1}))
    other.write_bytes(saved({"w": torch.zeros(4), "n": 2}))
    between(lambda: os.replace(other, path))
    got = safeload.load(path, mmap=mmap)
    assert (got["w"].tolist(), got["n"]) == ([1.0] * 4, 1)


@pytest.mark.parametrize("mmap", [None, False])
def test_a_file_that_gets_shorter_is_an_error_of_ours(
    mmap: bool | None, tmp_path: Path, between: Callable[[Callable[[], None]], None]
) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(saved({"w": torch.ones(100_000)}))
    between(lambda: os.truncate(path, 5000))
    with pytest.raises(safeload.InputError):
        safeload.load(path, mmap=mmap)


def test_the_pickle_is_read_once(tmp_path: Path, between: Callable[[Callable[[], None]], None]) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(saved(["judged text"]))
    between(lambda: overwrite(path, b"judged text", b"evil   text"))
    assert safeload.load(path) == ["judged text"]


class Changing(io.BytesIO):
    """A file object that gives other bytes from its n-th read on."""

    def __init__(self, first: bytes, later: bytes, after: int) -> None:
        super().__init__(first)
        self.first, self.later, self.left = first, later, after

    def read(self, size: int | None = -1) -> bytes:
        at = self.tell()
        data = super().read(size)
        self.left -= 1
        return data if self.left >= 0 else self.later[at : at + len(data)]


def test_a_file_object_that_gives_other_bytes_the_second_time() -> None:
    first = saved({"w": torch.ones(4), "n": "judged text"})
    later = first.replace(b"judged text", b"evil   text")
    seen = set()
    for after in range(60):
        try:
            got = safeload.load(Changing(first, later, after))
        except safeload.SafeloadError:
            seen.add("refused")
        else:
            # Whichever it is, it is what the verdict was about: neither names anything outside the table.
            assert got["n"] in ("judged text", "evil   text")
            assert got["w"].tolist() == [1.0] * 4
            seen.add(got["n"])
    assert "judged text" in seen


def test_a_payload_that_appears_on_the_second_read() -> None:
    honest = saved({"w": torch.ones(4), "n": "x" * 29})
    payload = b"cos\nsystem\n(X\x04\x00\x00\x00truetR."
    assert len(payload) < 35
    at = honest.index(b"X\x1d\x00\x00\x00" + b"x" * 29)
    evil = honest[:at] + payload.ljust(34, b".") + honest[at + 34 :]
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.load(evil)
    for after in range(60):
        try:
            got = safeload.load(Changing(honest, evil, after))
        except safeload.SafeloadError:
            continue
        assert got["n"] == "x" * 29


def test_sparse_indices_of_a_file_object_that_changes() -> None:
    item, storages, old, read, wanted = VALIDATED["coo"]
    first = zip_of({"w": item}, storages).build()
    later = first.replace(old, longs(1 << 40, 1 << 41))
    for after in range(60):
        try:
            got = safeload.load(Changing(first, later, after))["w"]
        except safeload.SafeloadError:
            continue
        assert read(got) == wanted
        got.to_dense()
