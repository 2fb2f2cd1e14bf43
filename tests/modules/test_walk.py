"""state_dict over Documents: key by key what torch gives, for modules of every kind."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import nn

from safeload.document.document import Built, TensorSpec, resolve
from safeload.document.record import Record
from safeload.modules import state_dict
from tests.modules.graphs import document_root, spec
from tests.modules.models import CASES, MyNorm, Net, made

LEAF = TensorSpec(None, "float32", (2,), (1,))


def plain(metadata: Any) -> dict[str, Any]:
    return {name: {k: v for k, v in entry.items() if k != "inferred"} for name, entry in metadata.items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", [{}, {"zipped": False}, {"protocol": 4}], ids=["zip", "legacy", "protocol4"])
def test_like_torch(name: str, form: dict[str, Any]) -> None:
    module = made(name)
    expected = module.state_dict()
    found = state_dict(document_root(module, **form))
    assert type(found) is OrderedDict
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        leaf = spec(found[key])
        assert (leaf.shape, leaf.stride, f"torch.{leaf.dtype}") == (tensor.shape, tensor.stride(), str(tensor.dtype))
    assert list(found._metadata) == list(expected._metadata)  # type: ignore[attr-defined]
    assert plain(found._metadata) == dict(expected._metadata)  # type: ignore[attr-defined]


def test_classes_outside_torch_are_marked() -> None:
    metadata = state_dict(document_root(Net()))._metadata  # type: ignore[attr-defined]
    assert metadata[""] == {"version": 1, "inferred": True}
    assert metadata["norm"] == {"version": 2}
    assert state_dict(document_root(MyNorm(2)))._metadata[""] == {"version": 2, "inferred": True}  # type: ignore[attr-defined]


def test_ties_stay_ties() -> None:
    found = state_dict(document_root(made("tied")))
    assert found["embed.weight"] is found["out.weight"]
    assert found["block.weight"] is found["again.weight"]


@pytest.mark.filterwarnings("ignore")
def test_lazy_modules_that_were_used() -> None:
    module = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    module(torch.ones(2, 4))
    assert list(state_dict(document_root(module))) == list(module.state_dict())


def test_parametrized_modules() -> None:
    # Torch refuses to pickle them; a graph that another tool wrote is walked like any other.
    module = nn.utils.parametrizations.weight_norm(nn.Linear(2, 2))
    graph = record_of(module)
    assert graph.qualname == "ParametrizedLinear"
    assert list(state_dict(graph)) == list(module.state_dict())
    assert plain(state_dict(graph)._metadata) == dict(module.state_dict()._metadata)  # type: ignore[attr-defined]


def test_distributed_wrapper_keeps_its_prefix() -> None:
    inner = node("torch.nn.modules.linear.Linear", parameters={"weight": LEAF})
    assert list(state_dict(node("torch.nn.parallel.distributed.DistributedDataParallel", module=inner))) == [
        "module.weight"
    ]


def test_modules_of_old_torch() -> None:
    norm = Record(
        "torch.nn.modules.batchnorm", "BatchNorm2d", (),
        state={
            "_parameters": Built("collections.OrderedDict", (), {"weight": LEAF, "bias": None}),
            "_buffers": Built("collections.OrderedDict", (), {"running_mean": LEAF, "running_var": LEAF}),
            "_modules": Built("collections.OrderedDict", (), {}),
        },
    )  # fmt: skip
    found = state_dict(norm)
    assert list(found) == ["weight", "running_mean", "running_var"]
    # As version 1, so that load_state_dict adds the count of batches instead of missing it.
    assert found._metadata == {"": {"version": 1}}  # type: ignore[attr-defined]


def test_a_state_dict_is_given_back() -> None:
    given = nn.Linear(2, 2).state_dict()
    assert state_dict(given) is given
    assert list(state_dict(dict(given))) == ["weight", "bias"]
    from_document = state_dict(document_root(given))
    assert [spec(leaf).shape for leaf in from_document.values()] == [(2, 2), (2,)]
    assert from_document._metadata == {"": {"version": 1}}  # type: ignore[attr-defined]


def test_a_real_module() -> None:
    module = made("outer")
    found = state_dict(module)
    expected = module.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[key], expected[key]) and not found[key].requires_grad for key in expected)  # type: ignore[attr-defined]
    assert found._metadata == expected._metadata  # type: ignore[attr-defined]


def test_a_real_module_that_holds_a_record() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    module._modules["1"] = node("project.Head", parameters={"weight": LEAF})  # type: ignore[assignment]
    found = state_dict(module)
    assert list(found) == ["0.weight", "0.bias", "1.weight"]
    assert found._metadata["1"] == {"version": 1, "inferred": True}  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")
def test_uninitialized_parameters_stay() -> None:
    module = nn.LazyLinear(3)
    assert list(state_dict(module)) == ["weight", "bias"]
    assert state_dict(module)["weight"] is module.weight


def node(
    name: str, parameters: Any = (), buffers: Any = (), state: dict[str, Any] | None = None, **children: Any
) -> Record:
    """A record of a module, as a document would hold it."""
    module, _, qualname = name.rpartition(".")
    parts = {"_parameters": dict(parameters), "_buffers": dict(buffers), "_modules": children}
    return Record(module, qualname, (), state={**parts, **(state or {})})


def record_of(module: nn.Module) -> Record:
    """The record graph of a module, from its attributes."""
    held = dict(vars(module))
    held["_modules"] = {name: record_of(child) for name, child in module._modules.items() if child is not None}
    return Record(type(module).__module__, type(module).__qualname__, (), state=held)


def test_an_unknown_tensor_class_stays_a_record() -> None:
    strange = Record("torchao.dtypes", "AffineQuantizedTensor", (), state={})
    assert state_dict(node("p.Net", parameters={"w": strange}))["w"] is strange


def test_resolved_leaves() -> None:
    found = document_root(nn.Linear(1, 1))
    weight = resolve(found).state["_parameters"]["weight"]
    assert state_dict(found)["weight"] is resolve(weight)
