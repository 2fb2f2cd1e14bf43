"""The index of safetensors shards as a checkpoint: the whole set is judged and loaded as one file would be."""

from __future__ import annotations

import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import safeload
from safeload.inputs import FileSource
from safeload.scanning.scanner import scan_source
from tests.converting.same import different
from tests.converting.sharded_model import sharded
from tests.loading.zoo import TENSORS, VALUES
from tests.shard_making import FIRST, INDEX, SECOND, flat, nested

ZOO = {**TENSORS, **VALUES}

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", ZOO)
def test_a_nested_checkpoint_comes_back_from_its_shards(name: str, tmp_path: Path) -> None:
    source, index = nested(tmp_path, [torch.arange(50.0), ZOO[name](), torch.arange(60.0)])
    report = safeload.scan(index)
    assert (report.verdict, report.findings, report.container) == ("clean", (), "safetensors-index")
    assert different(safeload.load(index), safeload.load(source)) == ""


def test_ties_views_and_shared_storages_are_kept(tmp_path: Path) -> None:
    weight = torch.nn.Parameter(torch.arange(64.0).reshape(8, 8))
    item = {"a": weight, "other": torch.ones(64), "b": weight, "row": weight.data[2], "same": [weight, {"x": weight}]}
    source, index = nested(tmp_path, item)
    found = safeload.load(index)
    assert different(found, torch.load(source, weights_only=False)) == ""
    assert found["a"] is found["b"] is found["same"][1]["x"]
    found["row"].fill_(7)
    assert found["a"][2].tolist() == [7.0] * 8


