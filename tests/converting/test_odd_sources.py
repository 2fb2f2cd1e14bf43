"""Sources whose trees are odd but have one meaning: it is kept, or the conversion is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

import safeload
from tests.converting.making import saved

STATE = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor([3.0, 4.0])}


def tree(root: Any, **fields: Any) -> str:
    return json.dumps({"format": "safeload.tree", "version": 1, **fields, "root": root})


def test_metadata_of_a_dangerous_file_is_not_handed_on(tmp_path: Path) -> None:
    evil = tree({"map": {"a": {"tensor": "a"}, "b": {"tensor": "b"}, "f": {"call": "os.getcwd"}}})
    (tmp_path / "x.safetensors").write_bytes(save(STATE, {"safeload.tree": evil, "note": "gASVDwAAAAAAAACMAm9z"}))
    safeload.convert(tmp_path / "x.safetensors", tmp_path / "y.safetensors", disarm=True)
    raw = (tmp_path / "y.safetensors").read_bytes()
    metadata = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    assert set(metadata) == {"format", "safeload.convert", "safeload.disarmed"}
    assert safeload.verify(tmp_path / "x.safetensors", tmp_path / "y.safetensors").tensors == 2


_VERIFY = "import sys, safeload; safeload.verify(sys.argv[1], sys.argv[2])"


@pytest.mark.slow
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
