"""Names: chosen, stripped, renamed; and every way in which they can go wrong, with nothing left behind."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import safeload
from tests.converting.making import left, saved


def parallel() -> OrderedDict[str, torch.Tensor]:
    model = torch.nn.DataParallel(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)))
    state: OrderedDict[str, torch.Tensor] = model.state_dict()  # type: ignore[assignment]
    return state


def test_a_prefix_is_taken_off_names_and_metadata(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", parallel())
    safeload.convert(path, tmp_path / "x.safetensors", strip_prefix="module.")
    safeload.verify(path, tmp_path / "x.safetensors")
    found = safeload.load(tmp_path / "x.safetensors")
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    assert list(found) == list(model.state_dict())
    assert found._metadata == model.state_dict()._metadata
    model.load_state_dict(found)


def test_a_model_out_of_a_training_checkpoint(tmp_path: Path) -> None:
    state = {"state_dict": parallel(), "epoch": 3, "optimizer": {"state": {0: {"m": torch.ones(1)}}}}
    path = saved(tmp_path / "x.pth", state)
    done = safeload.convert(
        path, tmp_path / "x.safetensors", keys=["state_dict.*"], strip_prefix="state_dict.module.",
        rename={"0.weight": "first.weight"},
    )  # fmt: skip
    safeload.verify(path, tmp_path / "x.safetensors")
    assert {d.name for d in done.dropped if d.what == "tensor"} == {"optimizer.state.0.m"}
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert {"first.weight", "0.bias", "1.running_mean"} < set(found)
    assert torch.equal(found["first.weight"], state["state_dict"]["module.0.weight"])
    assert "1" in safeload.load(tmp_path / "x.safetensors")._metadata


ONE = torch.ones(2)
BAD: dict[str, tuple[Any, dict[str, Any], str]] = {
    "one place has not the prefix": ({"module.a": ONE, "b": ONE}, {"strip_prefix": "module."}, "1 of 2 names"),
    "the prefix is all of it": ({"module.": ONE}, {"strip_prefix": "module."}, "nothing would be left"),
    "renamed onto another": ({"a": ONE, "b": ONE}, {"rename": {"a": "b"}}, "both be called 'b'"),
    "nothing to rename": ({"a": ONE}, {"rename": {"x": "b"}}, "no tensor 'x'"),
    "no such key": ({"a": ONE}, {"keys": ("z*",)}, "no tensor matches"),
    "two paths of one name": ({"a.b": ONE, "a": {"b": ONE}}, {}, "two places of the file have the name 'a.b'"),
    "int and text alike": ({1: ONE, "1": ONE}, {}, "two places of the file have the name '1'"),
    "a key that is a tuple": ({(1, 2): ONE}, {}, "only text and whole numbers"),
    "a key that is None": ({"x": {None: ONE}}, {}, "only text and whole numbers"),
    "a key that is a bool": ({True: ONE}, {}, "only text and whole numbers"),
    "half a surrogate pair": ({"\ud800": ONE}, {}, "UTF-8"),
    "the format's own key": ({"__metadata__": ONE}, {}, "rename"),
    "a name that a part needs": ({"c": ONE.to(torch.complex128), "c.view_as_real": ONE}, {}, "two tensors"),
    "our own metadata": ({"a": ONE}, {"metadata": {"safeload.tree": "x"}}, "meaning of its own"),
    "a header over the limit": ({"a" * 5000: ONE}, {"limits": safeload.Limits(header_bytes=4000)}, "the header would"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_names_leave_nothing(case: str, tmp_path: Path) -> None:
    state, options, message = BAD[case]
    path = saved(tmp_path / "x.pth", state)
    with pytest.raises((safeload.NotConvertible, safeload.UsageError), match=message):
        safeload.convert(path, tmp_path / "x.safetensors", **options)
    assert left(tmp_path) == ["x.pth"]


@pytest.mark.parametrize(
    "options",
    [{"dtype": "int8"}, {"allow": "all"}, {"keys": "a"}, {"rename": {1: "a"}}, {"metadata": {"a": 1}}, {"nonsense": 1}],
)
def test_options_without_a_meaning(options: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises((safeload.UsageError, TypeError)):
        safeload.convert(saved(tmp_path / "x.pth", {"a": ONE}), tmp_path / "x.safetensors", **options)
