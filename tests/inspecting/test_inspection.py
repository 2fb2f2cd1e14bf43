"""What `inspect` says of files: literal expectations, and that it reads no tensor."""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

import safeload
from safeload.inputs import MemorySource
from safeload.inspecting.inspection import inspect, inspection
from safeload.inspecting.interface import Entry, Inspection, Tie, Total
from safeload.limits import Limits
from safeload.policy import Policy
from tests import shard_making


def of(item: Any, **options: Any) -> Inspection:
    file = io.BytesIO()
    torch.save(item, file, **options)
    return inspect(file.getvalue())


def entry(found: Inspection, path: str) -> Entry:
    (one,) = [e for e in found.entries if e.path == path]
    return one


class Reads(MemorySource):
    """Bytes that count how many of them were asked for."""

    asked = 0

    def read(self, offset: int, length: int) -> bytes:
        self.asked += length
        return super().read(offset, length)

    def peek(self, offset: int, length: int) -> bytes:
        self.asked += min(length, self.size - offset)
        return super().peek(offset, length)


def test_tensors_ties_and_totals() -> None:
    weight = torch.arange(12.0).reshape(3, 4)
    found = of({"a": weight, "b": weight, "row": weight[1], "t": weight.t(), "n": torch.ones(2, dtype=torch.int64)})
    assert [e.path for e in found.entries] == ["", "a", "b", "row", "t", "n"]
    a = entry(found, "a")
    assert (a.type, a.dtype, a.shape, a.nbytes, a.contiguous, a.device) == (
        "tensor",
        "float32",
        (3, 4),
        48,
        True,
        "cpu",
    )
    assert not entry(found, "t").contiguous
    assert found.ties == (Tie(("a", "b"), same=True), Tie(("a", "row", "t"), same=False))
    # What is tied counts once; a view has elements of its own to count.
    assert found.totals == (Total("float32", 4, 28, 112), Total("int64", 1, 2, 16))
    assert found.report.container == "torch-zip"
    assert found.format["version"] == "3"
    assert found.complete


def test_kinds_of_tensors() -> None:
    coo = torch.sparse_coo_tensor(torch.tensor([[0, 2]]), torch.tensor([1.0, 2.0]), (4,), check_invariants=True)
    found = of(
        {
            "p": torch.nn.Parameter(torch.ones(2)),
            "coo": coo,
            "meta": torch.empty(1 << 20, 1 << 20, device="meta"),
            "array": np.arange(3, dtype=np.float16),
            "number": np.float64(0.5),
        }
    )
    assert (entry(found, "p").type, entry(found, "p").requires_grad) == ("parameter", True)
    assert (entry(found, "coo").layout, entry(found, "coo").shape, entry(found, "coo").nbytes) == (
        "torch.sparse_coo",
        (4,),
        24,
    )
    assert (entry(found, "meta").layout, entry(found, "meta").nbytes) == ("meta", 0)
    assert (entry(found, "array").type, entry(found, "array").dtype) == ("array", "float16")
    assert (entry(found, "number").kind, entry(found, "number").text) == ("value", "<f8 0.5")


def test_values_are_short() -> None:
    table = {f"word{n}": n for n in range(10_000)}
    found = inspect(
        pickle.dumps({"text": "x" * 1000, "many": list(range(10**5)), "vocabulary": table, "big": 1 << 5000, "e": {}})
    )
    texts = {e.path: e.text for e in found.entries if e.kind == "value"}
    assert texts == {
        "text": repr("x" * 80) + "... 1,000 in all",
        "many": "[0, 1, 2, 3, ... 100,000 in all]",
        "vocabulary": "{'word0': 0, 'word1': 1, 'word2': 2, 'word3': 3, ... 10,000 in all}",
        "big": "an int of 5,001 bits",
        "e": "{}",
    }


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = torch.nn.Linear(2, 3)
        self.size = 7


def test_a_module_has_the_names_of_its_state_dict() -> None:
    model = torch.nn.Sequential(Block(), torch.nn.BatchNorm1d(3))
    found = of(model)
    assert [e.path for e in found.tensors()] == list(model.state_dict())
    assert found.report.verdict == "unvetted"
    assert found.classes[f"{__name__}.Block"] == 1
    assert found.classes["torch.nn.modules.linear.Linear"] == 1
    assert entry(found, "0.size").text == "7"
    assert (entry(found, "0").kind, entry(found, "0").type) == ("container", f"{__name__}.Block")


def test_a_dangerous_file_is_shown_and_nothing_runs(tmp_path: Path, root: Path) -> None:
    found = inspect(root / "samples/files/names/payload-in-data-pkl.pt")
    assert found.report.verdict == "dangerous"
    assert [e.path for e in found.tensors()] == ["w"]
    assert found.classes == {"os.system": 1}


