"""Outputs and sources made by hand to be called equal, or to be misread: what each of them must end in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

import safeload
from safeload.converting.checking import recorded_options
from safeload.tree.interface import names_digest
from tests.converting.making import left, saved

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


@pytest.mark.parametrize(
    "options",
    [{"keys": [1]}, {"keys": "w"}, {"strip_prefix": 5}, {"rename": []}, {"rename": None}, {"metadata": [("a", "b")]}],
)
def test_options_of_other_types(options: dict[str, Any], tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", STATE)
    with pytest.raises(safeload.UsageError):
        safeload.convert(source, tmp_path / "x.safetensors", **options)
    assert left(tmp_path) == ["x.pth"]


def test_a_tie_never_has_the_name_of_another_tensor(tmp_path: Path) -> None:
    """The suffix of an encoding makes `y.view_as_real` of a tie, and a tensor of that name is there already."""
    pair = torch.tensor([1 + 2j], dtype=torch.complex128)
    for number, state in enumerate(
        ({"x": pair, "y": pair, "y.view_as_real": STATE["a"]}, {"y.view_as_real": STATE["a"], "x": pair, "y": pair})
    ):
        source = saved(tmp_path / f"{number}.pth", state)
        with pytest.raises(safeload.NotConvertible, match=r"y\.view_as_real"):
            safeload.convert(source, tmp_path / f"{number}.safetensors")


@pytest.mark.parametrize("key", ["safeload.tree", "safeload.tree.sha256", "safeload.convert", "safeload.disarmed"])
@pytest.mark.parametrize("disarm", [False, True])
def test_a_tie_never_has_a_key_of_ours(key: str, disarm: bool, tmp_path: Path) -> None:
    tied = torch.ones(2)
    source = saved(tmp_path / "x.pth", {"a": tied, key: tied, **({"f": os.getcwd} if disarm else {})})
    with pytest.raises(safeload.NotConvertible, match="metadata"):
        safeload.convert(source, tmp_path / "x.safetensors", disarm=disarm)
    assert left(tmp_path) == ["x.pth"]


def test_metadata_of_a_dangerous_file_is_not_handed_on(tmp_path: Path) -> None:
    evil = tree({"map": {"a": {"tensor": "a"}, "b": {"tensor": "b"}, "f": {"call": "os.getcwd"}}})
    (tmp_path / "x.safetensors").write_bytes(save(STATE, {"safeload.tree": evil, "note": "gASVDwAAAAAAAACMAm9z"}))
    safeload.convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors", disarm=True)
    raw = (tmp_path / "y.safetensors").read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert set(metadata) == {"format", "safeload.convert", "safeload.disarmed"}
    assert safeload.verify(tmp_path / "x.safetensors", tmp_path / "y.safetensors").tensors == 2


_VERIFY = "import sys, safeload; safeload.verify(sys.argv[1], sys.argv[2])"


def test_sets_have_one_order_in_every_process(tmp_path: Path) -> None:
    """What the source holds is equal to what it holds, whatever seed Python hashes with and wherever objects lie."""
    import datetime
    import fractions

    long = "x" * 300
    pairs = {("a", str(number), fractions.Fraction(number, 7)) for number in range(9)}
    state = {
        "pairs": pairs, "long": {long + str(n) for n in range(5)},
        "bytes": {long.encode() + bytes([n]) for n in range(5)},
        "deep": {(("p", str(n)), frozenset({("q", str(n)), ("r", 2)})) for n in range(6)},
        "dates": {datetime.date(2000, 1, number) for number in range(1, 10)}, "big": {1 << 3000 + n for n in range(5)},
        "w": STATE["a"],
    }  # fmt: skip
    source = saved(tmp_path / "x.pth", state)
    safeload.convert(source, tmp_path / "x.safetensors")
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _VERIFY, source, tmp_path / "x.safetensors"],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert found.returncode == 0, found.stderr[-500:]


def test_a_chain_of_no_maps_is_converted(tmp_path: Path) -> None:
    empty = {"call": "collections.ChainMap", "kind": "newobj", "changes": [["build", {"map": {"maps": []}}]]}
    (tmp_path / "x.safetensors").write_bytes(save(STATE, {"safeload.tree": tree([empty], aside=["a", "b"])}))
    safeload.convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors")
    assert safeload.load(tmp_path / "y.safetensors")[0].maps == []


def test_bytes_behind_the_last_element_of_a_storage_are_not_lost(tmp_path: Path) -> None:
    given = tree({"storage": "s"}, storages={"s": {"dtype": "int32"}})
    data = save({"s": torch.tensor([1, 2, 3, 4, 5, 6], dtype=torch.uint8)}, {"safeload.tree": given})
    with pytest.raises(safeload.UnsafeCheckpoint, match="elements"):
        safeload.convert(data, tmp_path / "y.safetensors")


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


class _Fails:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __reduce__(self) -> Any:
        raise self._error


class _Hides(_Fails):
    @property
    def __dict__(self) -> Any:
        raise IndexError


class _Empty(dict[str, int]):
    def items(self) -> Any:
        raise IndexError


@pytest.mark.parametrize(
    "item", [_Fails(KeyError(1)), _Fails(OSError(1)), [_Fails(ZeroDivisionError())], [_Hides(KeyError(1))], _Empty(a=1)]
)
def test_what_methods_of_others_raise_is_said_as_ours(item: Any, tmp_path: Path) -> None:
    with pytest.raises(safeload.UsageError, match="was not saved"):
        safeload.save(item, tmp_path / "x.safetensors")
    assert left(tmp_path) == []


def test_paths_and_metadata_without_a_meaning(tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", STATE)
    with pytest.raises(safeload.OutputError):
        safeload.save(STATE, f"{tmp_path}/a\0b")
    with pytest.raises(safeload.OutputError):
        safeload.convert(source, f"{tmp_path}/a\0b")
    with pytest.raises(safeload.UsageError):
        safeload.save(STATE, tmp_path / "y.safetensors", 5)  # type: ignore[arg-type]
    assert left(tmp_path) == ["x.pth"]


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
