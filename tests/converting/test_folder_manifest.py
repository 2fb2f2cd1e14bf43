"""The one manifest of a folder of checkpoints: what was converted, what failed, what was skipped."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import safeload
from safeload.cli import app
from safeload.errors import OutputExists, UsageError
from tests.converting.sharded_model import names, sharded

DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."


@pytest.fixture
def several(tmp_path: Path) -> Path:
    place = tmp_path / "models"
    sharded(place / "big")
    torch.save({"a": torch.ones(2)}, place / "one.pt")
    torch.save({"b": torch.ones(2), "epoch": 1}, place / "two.ckpt")
    (place / "evil.pkl").write_bytes(DANGEROUS)
    (place / "README.md").write_text("text")
    return place


def listed(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    assert list(found) == ["schema", "version", "files", "failed", "skipped"]
    assert found["schema"] == "safeload.manifest.folder/1"
    return found


@pytest.mark.parametrize("jobs", [1, 3])
def test_one_manifest_for_the_run(several: Path, tmp_path: Path, jobs: int) -> None:
    before, out = names(several), tmp_path / "out"
    done = safeload.convert(several, out, recursive=True, jobs=jobs, manifest=tmp_path / "m.json")
    assert done.manifest == str(tmp_path / "m.json")
    assert names(several) == before
    found = listed(tmp_path / "m.json")
    outputs = [Path(entry["output"]["path"]).relative_to(out).as_posix() for entry in found["files"]]
    assert outputs == ["big/model.safetensors.index.json", "one.safetensors", "two.safetensors"]
    assert [Path(shard["path"]).name for shard in found["files"][0]["shards"]] == [
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    ]  # fmt: skip
    # Each is what the conversion of that file alone says.
    safeload.convert(several / "one.pt", tmp_path / "one.safetensors", manifest=tmp_path / "one.json")
    alone = json.loads((tmp_path / "one.json").read_text())
    alone["output"]["path"] = str(out / "one.safetensors")
    assert found["files"][1] == alone
    (failed,) = found["failed"]
    assert (failed["path"], failed["error"], failed["verdict"]) == (
        str(several / "evil.pkl"), "UnsafeCheckpoint", "dangerous",
    )  # fmt: skip
    assert "--disarm" in failed["message"]
    assert [Path(entry["path"]).name for entry in found["skipped"]] == ["README.md"]


def test_what_was_done_before_is_skipped(several: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    safeload.convert(several, out, recursive=True)
    torch.save({"a": torch.zeros(2)}, several / "three.pt")
    safeload.convert(several, out, recursive=True, manifest=tmp_path / "m.json")
    found = listed(tmp_path / "m.json")
    assert [Path(entry["source"]["path"]).name for entry in found["files"]] == ["three.pt"]
    done = [
        Path(e["path"]).name for e in found["skipped"] if e["reason"] == "it was converted before, by these options"
    ]
    assert done == ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin", "one.pt", "two.ckpt"]


def test_shards_with_chosen_names_are_done_too(tmp_path: Path) -> None:
    sharded(tmp_path / "models", 3)
    options: dict[str, Any] = {"recursive": True, "keys": ("layer.0", "layer.5"), "rename": {"layer.5": "last"}}
    first = safeload.convert(tmp_path / "models", tmp_path / "out", **options)
    assert [bool(outcome.conversion) for outcome in first.outcomes] == [True, False, True]
    again = safeload.convert(tmp_path / "models", tmp_path / "out", manifest=tmp_path / "m.json", **options)
    assert [(outcome.done, bool(outcome.skipped)) for outcome in again.outcomes] == [
        (True, False), (False, True), (True, False),
    ]  # fmt: skip
    assert listed(tmp_path / "m.json")["files"] == []


def test_a_manifest_that_exists_stops_it_before_anything_is_written(several: Path, tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text("mine")
    with pytest.raises(OutputExists):
        safeload.convert(several, tmp_path / "out", recursive=True, manifest=tmp_path / "m.json")
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "m.json").read_text() == "mine"
    safeload.convert(several, tmp_path / "out", recursive=True, manifest=tmp_path / "m.json", force=True)
    assert listed(tmp_path / "m.json")["failed"]


@pytest.mark.parametrize("where", ["one.pt", "README.md", "big/pytorch_model-00001-of-00002.bin"])
def test_the_manifest_takes_no_other_place(several: Path, where: str) -> None:
    before = names(several)
    with pytest.raises(UsageError, match="which is a source or an output"):
        safeload.convert(several, recursive=True, manifest=several / where, force=True)
    assert names(several) == before


@pytest.mark.parametrize(
    "where", ["big/model-00001-of-00001.safetensors", "two.safetensors", "one.tree.json", "big/x.index.json"]
)
def test_the_manifest_has_no_name_of_an_output(several: Path, where: str) -> None:
    before = names(several)
    for place in (several, several / "big"):
        with pytest.raises(UsageError, match="which is a name for outputs"):
            safeload.convert(place, recursive=place == several, manifest=several / where, force=True)
    assert names(several) == before


def test_a_hard_link_of_a_source_is_the_source(several: Path, tmp_path: Path) -> None:
    os.link(several / "one.pt", tmp_path / "m.json")
    with pytest.raises(UsageError, match="which is a source or an output"):
        safeload.convert(several, recursive=True, manifest=tmp_path / "m.json", force=True)


def test_ctrl_c_leaves_no_manifest(several: Path, tmp_path: Path) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        safeload.convert(several, tmp_path / "out", recursive=True, manifest=tmp_path / "m.json", progress=stop)
    assert not (tmp_path / "m.json").exists()


def test_on_the_command_line(several: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["convert", "models", "out", "--recursive", "--manifest", "m.json"])
    assert result.exit_code == 1
    assert result.output.endswith(
        "4 converted and verified (64 bytes), 1 no checkpoint to convert, 1 failed\nmanifest m.json\n"
    )
    (tmp_path / "none").mkdir()
    (tmp_path / "none/README.md").write_text("text")
    result = CliRunner().invoke(app, ["convert", "none", "--recursive", "--manifest", "n.json"])
    assert (result.exit_code, (tmp_path / "n.json").exists()) == (2, False)
    result = CliRunner().invoke(
        app,
        ["convert", "models/big", "out2", "--keys", "layer.0", "--rename", "layer.0=x", "--manifest", "k.json", "-q"],
    )
    assert result.exit_code == 0
    assert result.output.endswith(
        "1 converted and verified (12 bytes)\n"
        "no file for models/big/pytorch_model-00002-of-00002.bin: none of its tensors is selected\n"
        "manifest k.json\n"
    )
    assert CliRunner().invoke(app, ["verify", "models/big", "out2"]).exit_code == 0
