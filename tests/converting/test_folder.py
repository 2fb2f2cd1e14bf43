"""Folders: sharded checkpoints as transformers lays them out, and folders of checkpoints."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import safeload
from safeload.converting import single as engine
from safeload.converting.interface import Options
from safeload.converting.many import folder
from safeload.converting.many.folder import new_name
from safeload.errors import InputNotFound, Malformed, NotEqual, OutputExists, UnsafeCheckpoint, UsageError
from tests.converting.sharded_model import names, sharded

DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


def edit_index(place: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = place / "pytorch_model.bin.index.json"
    index = json.loads(path.read_text())
    change(index)
    path.write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("model.pth", "model.safetensors"),
        ("a.pth.tar", "a.safetensors"),
        ("a.tar", "a.safetensors"),
        ("v1.5", "v1.5.safetensors"),
        ("model.dat", "model.safetensors"),
        ("checkpoint", "checkpoint.safetensors"),
        (".hidden", ".hidden.safetensors"),
        ("pytorch_model.bin", "model.safetensors"),
        ("diffusion_pytorch_model.bin", "diffusion_pytorch_model.safetensors"),
        ("pytorch_model-00001-of-00002.bin", "model-00001-of-00002.safetensors"),
        ("pytorch_model.bin.index.json", "model.safetensors.index.json"),
        ("pytorch_model.fp16.bin.index.json", "model.fp16.safetensors.index.json"),
        ("pytorch_models.bin", "pytorch_models.safetensors"),
    ],
)
def test_names_of_outputs(name: str, expected: str) -> None:
    assert new_name(name) == expected


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_sharded_checkpoint(tmp_path: Path, jobs: int) -> None:
    state = sharded(tmp_path, 4)
    before = names(tmp_path)
    done = safeload.convert(tmp_path, jobs=jobs)
    files = [f"model-0000{i}-of-00004.safetensors" for i in (1, 2, 3, 4)]
    assert names(tmp_path) == sorted([*before, *files, "model.safetensors.index.json"])
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index == {
        "metadata": {"total_size": 96},
        "weight_map": {f"layer.{i}": files[i // 2] for i in range(8)},
    }
    held = {name: tensor for file in files for name, tensor in load_file(tmp_path / file).items()}
    assert all(torch.equal(held[name], state[name]) for name in state)
    assert done.index == str(tmp_path / "model.safetensors.index.json")
    assert [os.path.basename(outcome.conversion.output) for outcome in done.outcomes] == files
    assert safeload.verify(tmp_path, tmp_path).tensors == 8


def test_into_another_folder_and_by_the_name_of_the_index(tmp_path: Path) -> None:
    sharded(tmp_path / "a")
    safeload.convert(tmp_path / "a/pytorch_model.bin.index.json", tmp_path / "b/c")
    assert names(tmp_path / "b/c") == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json",
    ]  # fmt: skip
    assert safeload.verify(tmp_path / "a", tmp_path / "b/c").nbytes == 48


def test_in_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert safeload.convert("pytorch_model.bin.index.json").index == "model.safetensors.index.json"
    assert safeload.convert(".", force=True).failed == ()


def test_verify_of_a_folder_finds_a_difference(tmp_path: Path) -> None:
    sharded(tmp_path)
    safeload.convert(tmp_path)
    edit = tmp_path / "model.safetensors.index.json"
    good = edit.read_text()
    edit.write_text(good.replace('"layer.0": "model-00001', '"layer.0": "model-00002'))
    with pytest.raises(NotEqual, match="do not agree"):
        safeload.verify(tmp_path, tmp_path)
    edit.write_text(good)
    torch.save({"layer.0": torch.zeros(3), "layer.1": torch.ones(3) * 9}, tmp_path / "pytorch_model-00001-of-00002.bin")
    with pytest.raises(NotEqual):
        safeload.verify(tmp_path, tmp_path)


def test_a_dangerous_shard_stops_all_and_leaves_nothing(tmp_path: Path) -> None:
    sharded(tmp_path, 3)
    (tmp_path / "pytorch_model-00002-of-00003.bin").write_bytes(DANGEROUS)
    before = names(tmp_path)
    with pytest.raises(UnsafeCheckpoint, match="00002-of-00003"):
        safeload.convert(tmp_path, jobs=2)
    assert names(tmp_path) == before


def test_an_index_may_not_lie(tmp_path: Path) -> None:
    sharded(tmp_path)
    before = names(tmp_path)
    edit_index(tmp_path, lambda index: index["weight_map"].update({"more": "pytorch_model-00001-of-00002.bin"}))
    with pytest.raises(Malformed, match="holds 'more', which it does not"):
        safeload.convert(tmp_path)
    edit_index(tmp_path, lambda index: index["weight_map"].update({"more": "not-there.bin"}))
    with pytest.raises(InputNotFound, match="is named by the index and is not there"):
        safeload.convert(tmp_path)
    assert names(tmp_path) == before


def test_two_shards_with_one_tensor(tmp_path: Path) -> None:
    sharded(tmp_path)
    torch.save(
        {"layer.1": torch.ones(3), "layer.2": torch.ones(3), "layer.3": torch.ones(3)},
        tmp_path / "pytorch_model-00002-of-00002.bin",
    )
    with pytest.raises(Malformed, match=r"'layer\.1' is in two shards"):
        safeload.convert(tmp_path)
    assert not list(tmp_path.glob("*.safetensors*"))


@posix
def test_no_shard_outside_of_the_folder(tmp_path: Path) -> None:
    sharded(tmp_path / "model")
    outside = tmp_path / "outside.bin"
    shard = tmp_path / "model/pytorch_model-00001-of-00002.bin"
    shard.rename(outside)
    shard.symlink_to(outside)
    with pytest.raises(Malformed, match="a link to a file outside"):
        safeload.convert(tmp_path / "model")
    shard.unlink()
    os.mkfifo(shard)
    with pytest.raises(Malformed, match="a named pipe"):
        safeload.convert(tmp_path / "model")
    assert not list((tmp_path / "model").glob("*.safetensors*"))


@posix
def test_the_links_of_the_hub_cache(tmp_path: Path) -> None:
    repository = tmp_path / "models--a--b"
    sharded(repository / "snapshots/1")
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted((repository / "snapshots/1").iterdir())):
        path.rename(repository / f"blobs/{number}")
        path.symlink_to(f"../../blobs/{number}")
    done = safeload.convert(repository / "snapshots/1", tmp_path / "out")
    assert len(done.outcomes) == 2


def test_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    sharded(tmp_path)
    safeload.convert(tmp_path)
    with pytest.raises(OutputExists):
        safeload.convert(tmp_path)
    assert safeload.convert(tmp_path, force=True).failed == ()


def test_a_folder_with_one_model(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(2)}, tmp_path / "pytorch_model.bin")
    assert safeload.convert(tmp_path).output == str(tmp_path / "model.safetensors")
    assert safeload.verify(tmp_path, tmp_path).tensors == 1
    done = safeload.convert(tmp_path, tmp_path / "new")
    assert done.output == str(tmp_path / "new/model.safetensors")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({}, "--recursive converts every checkpoint below it"),
        ({"recursive": True, "max_shard_size": 5}, "keep their sizes"),
    ],
)
def test_folders_without_a_meaning(tmp_path: Path, options: dict[str, Any], word: str) -> None:
    with pytest.raises(UsageError, match=word):
        safeload.convert(tmp_path, **options)


def test_two_indexes(tmp_path: Path) -> None:
    for name in ("pytorch_model.bin.index.json", "pytorch_model.fp16.bin.index.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(UsageError, match="several indexes"):
        safeload.convert(tmp_path)


def test_an_interrupted_shard_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sharded(tmp_path)
    before = names(tmp_path)

    def interrupted(src: Any, dst: Any, options: Options) -> Any:
        engine.run(src, dst, options)
        raise KeyboardInterrupt

    monkeypatch.setattr(folder, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        safeload.convert(tmp_path)
    assert names(tmp_path) == before
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("form", ["one", "shards", "split"])
def test_transformers_loads_the_converted_folder(tmp_path: Path, form: str, tied: bool) -> None:
    transformers = pytest.importorskip("transformers")
    if not transformers.utils.is_torch_available():
        pytest.skip("transformers wants a newer torch")
    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    model = transformers.LlamaForCausalLM(config)
    config.save_pretrained(tmp_path)
    state = model.state_dict()
    if form == "shards":
        half = list(state)[: len(state) // 2]
        weight_map = {name: f"pytorch_model-0000{2 - (name in half)}-of-00002.bin" for name in state}
        for file in set(weight_map.values()):
            torch.save({name: state[name] for name in state if weight_map[name] == file}, tmp_path / file)
        (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map, "metadata": {}}))
    else:
        torch.save(state, tmp_path / "pytorch_model.bin")
    safeload.convert(tmp_path, **({"max_shard_size": "30kB"} if form == "split" else {}))
    for path in tmp_path.glob("*.bin*"):
        path.unlink()
    assert len(list(tmp_path.glob("*.safetensors"))) == {"one": 1, "shards": 2}.get(form, 3)
    loaded, info = transformers.LlamaForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert all(torch.equal(tensor, loaded.state_dict()[name]) for name, tensor in state.items())
