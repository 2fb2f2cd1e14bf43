"""Where the bytes are: every byte once, under the names of the tensors, in pieces that fit a page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from safeload.explaining.byte_map import PIECES, map_bytes
from safeload.inputs import open_source
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.reports.details import Part
from safeload.scanning.scanner import scan_source


def mapped(folder: Path, value: object, limits: Limits | None = None, **options: bool) -> Part:
    path = folder / "a.pt"
    torch.save(value, path, **options)
    source = open_source(path)
    try:
        document = scan_source(source, policy=Policy.default(), limits=Limits()).document
        assert document is not None
        whole = map_bytes(document, source.size, limits or Limits())
    finally:
        source.close()
    assert whole is not None
    assert whole.size == path.stat().st_size == sum(part.size for part in whole.parts)
    return whole


def sizes(whole: Part) -> dict[str, int]:
    return {part.path: part.size for part in whole.parts if part.path}


@pytest.mark.parametrize("zipped", [True, False])
def test_by_module(tmp_path: Path, zipped: bool) -> None:
    state = {"a.weight": torch.zeros(100), "a.bias": torch.zeros(10), "b.weight": torch.zeros(50)}
    whole = mapped(tmp_path, state, _use_new_zipfile_serialization=zipped)
    assert [(part.name, part.size, part.tensors) for part in whole.parts if part.path] == [
        ("a.weight", 400, 1), ("b", 200, 1), ("a.bias", 40, 1)
    ]  # fmt: skip
    assert whole.parts[-1].name == "pickles, headers and padding"
    assert whole.tensors == 3


def test_what_nearly_all_lies_in_is_taken_apart(tmp_path: Path) -> None:
    layers = {f"state_dict.model.layers.{n}.{m}": torch.zeros(100) for n in range(4) for m in ("attn", "mlp")}
    whole = mapped(tmp_path, layers | {"step": torch.zeros(1)})
    assert set(sizes(whole)) == {f"state_dict.model.layers.{n}" for n in range(4)} | {"step"}
    assert [(p.name, p.path, p.size) for p in whole.parts[0].parts] == [
        ("attn", "state_dict.model.layers.0.attn", 400), ("mlp", "state_dict.model.layers.0.mlp", 400)
    ]  # fmt: skip


def test_shared_bytes_count_once(tmp_path: Path) -> None:
    tied = torch.zeros(100)
    base = torch.zeros(300)
    whole = mapped(tmp_path, {"one": tied, "two": tied, "low": base[:100], "high": base[200:]})
    assert sizes(whole) == {"one": 400, "two": 0, "low": 400, "high": 400}
    assert {part.name: part.size for part in whole.parts if not part.path}[
        "bytes of storages that no name reaches"
    ] == 400


def test_nested_and_odd_leaves(tmp_path: Path) -> None:
    value = {
        "model": {"w": torch.nn.Parameter(torch.zeros(10))},
        "list": [torch.zeros(5), (torch.zeros(6),)],
        "sparse": torch.eye(4).to_sparse(),
        "storage": torch.zeros(7).untyped_storage(),
        "meta": torch.zeros(1000, device="meta"),
        "set": {1, 2},
    }
    assert sizes(mapped(tmp_path, value)) == {
        "model": 40, "list": 44, "sparse": 80, "storage": 28, "meta": 0,
    }  # fmt: skip


def read(path: Path) -> Part | None:
    source = open_source(path)
    try:
        document = scan_source(source, policy=Policy.default(), limits=Limits()).document
        assert document is not None
        return map_bytes(document, source.size, Limits())
    finally:
        source.close()


def test_an_archive_of_arrays_with_equal_keys(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", one=np.zeros(100, "f4"), two=np.zeros(50, "f4"))
    whole = read(tmp_path / "a.npz")
    assert whole is not None
    assert sizes(whole) == {"one": 400, "two": 200}
    assert whole.size == (tmp_path / "a.npz").stat().st_size


def test_an_index_and_its_shards(tmp_path: Path) -> None:
    shards = {"a-00001.safetensors": {"x.w": np.zeros(100, "f4")}, "a-00002.safetensors": {"y.w": np.zeros(50, "f4")}}
    for name, tensors in shards.items():
        save_file(tensors, tmp_path / name)
    index = {"metadata": {"total_size": 600}, "weight_map": {key: name for name, ts in shards.items() for key in ts}}
    (tmp_path / "a.safetensors.index.json").write_text(json.dumps(index))
    whole = read(tmp_path / "a.safetensors.index.json")
    assert whole is not None
    assert sizes(whole) == {"x.w": 400, "y": 200}
    assert whole.size == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_no_storages_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02]K\x01a.")
    assert read(tmp_path / "a.pkl") is None


def test_pieces_are_bounded(tmp_path: Path) -> None:
    whole = mapped(tmp_path, {f"k{n}.{m}": torch.zeros(n + 1) for n in range(40) for m in range(2)})
    named = [part for part in whole.parts if part.path]
    assert len(named) == PIECES
    assert named[0].path == "k39"
    assert (named[-1].name, named[-1].path) == ("21 smaller ones", "...")
    assert named[-1].size == sum(8 * (n + 1) for n in range(21))
    assert named[-1].tensors == 42


def test_names_are_bounded(tmp_path: Path) -> None:
    deep = "a." * 5000 + "w"
    whole = mapped(tmp_path, {deep: torch.zeros(10), "b" * 10_000: torch.zeros(1)})
    assert all(len(part.path) < 1000 for part in whole.parts)
    assert max(len(part.path) for part in whole.parts) >= 120


def test_more_names_than_allowed_leave_the_bytes_without_names(tmp_path: Path) -> None:
    whole = mapped(tmp_path, {f"k{n}": torch.zeros(1) for n in range(9)}, Limits(names=5))
    assert sizes(whole) == {}
    assert whole.parts[0] == Part("bytes of storages that no name reaches", "", 36)
