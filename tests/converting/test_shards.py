"""Sharded outputs: the split, the names, the index, and what is refused of an index that somebody else wrote."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import safeload
from safeload.converting.many import shards
from safeload.converting.write import system
from safeload.errors import Malformed, NotEqual, OutputError, OutputExists, UsageError

STATE = {f"layer.{i}.weight": torch.arange(100, dtype=torch.float32) + i for i in range(5)}


def saved(tmp_path: Path, value: object = STATE) -> Path:
    path = tmp_path / "big.pt"
    torch.save(value, path)
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("size", "expected"),
    [(5, 5), ("5GB", 5 * 10**9), ("500 MB", 500 * 10**6), ("1.5kB", 1500), ("2GiB", 2 << 30), ("10", 10), ("7b", 7)],
)
def test_sizes(size: int | str, expected: int) -> None:
    assert shards.parse_size(size) == expected


@pytest.mark.parametrize("size", ["", "GB", "0", "-1", "5XB", "0.1B", "1e9", "5 G B", None, True])
def test_sizes_without_a_meaning(size: Any) -> None:
    with pytest.raises(UsageError, match="5GB"):
        shards.parse_size(size)


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ({}, 10, [()]),
        ({"a": 4, "b": 4, "c": 4}, 8, [("a", "b"), ("c",)]),
        ({"a": 4, "b": 20, "c": 4}, 8, [("b",), ("a", "c")]),
        ({"a": 9, "b": 9}, 8, [("a",), ("b",)]),
        ({"a": 0, "b": 8, "c": 0}, 8, [("a", "b", "c")]),
    ],
)
def test_split(sizes: Mapping[str, int], most: int, expected: list[tuple[str, ...]]) -> None:
    assert list(shards.split(sizes, most)) == expected


def test_split_is_that_of_the_hub() -> None:
    hub = pytest.importorskip("huggingface_hub")
    tensors = {f"t{i}": torch.zeros((i * 37) % 11 + 1) for i in range(40)}
    theirs = hub.split_torch_state_dict_into_shards(tensors, max_shard_size=60).filename_to_tensors
    ours = shards.split({name: tensor.nbytes for name, tensor in tensors.items()}, 60)
    assert sorted(map(tuple, theirs.values())) == sorted(ours)


def test_a_sharded_conversion(tmp_path: Path) -> None:
    done = safeload.convert(saved(tmp_path), tmp_path / "out.safetensors", max_shard_size=900)
    names = [f"out-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    assert files(tmp_path) == ["big.pt", *names, "out.safetensors.index.json"]
    assert done.output == str(tmp_path / "out.safetensors.index.json")
    assert done.shards == tuple(str(tmp_path / name) for name in names)
    assert (done.tensors, done.nbytes, done.verification.tensors) == (5, 2000, 5)
    index = json.loads((tmp_path / "out.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 2000
    assert index["weight_map"] == {f"layer.{i}.weight": names[i // 2] for i in range(5)}
    held = {name: tensor for file in names for name, tensor in load_file(tmp_path / file).items()}
    assert held.keys() == STATE.keys()
    assert all(torch.equal(held[name], STATE[name]) for name in STATE)
    assert safeload.verify(tmp_path / "big.pt", done.output).tensors == 5
    assert [safeload.scan(path).verdict for path in done.shards] == ["clean"] * 3


def test_what_fits_into_one_file_is_one_file(tmp_path: Path) -> None:
    done = safeload.convert(saved(tmp_path), max_shard_size="5GB")
    assert done.shards == ()
    assert files(tmp_path) == ["big.pt", "big.safetensors"]


def test_tied_names_stay_with_their_tensor(tmp_path: Path) -> None:
    tied = torch.ones(100)
    source = saved(tmp_path, {"a": tied, "b": torch.zeros(100), "c": tied})
    done = safeload.convert(source, tmp_path / "out.safetensors", max_shard_size=400)
    metadata = []
    for path in done.shards:
        with safe_open(path, framework="pt") as file:
            metadata.append({key: value for key, value in file.metadata().items() if not key.startswith("safeload.")})
    assert metadata == [{"format": "pt", "c": "a"}, {"format": "pt"}]
    index = json.loads(Path(done.output).read_text())
    assert sorted(index["weight_map"]) == ["a", "b"]


def test_what_is_no_tensor_stands_in_the_index(tmp_path: Path) -> None:
    source = saved(tmp_path, {"model": STATE, "epoch": 3})
    done = safeload.convert(source, tmp_path / "out.safetensors", max_shard_size=900)
    tree = json.loads(json.loads(Path(done.output).read_text())["metadata"]["safeload.tree"])
    assert tree["root"]["map"]["epoch"] == 3
    safeload.verify(source, done.output)


def test_the_manifest_lists_the_shards(tmp_path: Path) -> None:
    safeload.convert(saved(tmp_path), tmp_path / "o.safetensors", max_shard_size=900, manifest=tmp_path / "m.json")
    manifest = json.loads((tmp_path / "m.json").read_text())
    assert [shard["path"] for shard in manifest["shards"]] == [
        str(tmp_path / f"o-0000{i}-of-00003.safetensors") for i in (1, 2, 3)
    ]
    assert len(manifest["tensors"]) == 5


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    source = saved(tmp_path)
    (tmp_path / "out-00002-of-00003.safetensors").write_text("mine")
    with pytest.raises(OutputExists, match="exists already"):
        safeload.convert(source, tmp_path / "out.safetensors", max_shard_size=900)
    assert files(tmp_path) == ["big.pt", "out-00002-of-00003.safetensors"]
    done = safeload.convert(source, tmp_path / "out.safetensors", max_shard_size=900, force=True)
    assert len(done.shards) == 3


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_an_output_that_cannot_be_shown_takes_the_others_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    source = saved(tmp_path)
    link, calls = system.link, iter(range(100))

    def fails(*args: Any) -> None:
        if next(calls) == step:
            raise OSError(28, "No space left on device")
        link(*args)

    monkeypatch.setattr(system, "link", fails)
    with pytest.raises(OutputError, match="No space left"):
        safeload.convert(source, tmp_path / "out.safetensors", max_shard_size=900)
    assert files(tmp_path) == ["big.pt"]


def damage_tensor(folder: Path) -> None:
    path = folder / "out-00002-of-00003.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def damage_index(folder: Path) -> None:
    path = folder / "out.safetensors.index.json"
    path.write_text(path.read_text().replace("out-00001", "out-00002", 1))


def damage_tree(folder: Path) -> None:
    path = folder / "out.safetensors.index.json"
    index = json.loads(path.read_text())
    index["metadata"]["safeload.tree"] = index["metadata"]["safeload.tree"].replace("layer.0", "layer.1")
    path.write_text(json.dumps(index))


def other_shard(folder: Path) -> None:
    (folder / "out-00003-of-00003.safetensors").unlink()
    (folder / "out-00003-of-00003.safetensors").write_bytes((folder / "out-00001-of-00003.safetensors").read_bytes())


@pytest.mark.parametrize("damage", [damage_tensor, damage_index, damage_tree, other_shard])
def test_verify_finds_a_difference(tmp_path: Path, damage: Any) -> None:
    source = saved(tmp_path)
    done = safeload.convert(source, tmp_path / "out.safetensors", max_shard_size=900)
    damage(tmp_path)
    with pytest.raises(NotEqual):
        safeload.verify(source, done.output)


@pytest.mark.parametrize(
    "name",
    [
        "../evil.bin",
        "/etc/passwd",
        "a/b.bin",
        "a\\b.bin",
        "..",
        ".",
        "",
        "C:x.bin",
        "a\0b",
        "a\nb",
        ".hidden",
        "x" * 300,
    ],
)
def test_an_index_names_plain_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"weight_map": {"a": name}}))
    with pytest.raises(Malformed, match="not the plain name of a file beside it"):
        shards.read_index(str(path))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', '{"weight_map": []}', "[" * 100_000,
        '{"weight_map": {"a": "x.bin", "a": "y.bin"}}', '{"weight_map": {"a": "x.bin"}, "weight_map": {"a": "y.bin"}}',
    ],
)  # fmt: skip
def test_an_index_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(text)
    with pytest.raises(Malformed, match="index"):
        shards.read_index(str(path))


def test_an_index_of_any_size_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "INDEX_BYTES", 10)
    path = tmp_path / "x.index.json"
    path.write_text(json.dumps({"weight_map": {"a": "x.bin"}}))
    with pytest.raises(Malformed, match="larger than an index"):
        shards.read_index(str(path))