@pytest.mark.parametrize(
    "name", ["bytes/truncated.pt", "bytes/lfs-pointer.pt", "bytes/login-page.bin", "bytes/empty.pt"]
)
def test_what_was_not_understood_has_no_entries(root: Path, name: str) -> None:
    found = inspect(root / "samples/files" / name)
    assert found.entries == ()
    assert found.report.verdict == "unjudged"
    assert json.loads(found.to_json())["first_finding"] == found.report.findings[0].message


def test_every_sample_can_be_inspected(root: Path) -> None:
    files = [path for path in (root / "samples/files").rglob("*") if path.is_file()]
    for path in files:
        found = inspect(path)
        assert found.report.verdict == safeload.scan(path).verdict
        text = found.to_json()
        assert text.isascii()
        assert json.loads(text)["summary"]["entries"] == len(found.entries)


def test_no_bytes_of_tensors_are_read() -> None:
    size = 1 << 20
    zipped = io.BytesIO()
    torch.save({f"w{n}": torch.zeros(size // 4) for n in range(4)}, zipped)
    safe = safetensors.torch.save({f"w{n}": torch.zeros(size // 4) for n in range(4)})
    for data in (zipped.getvalue(), safe):
        source = Reads(data, "counted")
        found = inspection(source, Policy.default(), Limits())
        assert len(found.tensors()) == 4
        assert sum(e.nbytes for e in found.tensors()) == 4 * size
        assert source.asked < size / 4


def test_a_file_larger_than_memory_is_fine(tmp_path: Path) -> None:
    # A hole of 64 GiB: reading it would take minutes.
    length = 64 << 30
    header = json.dumps({"w": {"dtype": "U8", "shape": [length], "data_offsets": [0, length]}}).encode()
    path = tmp_path / "hole.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        try:
            file.truncate(8 + len(header) + length)
        except OSError:
            pytest.skip("no sparse files here")
    found = inspect(path)
    assert (found.tensors()[0].nbytes, found.tensors()[0].offset) == (length, 8 + len(header))


def test_safetensors_with_a_tree_and_shards(tmp_path: Path) -> None:
    item = {"model": {"w": torch.ones(30), "v": torch.zeros(20)}, "epoch": 3}
    index = shard_making.nested(tmp_path, item)[0].parent / "model.safetensors.index.json"
    found = inspect(index)
    assert found.report.container == "safetensors-index"
    assert {e.path: e.shape for e in found.tensors()} == {"model.w": (30,), "model.v": (20,)}
    assert entry(found, "epoch").text == "3"
    assert not any(key.startswith("safeload.tree") for key in found.format)


def test_an_index_of_pickles_gives_names_and_files(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin.index.json"
    path.write_text(json.dumps({"metadata": {}, "weight_map": {"a.w": "pytorch_model-00001-of-00002.bin"}}))
    found = inspect(path)
    assert [(e.kind, e.path, e.text) for e in found.entries] == [("named", "a.w", "pytorch_model-00001-of-00002.bin")]
    assert found.report.verdict == "unjudged"


def test_what_doubles_stays_small() -> None:
    level: list[Any] = [torch.ones(1)]
    for _ in range(60):
        level = [level, level]
    found = of(level)
    assert len(found.entries) == 1 + 2 * 60 + 1
    assert len([e for e in found.entries if e.kind == "same"]) == 60
    assert len(found.tensors()) == 1


def test_cycles_end() -> None:
    item: dict[str, Any] = {"w": torch.ones(2)}
    item["me"] = item
    wrapped = torch.nn.Parameter(torch.ones(1))
    wrapped.owner = item  # type: ignore[attr-defined]
    item["p"] = wrapped
    found = of(item)
    assert [(e.path, e.kind, e.text) for e in found.entries][1:] == [
        ("w", "tensor", ""),
        ("me", "same", ""),
        ("p", "tensor", ""),
        ("p.owner", "same", ""),
    ]


def test_more_places_than_the_limit_are_cut_and_said() -> None:
    data = pickle.dumps({str(n): [n, {}] for n in range(1000)})
    found = inspect(data, limits=Limits(names=100))
    assert not found.complete
    assert len(found.entries) == 100
    assert json.loads(found.to_json())["summary"]["complete"] is False


def test_two_places_of_one_name_stay_apart() -> None:
    found = of({"a.b": torch.ones(1), "a": {"b": torch.zeros(2)}})
    assert {e.path: e.shape for e in found.tensors()} == {"a.b": (1,), "a.b~2": (2,)}


def test_torch_is_not_imported(root: Path) -> None:
    import subprocess

    path = root / "samples/files/benign/checkpoint.pt"
    code = (
        "import sys, safeload; safeload.inspect(sys.argv[1]); safeload.diff(sys.argv[1], sys.argv[1])\n"
        "print([m for m in ('torch', 'numpy', 'safetensors', 'click', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
