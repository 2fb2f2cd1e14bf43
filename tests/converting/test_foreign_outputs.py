"""Verification of outputs that another hand wrote or changed: what they claim, and what they leave out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import safeload
from safeload.converting.checking import recorded_options
from safeload.tree.interface import names_digest
from tests.converting.making import saved

STATE = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}


def tree(root: Any, **fields: Any) -> str:
    return json.dumps({"format": "safeload.tree", "version": 1, **fields, "root": root})


def test_a_tree_of_another_hand_is_compared_too(tmp_path: Path) -> None:
    """Without a record of a conversion, whoever loads the file gets what its tree says, not what its names say."""
    source = saved(tmp_path / "x.pth", STATE)
    swapped = {"safeload.tree": tree({"map": {"a": {"tensor": "b"}, "b": {"tensor": "a"}}})}
    save_file(STATE, tmp_path / "x.safetensors", swapped)
    assert safeload.load(tmp_path / "x.safetensors")["a"].tolist() == [3.0, 4.0]
    with pytest.raises(safeload.NotEqual, match="tree"):
        safeload.verify(source, tmp_path / "x.safetensors")
    same = {"safeload.tree": tree({"tensors": names_digest(STATE)}).replace(", ", ",").replace(": ", ":")}
    save_file(STATE, tmp_path / "x.safetensors", same)
    assert safeload.verify(source, tmp_path / "x.safetensors").tensors == 2


@pytest.mark.parametrize("said", [{}, {"b": "other"}])
def test_a_name_that_is_left_out_has_to_be_said(said: dict[str, str], tmp_path: Path) -> None:
    tied = torch.ones(3)
    source = saved(tmp_path / "x.pth", {"a": tied, "b": tied})
    save_file({"a": tied}, tmp_path / "x.safetensors", {"format": "pt", **said})
    with pytest.raises(safeload.NotEqual, match="'b'"):
        safeload.verify(source, tmp_path / "x.safetensors")
    save_file({"a": tied}, tmp_path / "x.safetensors", {"format": "pt", "b": "a"})
    assert safeload.verify(source, tmp_path / "x.safetensors").tensors == 1


@pytest.mark.parametrize(
    "options",
    [
        {"rename": []}, {"rename": 5}, {"rename": None}, {"rename": [["a", "b"]]}, {"rename": {"a": 1}},
        {"keys": [1]}, {"keys": [None]}, {"strip_prefix": 5}, {"strip_prefix": ["a"]}, {"strip_prefix": None},
        {"metadata": []}, {"metadata": "x"}, {"metadata": {"a": None}}, {"disarm": "no"}, {"records": [1]},
        {"allow": []},
    ],
)  # fmt: skip
def test_a_record_of_other_types_is_none(options: dict[str, Any], tmp_path: Path) -> None:
    record = json.dumps({"version": 1, "options": options})
    with pytest.raises(safeload.NotEqual, match="record"):
        recorded_options({"safeload.convert": record})
    source = saved(tmp_path / "x.pth", STATE)
    save_file(STATE, tmp_path / "x.safetensors", {"safeload.convert": record})
    with pytest.raises(safeload.NotEqual, match="record"):
        safeload.verify(source, tmp_path / "x.safetensors")


def test_a_verification_tells_by_whose_options(tmp_path: Path) -> None:
    """Who hands over an output chooses its record: with it two tensors may change names and be as they should."""
    from safeload.cli.text.convert_text import verified_text

    source = saved(tmp_path / "x.pth", STATE)
    plain, swapped, other = (tmp_path / f"{name}.safetensors" for name in ("plain", "swapped", "other"))
    safeload.convert(source, plain)
    found = safeload.verify(source, plain)
    assert found.recorded == {}
    assert "options" not in verified_text(found, "x.pth", "plain")
    safeload.convert(source, swapped, rename={"a": "b", "b": "a"})
    found = safeload.verify(source, swapped)
    assert found.recorded == {"rename": {"a": "b", "b": "a"}}
    assert 'options that it records: {"rename": {"a": "b", "b": "a"}}' in verified_text(found, "x.pth", "swapped")
    save_file(STATE, other)
    found = safeload.verify(source, other)
    assert found.recorded is None
    assert "no record of a conversion" in verified_text(found, "x.pth", "other")


def test_a_shard_of_another_hand_has_no_tree_of_its_own(tmp_path: Path) -> None:
    """A load reads single shards, by the tree in each."""
    source = saved(tmp_path / "x.pth", STATE)
    index = tmp_path / "x.safetensors.index.json"
    safeload.convert(source, tmp_path / "x.safetensors", max_shard_size=8)
    assert safeload.verify(source, index).recorded == {}
    for path in sorted(tmp_path.glob("x-*.safetensors")):
        with safe_open(path, "pt") as shard:
            tensors = {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118 - no mapping
        save_file(tensors, path, {"format": "pt"})
    assert safeload.verify(source, index).recorded is None
    (name,) = tensors
    save_file(tensors, path, {"safeload.tree": tree({"map": {"other": {"tensor": name}}})})
    with pytest.raises(safeload.NotEqual, match="tree"):
        safeload.verify(source, index)
