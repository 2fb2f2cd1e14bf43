"""A lazy layer of torch holds two bound methods of itself: the one `getattr` of an object that is not dangerous."""

from __future__ import annotations

import io

import pytest
import torch

import safeload
from samples.assemble import Code, build, call, get, name, new, pickle, put, value

GETATTR = name("builtins", "getattr")
LAYER = name("torch.nn.modules.linear", "LazyLinear")


def with_hook(owner: Code, attribute: str) -> bytes:
    """An object whose state holds `getattr(owner, attribute)`."""
    return pickle(build(Code(put(owner, 1)), {"hook": call(GETATTR, get(1), attribute)}))


@pytest.mark.parametrize("layer", [torch.nn.LazyLinear(3), torch.nn.LazyConv2d(2, 3), torch.nn.LazyBatchNorm1d()])
def test_a_saved_lazy_layer_is_unvetted(layer: torch.nn.Module) -> None:
    out = io.BytesIO()
    torch.save(layer, out)
    report = safeload.scan(out.getvalue())
    assert report.verdict == "unvetted"
    assert "reaches-attributes" not in {finding.rule for finding in report.findings}
    out.seek(0)
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.load(out)


def test_the_hooks_of_an_object_made_here() -> None:
    assert safeload.scan(with_hook(new(LAYER), "_infer_parameters")).verdict == "unvetted"


@pytest.mark.parametrize(
    ("owner", "attribute"),
    [
        (new(LAYER), "_modules"),
        (new(LAYER), "__class__"),
        (new(LAYER), "forward"),
        (new(LAYER, 1), "_infer_parameters"),
        (call(LAYER), "_infer_parameters"),
        (call(GETATTR, new(LAYER), "_infer_parameters"), "_infer_parameters"),
        (new(name("collections", "OrderedDict")), "_infer_parameters"),
        (new(name("os", "system")), "_infer_parameters"),
        (LAYER, "_infer_parameters"),
    ],
    ids=range(9),
)
def test_nothing_else_is(owner: Code, attribute: str) -> None:
    assert safeload.scan(pickle(call(GETATTR, owner, attribute))).verdict == "dangerous"


def test_the_result_is_never_called() -> None:
    hook = call(GETATTR, new(LAYER), "_infer_parameters")
    report = safeload.scan(pickle(call(hook, value(1))))
    assert report.verdict == "dangerous"
    assert "call-of-result" in {finding.rule for finding in report.findings}
