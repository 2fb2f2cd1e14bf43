"""trust=: modules as older versions of torch saved them come back as torch's own `__setstate__` makes them."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
import torch
from torch import nn

from safeload.document.record import Record
from safeload.loading.load import load
from safeload.loading.torch_nn.fills import ABSENT, DERIVED, HOOKS
from safeload.loading.trust import Trust
from tests.loading.test_trust import outputs
from tests.modules.graphs import saved
from tests.modules.models import CASES, made
from tests.modules.tables import module_classes

NEW_HOOKS = (
    "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs",
    "_state_dict_pre_hooks", "_load_state_dict_post_hooks", "_backward_pre_hooks", "_is_full_backward_hook",
    "_non_persistent_buffers_set",
)  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "newer"),
    [
        ("linear", ()),
        ("conv2d", ()),
        ("conv1d", ("padding_mode",)),
        ("avg-pool", ("padding", "ceil_mode", "count_include_pad")),
        ("attention-parts", ()),
        ("softmax", ()),
        ("lstm", ()),
        ("encoder-layer", ()),
        ("gru", ("proj_size",)),
    ],
)
def test_like_torchs_own_setstate(name: str, newer: tuple[str, ...]) -> None:
    module = made(name)
    for part in module.modules():
        for attribute in (*NEW_HOOKS, *newer):
            vars(part).pop(attribute, None)
    data = saved(module)
    rebuilt = load(data, trust="torch.nn")
    by_torch = torch.load(io.BytesIO(data), weights_only=False)
    for mine, theirs in zip(rebuilt.modules(), by_torch.modules(), strict=True):
        assert vars(mine).keys() >= vars(theirs).keys()
        for key, value in vars(theirs).items():
            assert type(vars(mine)[key]) is type(value)
    inputs = CASES[name].example()
    expected, found = outputs(by_torch, inputs), outputs(rebuilt, inputs)
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))


def _drop(*names: str) -> Callable[[nn.Module], None]:
    def drop(module: nn.Module) -> None:
        for name in names:
            assert name in vars(module)
            del vars(module)[name]

    return drop


def _without_count(module: nn.Module) -> None:
    del module._buffers["num_batches_tracked"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "age"),
    [
        ("conv2d", _drop("_reversed_padding_repeated_twice")),
        ("avg-pool", _drop("divisor_override")),
        ("gelu", _drop("approximate")),
        ("batch-norm-2d", _without_count),
        ("batch-norm-1d", _drop("track_running_stats")),
        ("embedding-bag", _drop("include_last_offset", "padding_idx")),
        ("cross-entropy", _drop("label_smoothing")),
        ("parameter-list", _drop("_size")),
        ("parameter-dict", _drop("_keys")),
        ("attention", _drop("kdim", "vdim", "_qkv_same_embed_dim")),
        ("decoder-layer", _drop("activation")),
    ],
)
def test_what_torch_forgot(name: str, age: Callable[[nn.Module], None]) -> None:
    module, old = made(name), made(name)
    age(old)
    if name == "gelu":
        module = nn.GELU()  # old ones knew no approximation
    rebuilt = load(saved(old), trust="torch.nn")
    if "parameter" in name:
        assert len(rebuilt) == len(module)
        return
    inputs = CASES[name].example()
    assert list(rebuilt.state_dict()) == list(module.state_dict())
    assert type(rebuilt) is type(module)
    if name != "decoder-layer":  # saved with norm_first, which old layers lack
        assert all(torch.equal(a, b) for a, b in zip(outputs(module, inputs), outputs(rebuilt, inputs), strict=True))


def test_a_recurrent_layer_of_torch_0_3() -> None:
    module = nn.GRU(3, 2, num_layers=2, bidirectional=True)
    old = nn.GRU(3, 2, num_layers=2, bidirectional=True)
    old.load_state_dict(module.state_dict())
    state = {k: v for k, v in vars(old).items() if k not in ("proj_size", "_flat_weights", "_flat_weights_names")}
    del state["_flat_weight_refs"], state["_all_weights"]
    state["all_weights"] = [[old.weight_ih_l0]]
    trust = Trust("torch.nn")
    record = Record("torch.nn.modules.rnn", "GRU", (), state=state)
    rebuilt = trust.shell(record)
    trust.finish(rebuilt, record)
    trust.settle()
    x = torch.randn(4, 1, 3)
    assert rebuilt._flat_weights_names == module._flat_weights_names
    assert torch.equal(rebuilt(x)[0], module(x)[0])


def test_losses_of_torch_0_4() -> None:
    for size_average, reduce, expected in ((True, True, "mean"), (False, True, "sum"), (None, False, "none")):
        loss = nn.MSELoss()
        del loss.reduction
        loss.size_average, loss.reduce = size_average, reduce
        assert load(saved(loss), trust="torch.nn").reduction == expected


def test_every_row_is_of_a_class_and_an_attribute_that_torch_has() -> None:
    known = module_classes()
    assert {name for name in (*ABSENT, *DERIVED) if name not in known} == set()
    held = vars(nn.Module())
    assert set(HOOKS) == {name for name in held if "_hooks" in name}
