"""What converts, what does not, and what of a file that is not clean is left out and listed."""

from __future__ import annotations

import collections
import fractions
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch

import safeload
from tests.converting.making import left, saved

pytestmark = pytest.mark.filterwarnings("ignore")


class Config:
    """Stands for a project's own class."""

    def __init__(self) -> None:
        self.width = 4
        self.mask = torch.ones(3)


class Attack:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("touch /tmp/safeload-was-here",)


class Net(torch.nn.Module):
    """Stands for a model of a project."""

    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
        self.head = torch.nn.Linear(4, 3, bias=False)


def state() -> dict[str, Any]:
    return {"w": torch.randn(4, 3), "epoch": 3}


def test_unvetted_needs_a_word(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {**state(), "config": Config(), "list": [Config()]})
    with pytest.raises(safeload.UnsafeCheckpoint, match="--allow unvetted") as caught:
        safeload.convert(path, tmp_path / "x.safetensors")
    assert caught.value.report.verdict == "unvetted"
    assert left(tmp_path) == ["x.pth"]
    done = safeload.convert(path, tmp_path / "x.safetensors", allow="unvetted")
    safeload.verify(path, tmp_path / "x.safetensors")
    objects = [d for d in done.dropped if d.what == "object"]
    assert [(d.name.rpartition(".")[2], d.place) for d in objects] == [("Config", "config"), ("Config", "list.0")]
    assert all(type(d.offset) is int for d in objects)
    assert set(safetensors.torch.load_file(tmp_path / "x.safetensors")) == {"w", "config.mask", "list.0.mask"}
    found = safeload.load(tmp_path / "x.safetensors", unvetted="record")
    assert found["epoch"] == 3


def test_disarm_takes_the_tensors_and_lists_every_call(tmp_path: Path) -> None:
    item = {**state(), "a": Attack(), "deep": collections.OrderedDict(b=Attack())}
    path = saved(tmp_path / "x.pth", item)
    out = tmp_path / "x.safetensors"
    for options in ({}, {"allow": "unvetted"}):
        with pytest.raises(safeload.UnsafeCheckpoint, match="--disarm"):
            safeload.convert(path, out, **options)
    done = safeload.convert(path, out, disarm=True, manifest=tmp_path / "m.json")
    assert not Path("/tmp/safeload-was-here").exists()
    calls = [d for d in done.dropped if d.what == "call"]
    assert [(d.name, d.member, "touch" in d.reason) for d in calls] == [("posix.system", "x/data.pkl", True)] * 2
    assert len({d.offset for d in calls}) == 2
    with safetensors.safe_open(out, "pt") as f:
        assert f.metadata()["safeload.disarmed"].startswith("taken out of a dangerous file")
    assert torch.equal(safetensors.torch.load_file(out)["w"], item["w"])
    safeload.verify(path, out)
    manifest = json.loads((tmp_path / "m.json").read_text())
    assert [entry["what"] for entry in manifest["dropped"]].count("call") == 2
    assert manifest["source"]["verdict"] == "dangerous"


def test_disarm_of_a_clean_file_marks_nothing(tmp_path: Path) -> None:
    safeload.convert(saved(tmp_path / "x.pth", state()), tmp_path / "x.safetensors", disarm=True)
    with safetensors.safe_open(tmp_path / "x.safetensors", "pt") as f:
        assert "safeload.disarmed" not in f.metadata()


@pytest.mark.parametrize("options", [{}, {"allow": "unvetted"}, {"disarm": True}, {"records": True}])
def test_unjudged_never_converts(options: dict[str, Any], tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", state())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.convert(path, tmp_path / "x.safetensors", **options)
    assert left(tmp_path) == ["x.pth"]


def test_dangerous_and_not_understood_never_converts(tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(Attack(), 2) + pickle.dumps([1] * 100, 2)[:-1])
    report = safeload.scan(path)
    assert report.verdict == "dangerous"
    assert any(f.verdict == "unjudged" for f in report.findings)
    with pytest.raises(safeload.UnsafeCheckpoint, match="could not be understood"):
        safeload.convert(path, tmp_path / "x.safetensors", disarm=True)


def test_a_list_that_is_not_complete_is_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", [Attack() for _ in range(5)])
    with pytest.raises(safeload.UnsafeCheckpoint, match="--limit findings"):
        safeload.convert(path, tmp_path / "x.safetensors", disarm=True, limits=safeload.Limits(findings=2))


def test_records_give_the_state_dict_of_a_pickled_module(tmp_path: Path) -> None:
    model = Net()
    path = saved(tmp_path / "x.pth", model)
    safeload.convert(path, tmp_path / "x.safetensors", records=True)
    safeload.verify(path, tmp_path / "x.safetensors")
    found = safeload.load(tmp_path / "x.safetensors")
    wanted = model.state_dict()
    assert list(found) == list(wanted)
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert found._metadata["body.1"] == wanted._metadata["body.1"]
    model.load_state_dict(found)


def test_records_inside_a_checkpoint(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"model": Net(), "epoch": 3})
    safeload.convert(path, tmp_path / "x.safetensors", records=True)
    assert {"model.head.weight", "model.body.0.bias"} < set(safetensors.torch.load_file(tmp_path / "x.safetensors"))
    assert safeload.load(tmp_path / "x.safetensors")["epoch"] == 3
    other = saved(tmp_path / "y.pth", {"model": Net(), "config": Config()})
    with pytest.raises(safeload.NotConvertible, match="--allow unvetted"):
        safeload.convert(other, tmp_path / "y.safetensors", records=True)
    safeload.convert(other, tmp_path / "y.safetensors", records=True, allow="unvetted")


def test_records_of_what_is_no_module(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", {"w": torch.ones(2), "f": fractions.Fraction(1, 2)})
    with pytest.raises(safeload.UsageError, match="no module"):
        safeload.convert(path, tmp_path / "x.safetensors", records=True)
    assert left(tmp_path) == ["x.pth"]
