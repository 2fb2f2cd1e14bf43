"""A sharded checkpoint with chosen and changed names: over all shards, numbered anew, verified from the files alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import safeload
from safeload.converting.many.folder import FolderConversion
from safeload.converting.many.shards import renumbered
from safeload.converting.write import system
from safeload.errors import Malformed, NotConvertible, NotEqual, OutputError, UsageError
from tests.converting.sharded_model import names, sharded


def made(place: Path, *shards: dict[str, torch.Tensor]) -> None:
    """A sharded checkpoint of these state_dicts."""
    place.mkdir(parents=True, exist_ok=True)
    weight_map = {}
    for number, state in enumerate(shards, 1):
        file = f"pytorch_model-{number:05d}-of-{len(shards):05d}.bin"
        torch.save(state, place / file)
        weight_map |= dict.fromkeys(state, file)
    (place / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def numbers(*of: str) -> dict[str, torch.Tensor]:
    return {name: torch.full((3,), float(sum(map(ord, name)))) for name in of}


def read(place: Path) -> dict[str, torch.Tensor]:
    """What the index in `place` leads to."""
    index = json.loads((place / "model.safetensors.index.json").read_text())
    found = {}
    for name, file in index["weight_map"].items():
        found[name] = load_file(place / file)[name]
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in found.values())
    return found


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def convert(place: Path, **options: Any) -> FolderConversion:
    done = safeload.convert(place, place / "out", **options)
    assert isinstance(done, FolderConversion)
    return done


def refused(place: Path, error: type[Exception], match: str, **options: Any) -> None:
    with pytest.raises(error, match=match):
        convert(place, **options)
    assert not (place / "out").exists() or not list((place / "out").iterdir())


# Names over all shards


def test_a_prefix_comes_off_every_shard(tmp_path: Path) -> None:
    made(tmp_path, numbers("module.a", "module.b"), numbers("module.c"))
    convert(tmp_path, strip_prefix="module.")
    wanted = {name[7:]: tensor for name, tensor in numbers("module.a", "module.b", "module.c").items()}
    assert same(read(tmp_path / "out"), wanted)
    assert safeload.verify(tmp_path, tmp_path / "out").tensors == 3


def test_a_prefix_that_one_shard_does_not_have(tmp_path: Path) -> None:
    made(tmp_path, numbers("module.a"), numbers("module.c", "d"))
    refused(tmp_path, NotConvertible, "1 of 3 names do not have it, first 'd'", strip_prefix="module.")


def test_new_names_in_two_shards(tmp_path: Path) -> None:
    made(tmp_path, numbers("a", "b"), numbers("c", "d"))
    convert(tmp_path, rename={"a": "x", "d": "y"}, jobs=2)
    wanted = numbers("a", "b", "c", "d")
    assert same(read(tmp_path / "out"), {"x": wanted["a"], "b": wanted["b"], "c": wanted["c"], "y": wanted["d"]})
    assert safeload.verify(tmp_path, tmp_path / "out").tensors == 4


def test_names_may_change_places_between_shards(tmp_path: Path) -> None:
    made(tmp_path, numbers("a"), numbers("b"))
    convert(tmp_path, rename={"a": "b", "b": "a"})
    wanted = numbers("a", "b")
    assert same(read(tmp_path / "out"), {"b": wanted["a"], "a": wanted["b"]})
    safeload.verify(tmp_path, tmp_path / "out")


def test_prefix_keys_and_new_names_together(tmp_path: Path) -> None:
    made(tmp_path, numbers("m.a.w", "other"), numbers("m.b.w", "m.b.x"))
    convert(tmp_path, keys=("m.*.w",), strip_prefix="m.", rename={"b.w": "last"})
    wanted = numbers("m.a.w", "m.b.w")
    assert same(read(tmp_path / "out"), {"a.w": wanted["m.a.w"], "last": wanted["m.b.w"]})
    assert safeload.verify(tmp_path, tmp_path / "out").nbytes == 24


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"rename": {"a": "c"}}, NotConvertible, "'a' of .*00001.* and 'c' of .*00002.* would both be called 'c'"),
        ({"rename": {"a": "x", "c": "x"}}, NotConvertible, "would both be called 'x'"),
        ({"rename": {"a": "b"}}, NotConvertible, "would both be called 'b'"),
        ({"rename": {"a": "x", "z": "y"}}, NotConvertible, "no tensor 'z' to be renamed"),
        ({"keys": ("a", "z*")}, UsageError, "no tensor matches 'z\\*'; the first of 4: 'a', 'b', 'c', 'd'"),
        ({"keys": ("a",), "rename": {"c": "y"}}, NotConvertible, "no tensor 'c' to be renamed"),
    ],
)
def test_names_that_do_not_fit(tmp_path: Path, options: dict[str, Any], error: type[Exception], match: str) -> None:
    made(tmp_path, numbers("a", "b"), numbers("c", "d"))
    refused(tmp_path, error, match, **options)


# Shards that give nothing


def test_a_shard_without_a_chosen_tensor_is_not_written(tmp_path: Path) -> None:
    made(tmp_path, numbers("a.1"), numbers("b.1"), numbers("a.2", "b.2"))
    done = convert(tmp_path, keys=("a.*",))
    files = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    assert names(tmp_path / "out") == [*files, "model.safetensors.index.json"]
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    assert index["weight_map"] == {"a.1": files[0], "a.2": files[1]}
    assert same(read(tmp_path / "out"), numbers("a.1", "a.2"))
    assert [(Path(o.source).name, o.skipped) for o in done.empty] == [
        ("pytorch_model-00002-of-00003.bin", "none of its tensors is selected")
    ]
    assert safeload.verify(tmp_path, tmp_path / "out").tensors == 2


def test_one_shard_is_left(tmp_path: Path) -> None:
    made(tmp_path, numbers("a"), numbers("b"))
    convert(tmp_path, keys=("b",))
    assert names(tmp_path / "out") == ["model-00001-of-00001.safetensors", "model.safetensors.index.json"]
    safeload.verify(tmp_path, tmp_path / "out")


def test_verify_misses_a_shard_that_gives_something(tmp_path: Path) -> None:
    """An output without a shard is not excused by an option: which shards give nothing is found out again."""
    made(tmp_path, numbers("a.1"), numbers("b.1"), numbers("a.2"))
    convert(tmp_path, keys=("a.*",))
    index = tmp_path / "out/model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": {"a.1": "model-00001-of-00002.safetensors"}}))
    with pytest.raises(NotEqual, match="names other shards"):
        safeload.verify(tmp_path, tmp_path / "out")


def test_verify_wants_one_set_of_options(tmp_path: Path) -> None:
    made(tmp_path, numbers("a.1", "b.1"), numbers("a.2", "b.2"))
    convert(tmp_path, keys=("a.*",))
    file = tmp_path / "out/model-00002-of-00002.safetensors"
    safeload.convert(tmp_path / "pytorch_model-00002-of-00002.bin", file, keys=("a.2",), force=True)
    with pytest.raises(NotEqual, match="the same options"):
        safeload.verify(tmp_path, tmp_path / "out")


def test_an_index_may_not_lie_about_a_shard_that_gives_nothing(tmp_path: Path) -> None:
    made(tmp_path, numbers("a"), numbers("b"))
    path = tmp_path / "pytorch_model.bin.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["a.more"] = "pytorch_model-00002-of-00002.bin"
    path.write_text(json.dumps(index))
    refused(tmp_path, Malformed, "holds 'a.more', which it does not", keys=("a*",))


@pytest.mark.parametrize(
    ("given", "kept", "expected"),
    [
        (["m-00001-of-00002.s", "m-00002-of-00002.s"], [1], ["m-00001-of-00001.s"]),
        (["m-2-of-3.s", "m-1-of-3.s", "m-3-of-3.s"], [0, 2], ["m-1-of-2.s", "m-2-of-2.s"]),
        (["m-1-of-2.s", "m-2-of-2.s"], [0, 1], ["m-1-of-2.s", "m-2-of-2.s"]),
        (["a.s", "b.s"], [1], ["b.s"]),
        (["m-1-of-2.s", "n-2-of-2.s"], [1], ["n-2-of-2.s"]),
        (["m-00001-of-00002.fp16.s", "m-00002-of-00002.fp16.s"], [1], ["m-00001-of-00001.fp16.s"]),
    ],
)
def test_numbers_of_what_is_left(given: list[str], kept: list[int], expected: list[str]) -> None:
    chosen = [given[at] for at in kept]
    assert [renumbered(given, set(chosen))[name] for name in chosen] == expected


# The manifest


def test_one_manifest_for_all_shards(tmp_path: Path) -> None:
    import hashlib

    made(tmp_path, numbers("a.1"), numbers("b.1"), numbers("a.2", "b.2"))
    done = convert(tmp_path, keys=("a.*",), manifest=tmp_path / "m.json")
    found = json.loads((tmp_path / "m.json").read_text())
    single = tmp_path / "single"
    single.mkdir()
    torch.save(numbers("a.1", "a.2"), tmp_path / "x.pt")
    safeload.convert(tmp_path / "x.pt", single / "x.safetensors", max_shard_size=12, manifest=tmp_path / "x.json")
    assert list(found) == list(json.loads((tmp_path / "x.json").read_text()))
    assert done.manifest == str(tmp_path / "m.json")
    index, source = tmp_path / "out/model.safetensors.index.json", tmp_path / "pytorch_model.bin.index.json"
    for where, path in (("output", index), ("source", source)):
        assert found[where]["path"] == str(path)
        assert found[where]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert found[where]["size"] == path.stat().st_size
    assert found["source"]["verdict"] == "clean"
    assert found["options"] == {"keys": ["a.*"]}
    assert [tensor["name"] for tensor in found["tensors"]] == ["a.1", "a.2"]
    assert [Path(shard["path"]).name for shard in found["shards"]] == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    ]  # fmt: skip
    for shard in found["shards"]:
        assert shard["sha256"] == hashlib.sha256(Path(shard["path"]).read_bytes()).hexdigest()
        assert shard["source"]["sha256"] == hashlib.sha256(Path(shard["source"]["path"]).read_bytes()).hexdigest()
    left = [(item["name"], Path(item["source"]).name[14:19]) for item in found["dropped"] if item["what"] == "tensor"]
    assert left == [("b.2", "00003"), ("b.1", "00002")]
    safeload.verify(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    "where", ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", "model-00001-of-00002.safetensors"]
)
def test_the_manifest_takes_no_other_place(tmp_path: Path, where: str) -> None:
    sharded(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="the manifest cannot be"):
        safeload.convert(tmp_path, manifest=tmp_path / where, force=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def failing(real: Callable[..., Any], step: int) -> Callable[..., Any]:
    calls = iter(range(1000))

    def fails(*arguments: Any) -> Any:
        if next(calls) == step:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    return fails


@pytest.mark.parametrize("name", ["replace", "link", "write_at"])
def test_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Whatever step fails, the shards, the manifest and the index are all there or none is."""
    sharded(tmp_path)
    before = names(tmp_path)
    real = getattr(system, name)
    for step in range(100):
        monkeypatch.setattr(system, name, failing(real, step))
        try:
            safeload.convert(tmp_path, manifest=tmp_path / "m.json", strip_prefix="layer.")
        except OutputError:
            assert names(tmp_path) == before
        else:
            assert step > 1
            return
    raise AssertionError("never done")
