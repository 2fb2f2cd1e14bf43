"""state_dict over graphs that no torch wrote: refused with our errors, in bounded time and memory."""

from __future__ import annotations

import time
from typing import Any

import pytest
from torch import nn

from safeload.document.cell import Cell
from safeload.document.record import Record
from safeload.errors import Malformed, UsageError
from safeload.modules import state_dict, walk
from tests.modules.test_walk import LEAF, node


def test_a_deep_chain_is_walked() -> None:
    top = node("p.N", parameters={"w": LEAF})
    for _ in range(3_000):
        top = node("p.N", c=top)
    (key,) = state_dict(top)
    assert key == "c." * 3_000 + "w"


def test_a_chain_of_endless_names_is_refused() -> None:
    top = node("p.N", parameters={"w": LEAF})
    for _ in range(40_000):
        top = node("p.N", c=top)
    with pytest.raises(Malformed, match="names"):
        state_dict(top)


@pytest.mark.parametrize("leaves", [{}, {"w": LEAF}, {"w": None}], ids=["empty", "tensor", "none"])
def test_doubling_is_bounded(monkeypatch: pytest.MonkeyPatch, leaves: dict[str, Any]) -> None:
    monkeypatch.setattr(walk, "MOST_ENTRIES", 100_000)
    top = node("p.N", parameters=leaves)
    for _ in range(64):
        top = node("p.N", a=top, b=top)
    started = time.monotonic()
    with pytest.raises(Malformed, match="100000 names"):
        state_dict(top)
    assert time.monotonic() - started < 10


def test_a_wide_module_used_often_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MOST_ENTRIES", 100_000)
    wide = node("p.N", parameters={f"p{i}": None for i in range(10_000)})
    with pytest.raises(Malformed):
        state_dict(node("p.N", **{f"c{i}": wide for i in range(10_000)}))


def test_a_cycle_is_found() -> None:
    top = node("p.N")
    top.state["_modules"]["child"] = node("p.N", again=top)
    with pytest.raises(Malformed, match=r"child\.again holds itself"):
        state_dict(top)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (node("p.N", parameters={"a.b": LEAF}), "'a.b', which no module"),
        (node("p.N", buffers={"": LEAF}), "'', which no module"),
        (node("p.N", **{"a.b": node("p.N")}), "'a.b', which no module"),
        (node("p.N", parameters={1: LEAF}), "no str"),
        (node("p.N", parameters={"w": LEAF}, buffers={"w": LEAF}), "a buffer named w"),
        (node("p.N", parameters={"w": 5}), "w should be a tensor and is int"),
        (node("p.N", parameters={"w": [LEAF]}), "w should be a tensor and is list"),
        (node("p.N", parameters={"w": Cell()}), "never judged"),
        (node("p.N", child=Record("p", "Thing", (), state={"x": 1})), "child should be a module and is p.Thing"),
        (node("p.N", child=[1]), "child should be a module and is builtins.list"),
        (node("p.N", child=Record("p", "Net")), "child should be a module"),
    ],
)
def test_what_torch_cannot_have_made(graph: Record, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        state_dict(graph)


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (node("torch.ao.nn.quantized.modules.linear.Linear"), "packed weights"),
        (Record("torch.ao.nn.quantized.modules.conv", "Conv2d", (), state=(1, 2)), "packed weights"),
        (node("p.N", q=Record("torch.nn.quantized.modules.conv", "Conv2d", (), state=(1,) * 15)), "at q .*packed"),
        (node("p.N", state={"_state_dict_hooks": {0: Record("p", "hook")}}), "hook p.hook"),
        (node("p.N", state={"_state_dict_pre_hooks": {0: Record("p", "hook")}}), "hook p.hook"),
        (
            node("torchmetrics.F1", state={"_defaults": {}, "_persistent": {"tp": True}}),
            "persistent states of a metric",
        ),
        (node("torch.distributed.fsdp.FullyShardedDataParallel"), "other processes"),
    ],
)
def test_what_is_computed_is_refused_by_name(graph: Record, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        state_dict(graph)


def test_metrics_without_persistent_states_are_walked() -> None:
    metric = node("torchmetrics.F1", state={"_defaults": {"tp": LEAF}, "_persistent": {"tp": False}, "tp": LEAF})
    assert list(state_dict(node("p.N", parameters={"w": LEAF}, metric=metric))) == ["w"]


def test_a_spectral_norm_without_a_name() -> None:
    hook = Record("torch.nn.utils.spectral_norm", "SpectralNormStateDictHook", (), state={"fn": LEAF})
    with pytest.raises(Malformed, match="spectral norm"):
        state_dict(node("p.N", state={"_state_dict_hooks": {0: hook}}))


class Extra(nn.Linear):
    """A real class with state of its own."""

    def get_extra_state(self) -> object:
        return 1


def test_real_classes_that_compute_are_refused() -> None:
    with pytest.raises(UsageError, match="get_extra_state of its own"):
        state_dict(nn.Sequential(Extra(1, 1)))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"epoch": 3, "model": node("p.N"), "ema": node("p.N")}, r"at \['model'\], \['ema'\]"),
        ({"epoch": 3, "state_dict": {"w": LEAF}}, r"at \['state_dict'\]"),
        ([1, node("p.N")], r"at \[1\]"),
        (Record("p", "Trainer", (), state={"net": node("p.N")}), r"record of p.Trainer .* at \.net"),
        ({"a\x1b": node("p.N")}, r"\['a\\x1b'\]"),
        ({"epoch": 3}, "holds none"),
        ({}, "holds none"),
        (None, "holds none"),
        (Record("p", "Net"), "record of p.Net is no module"),
    ],
)
def test_what_holds_no_module(value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        state_dict(value)