@pytest.mark.slow
def test_training_resumes_from_shards(tmp_path: Path) -> None:
    def parts() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(3)
        model = torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.BatchNorm1d(7), torch.nn.Linear(7, 1))
        return model, torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)

    def steps(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[float]:
        losses = []
        for _ in range(4):
            loss = model(torch.randn(4, 5)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    model, optimizer = parts()
    steps(model, optimizer)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state(), "epoch": 4}
    _, index = nested(tmp_path, state)
    wanted = steps(model, optimizer)
    found = safeload.load(index)
    model, optimizer = parts()
    model.load_state_dict(found["model"])
    optimizer.load_state_dict(found["optimizer"])
    torch.set_rng_state(found["rng"])
    assert steps(model, optimizer) == wanted


def test_a_flat_model_is_one_dict_in_the_order_of_its_shards(tmp_path: Path) -> None:
    state = flat(tmp_path)
    report = safeload.scan(tmp_path / INDEX)
    assert (report.verdict, report.findings) == ("clean", ())
    assert report.size == (tmp_path / INDEX).stat().st_size
    found = safeload.load(tmp_path / INDEX)
    assert type(found) is dict
    assert list(found) == list(state)
    assert different(found, state) == ""


def test_shards_with_trees_of_their_own_make_one_dict(tmp_path: Path) -> None:
    state = sharded(tmp_path, 3)
    tied = torch.load(tmp_path / "pytorch_model-00001-of-00003.bin")
    tied["tied"] = tied["layer.0"]
    torch.save(tied, tmp_path / "pytorch_model-00001-of-00003.bin")
    done = safeload.convert(tmp_path)
    found = safeload.load(done.index)
    assert found.pop("tied") is found["layer.0"]
    assert different(found, state) == ""


def test_what_is_loaded_from_one_file_is_loaded_from_shards(tmp_path: Path) -> None:
    state = flat(tmp_path)
    path = tmp_path / INDEX
    assert all(tensor.device.type == "meta" for tensor in safeload.load(path, map_location="meta").values())
    assert different(safeload.load(path, lambda storage, where: storage, mmap=False), state) == ""
    assert different(safeload.load(path, weights_only=True), state) == ""
    with safeload.protect():
        assert different(torch.load(path), state) == ""
    with safeload.open(path) as f:
        assert f.keys() == list(state)
        assert f.get_slice("layer.9.weight")[1:3].tolist() == [[9.0, 9.0]] * 2
        assert f.get_shape("layer.1.weight") == (4, 2)


def test_weights_only_narrows_the_tree_of_an_index(tmp_path: Path) -> None:
    source, index = nested(tmp_path, {"a": torch.ones(40), "b": torch.ones(40), "n": np.arange(3)})
    assert different(safeload.load(index), safeload.load(source)) == ""
    with pytest.raises(safeload.UnsafeCheckpoint, match="leave out weights_only=True"):
        safeload.load(index, weights_only=True)


def test_each_shard_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flat(tmp_path)
    opened: list[str] = []
    real = os.open

    def counting(path: Any, *rest: Any, **options: Any) -> int:
        opened.append(os.path.basename(path))
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", counting)
    safeload.load(tmp_path / INDEX)
    assert sorted(opened) == sorted([INDEX, FIRST, SECOND])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_tensors_view_maps_of_the_shards_and_nothing_stays_open(tmp_path: Path) -> None:
    flat(tmp_path)
    before = os.listdir("/proc/self/fd")
    found = safeload.load(tmp_path / INDEX)
    places = Path("/proc/self/maps").read_text()
    assert all(str(tmp_path / file) in places for file in (FIRST, SECOND))
    whole = (tmp_path / FIRST).read_bytes()
    found["layer.10.weight"].fill_(-1)
    assert (tmp_path / FIRST).read_bytes() == whole
    del found
    assert len(os.listdir("/proc/self/fd")) == len(before)
    os.unlink(tmp_path / SECOND)
    safeload.scan(tmp_path / INDEX)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_shard_written_into_after_its_verdict_is_not_loaded(tmp_path: Path, between: Any) -> None:
    between(lambda: (tmp_path / SECOND).write_bytes(b"\0" * 10))
    for mmap in (None, False):
        flat(tmp_path)
        with pytest.raises(safeload.InputError):
            safeload.load(tmp_path / INDEX, mmap=mmap)


def test_a_shard_replaced_after_its_verdict_is_loaded_as_judged(tmp_path: Path, between: Any) -> None:
    state = flat(tmp_path)
    safetensors.torch.save_file({"evil": torch.zeros(9)}, tmp_path / "other")
    between(lambda: shutil.copy(tmp_path / "other", tmp_path / "x") and os.replace(tmp_path / "x", tmp_path / SECOND))
    assert different(safeload.load(tmp_path / INDEX), state) == ""


def test_checked_values_come_from_the_shard_they_are_in(tmp_path: Path, between: Any) -> None:
    item = {"a": torch.arange(40.0), "s": torch.eye(30).to_sparse(), "b": torch.arange(50.0)}
    source, index = nested(tmp_path, item)
    report = safeload.scan(index, limits=safeload.Limits(validated_bytes=100))
    assert [f.rule for f in report.findings] == ["limit-reached"]
    assert different(safeload.load(index), safeload.load(source)) == ""
    with safeload.open(index) as f:
        assert torch.equal(f.get_tensor("s").to_dense(), torch.eye(30))


def test_the_digest_is_of_the_index_and_every_header(tmp_path: Path) -> None:
    flat(tmp_path)
    path = tmp_path / INDEX
    first = safeload.scan(path).judged_sha256
    assert safeload.scan(path).judged_sha256 == first
    path.write_text(path.read_text() + " ")
    second = safeload.scan(path).judged_sha256
    shard = safetensors.torch.load_file(tmp_path / SECOND)
    safetensors.torch.save_file(shard, tmp_path / SECOND, {"format": "pt", "note": "x"})
    assert len({first, second, safeload.scan(path).judged_sha256}) == 3


def test_a_snapshot_of_the_hub_cache(tmp_path: Path) -> None:
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    state = flat(blobs)
    for name in (INDEX, FIRST, SECOND):
        (snapshot / name).symlink_to(Path("../../blobs") / name)
    assert different(safeload.load(snapshot / INDEX), state) == ""


def test_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = flat(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert different(safeload.load(INDEX), state) == ""
    assert different(safeload.load(Path(INDEX)), state) == ""


def test_what_the_index_is_called_says_nothing(tmp_path: Path) -> None:
    state = flat(tmp_path)
    (tmp_path / INDEX).rename(tmp_path / "any")
    assert different(safeload.load(tmp_path / "any"), state) == ""


def test_the_bytes_of_an_index_are_a_json_text(tmp_path: Path) -> None:
    flat(tmp_path)
    for given in ((tmp_path / INDEX).read_bytes(), io.BytesIO((tmp_path / INDEX).read_bytes())):
        report = safeload.scan(given)
        assert (report.verdict, [f.rule for f in report.findings]) == ("unjudged", ["unrecognised-format"])
    with (tmp_path / INDEX).open("rb") as file, pytest.raises(safeload.UnsafeCheckpoint):
        safeload.load(file)


def test_in_a_folder_the_index_is_text_and_the_shards_are_files(tmp_path: Path) -> None:
    flat(tmp_path)
    source = FileSource(tmp_path / INDEX)
    policy = safeload.Policy.default()
    report = scan_source(source, policy=policy, limits=safeload.Limits(), explicit=False).report
    source.close()
    assert (report.verdict, report.reason) == ("skipped", "JSON, no model")


def test_a_set_converts_into_one_file_or_other_shards(tmp_path: Path) -> None:
    source, index = nested(tmp_path, {"a": torch.ones(40), "b": [torch.ones(40), {"epoch": 3}], "c": torch.ones(9)})
    wanted = safeload.load(source)
    one = safeload.convert(index)
    assert one.output == str(tmp_path / "model.safetensors")
    assert safeload.verify(index, one.output) == one.verification
    assert different(safeload.load(one.output), wanted) == ""
    (tmp_path / "again").mkdir()
    again = safeload.convert(index, tmp_path / "again" / "m.safetensors", max_shard_size=50)
    assert len(again.shards) == 3
    assert different(safeload.load(again.output), wanted) == ""
    safeload.verify(index, again.output)


def test_a_shard_that_changes_while_it_is_converted_gives_nothing(tmp_path: Path) -> None:
    flat(tmp_path)
    with pytest.raises(safeload.InputError, match="changed while"):
        safeload.convert(tmp_path / INDEX, tmp_path / "x.safetensors", progress=lambda *_: os.utime(tmp_path / SECOND))
    assert not (tmp_path / "x.safetensors").exists()


def test_a_set_is_not_converted_into_itself(tmp_path: Path) -> None:
    state = flat(tmp_path)
    for name in (INDEX, FIRST, SECOND):
        with pytest.raises(safeload.OutputError, match="is the source itself"):
            safeload.convert(tmp_path / INDEX, tmp_path / name, force=True)
    assert different(safeload.load(tmp_path / INDEX), state) == ""
