"""trust=: what a file may not do to a trusted class, and what no caller can trust."""

from __future__ import annotations

import abc
import enum
import functools
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from safeload.document.record import Record
from safeload.errors import UnsafeCheckpoint, UsageError
from safeload.loading.trust import Trust
from tests.modules.graphs import document_root
from tests.modules.models import Net, Settings

HERE = __name__


class Plain:
    """A class with a method, a property, a cached property and data."""

    size = 3
    kind = dict

    def method(self) -> int:
        return 1

    @property
    def area(self) -> int:
        return 9

    @functools.cached_property
    def cost(self) -> int:
        return 4

    @staticmethod
    def helper() -> None: ...


class Restored:
    """A class with a way of its own to take its state."""

    def __setstate__(self, state: object) -> None:
        raise AssertionError("ran")


class RestoredNet(nn.Linear):
    """... and a module with one."""

    def __setstate__(self, state: Any) -> None:
        raise AssertionError("ran")


def rebuilt(cls: type, state: object, args: tuple[Any, ...] | None = (), **parts: Any) -> Any:
    """What trust makes of a record of `cls`, or of its torch class."""
    trust = Trust([cls])
    record = Record(cls.__module__, cls.__qualname__, args, state=state, **parts)
    made = trust.shell(record)
    if made is None:
        return None
    trust.finish(made, record)
    trust.settle()
    return made


def module_state(**more: Any) -> dict[str, Any]:
    return {"_parameters": {}, "_buffers": {}, "_modules": {}, **more}


def test_plain_attributes_are_set() -> None:
    made = rebuilt(Plain, {"size": 5, "cost": 8, "_private": [1]})
    assert (type(made), made.size, made.cost, made._private, made.area) == (Plain, 5, 8, [1], 9)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"__class__": 1}, "belongs to the class"),
        ({"__dict__": {}}, "belongs to the class"),
        ({"__call__": 1}, "belongs to the class"),
        ({"__x": 1}, "belongs to the class"),
        ({"method": 1}, "belongs to the class"),
        ({"area": 1}, "belongs to the class"),
        ({"helper": 1}, "belongs to the class"),
        ({"kind": 1}, "belongs to the class"),
        ({"a b": 1}, "no identifier"),
        ({"": 1}, "no identifier"),
        ({1: 1}, "no identifier"),
        ([1], "list as its state"),
        (({}, {"slot": 1}), "tuple as its state"),
        (Record("p", "State", ()), "Record as its state"),
    ],
)
def test_states_that_reach_further_than_data(state: object, message: str) -> None:
    with pytest.raises(UnsafeCheckpoint, match=message):
        rebuilt(Plain, state)


@pytest.mark.parametrize(
    "parts",
    [{"args": (1,)}, {"args": ([],)}, {"kwargs": {"a": 1}}, {"items": [1]}, {"items": []}],
)
def test_calls_are_never_made(parts: dict[str, Any]) -> None:
    with pytest.raises(UnsafeCheckpoint, match=r"never calls|items"):
        rebuilt(Plain, {}, **parts)


def test_a_reference_to_a_class_stays_a_record() -> None:
    assert rebuilt(Plain, None, args=None) is None


def test_a_function_that_is_called_is_refused() -> None:
    trust = Trust("torch.nn")
    assert trust.shell(Record("torch.nn.functional", "relu")) is nn.functional.relu
    with pytest.raises(UnsafeCheckpoint, match="never calls"):
        trust.shell(Record("torch.nn.functional", "relu", (torch.ones(1),)))


@pytest.mark.parametrize("cls", [Restored, RestoredNet])
def test_setstate_is_never_run(cls: type) -> None:
    with pytest.raises(UnsafeCheckpoint, match=rf"{cls.__qualname__}\.__setstate__, which is never run"):
        rebuilt(cls, module_state())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"forward": Record("p", "f")}, "sets 'forward'"),
        ({"_call_impl": nn.ReLU()}, "sets '_call_impl'"),
        ({"_compiled_call_impl": nn.ReLU()}, "sets '_compiled_call_impl'"),
        ({"__call__": nn.ReLU()}, "sets '__call__'"),
        ({"_forward_hooks": {0: Record("p", "hook")}}, "_forward_hooks .* hooks are code"),
        ({"_forward_pre_hooks": {0: nn.ReLU()}}, "hooks are code"),
        ({"_backward_hooks": {0: nn.functional.relu}}, "hooks are code"),
        ({"_state_dict_hooks": {0: print}}, "hooks are code"),
        ({"_load_state_dict_post_hooks": {0: nn.ReLU()}}, "hooks are code"),
        ({"_forward_hooks": [1]}, "is no dict"),
        ({"_forward_hooks": None}, "is no dict"),
        ({"_parameters": {"w": 1}}, "w in _parameters of .* is no tensor"),
        ({"_parameters": {1: torch.ones(1)}}, "is no tensor"),
        ({"_buffers": {"b": Record("p", "T", ())}}, "a record of p.T"),
        ({"_modules": {"c": print}}, "c in _modules of .* is no module"),
        ({"_modules": {"c": Record("p", "Child", ())}}, "a record of p.Child as c, which is not trusted"),
        ({"_modules": None}, "has no _modules"),
        ({"_parameters": [1]}, "has no _parameters"),
        ({"_non_persistent_buffers_set": ["a"]}, "no set of names"),
    ],
)
def test_modules_that_reach_further_than_data(more: dict[str, Any], message: str) -> None:
    with pytest.raises(UnsafeCheckpoint, match=message):
        rebuilt(Net, module_state(**more))


def hooked(record: Record) -> nn.Module:
    """A module whose hook is `record`, rebuilt."""
    trust = Trust("torch.nn")
    hook = trust.shell(record)
    trust.finish(hook, record)
    weights = {"weight_g": nn.Parameter(torch.ones(1)), "forward_g": nn.Parameter(torch.ones(1))}
    state = module_state(_parameters=weights, _forward_pre_hooks={0: hook})
    module = Record("torch.nn.modules.linear", "Linear", (), state=state)
    made = trust.shell(module)
    trust.finish(made, module)
    trust.settle()
    return made


def weight_norm(**state: object) -> Record:
    return Record("torch.nn.utils.weight_norm", "WeightNorm", (), state=state)


def test_the_hook_of_weight_norm_is_rebuilt() -> None:
    made = hooked(weight_norm(name="weight", dim=0))
    assert type(made._forward_pre_hooks[0]).__qualname__ == "WeightNorm"


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"name": "other", "dim": 0}, "no weights of"),
        ({"name": "forward", "dim": 0}, "no weights of"),
        ({"name": "__class__", "dim": 0}, "no weights of"),
        ({"name": 1, "dim": 0}, "other attributes"),
        ({"name": "weight", "dim": Record("p", "x")}, "other attributes"),
        ({"name": "weight", "dim": 0, "compute_weight": 1}, "other attributes"),
        ({"name": "weight"}, "other attributes"),
    ],
)
def test_hostile_weight_norms(state: dict[str, object], message: str) -> None:
    with pytest.raises(UnsafeCheckpoint, match=message):
        hooked(weight_norm(**state))


@pytest.mark.parametrize(
    "state", [{"hook": print, "with_module": False}, {"hook": Record("p", "f"), "with_module": False}, {}]
)
def test_hostile_wrapped_hooks(state: dict[str, object]) -> None:
    with pytest.raises(UnsafeCheckpoint, match="other attributes"):
        hooked(Record("torch.nn.modules.module", "_WrappedHook", (), state=state))


def test_hooks_on_the_wrong_list() -> None:
    trust = Trust("torch.nn")
    hook_record = weight_norm(name="weight", dim=0)
    hook = trust.shell(hook_record)
    trust.finish(hook, hook_record)
    module = Record("torch.nn.modules.linear", "Linear", (), state=module_state(_forward_hooks={0: hook}))
    made = trust.shell(module)
    trust.finish(made, module)
    with pytest.raises(UnsafeCheckpoint, match="hooks are code"):
        trust.settle()


@pytest.mark.parametrize(
    "state",
    [
        {"_all_weights": None, "num_layers": 10**9},
        {"_all_weights": None, "num_layers": -1},
        {"_all_weights": [["w"]], "_flat_weights_names": [1]},
        {"_all_weights": [["w"]], "_flat_weights": [1]},
        {"_all_weights": [["w"]], "_flat_weights": None},
    ],
)
def test_hostile_recurrent_layers(state: dict[str, Any]) -> None:
    with pytest.raises(UnsafeCheckpoint, match="recurrent layer"):
        rebuilt(nn.LSTM, module_state(**state))


def test_unhashable_and_odd_activations_stay_data() -> None:
    made = rebuilt(nn.TransformerEncoderLayer, module_state(activation={}))
    assert (made.activation, made.activation_relu_or_gelu) == ({}, 0)


class Slotted:
    """Attributes in slots."""

    __slots__ = ("a",)


class Meta(type):
    """A metaclass of a project."""


class Colour(enum.Enum):
    """An enum."""

    RED = 1


class Abstract(abc.ABC):
    """An abstract class."""

    @abc.abstractmethod
    def f(self) -> None: ...


class Concrete(Abstract):
    """Not abstract any more."""

    def f(self) -> None: ...


class Pair(NamedTuple):
    """A tuple."""

    a: int


class MyRandom(random.Random):
    """Derives from C."""


@dataclass(slots=True)
class Packed:
    """A dataclass in slots."""

    a: int


class WithMeta(metaclass=Meta):
    """Made by another metaclass."""


class MyDict(dict):  # type: ignore[type-arg]
    """Derives from a builtin."""


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (int, "written in C"),
        (object, "dict"),
        (Slotted, "slots"),
        (Packed, "slots"),
        (WithMeta, "metaclass"),
        (Colour, "metaclass"),
        (Abstract, "abstract"),
        (Pair, "written in C|slots"),
        (MyRandom, "written in C"),
        (MyDict, "written in C"),
        (ValueError, "written in C"),
        (functools.partial, "C|dangerous|call"),
        (torch.Tensor, "metaclass|C"),
        (subprocess.Popen, "cannot name"),
        ("subprocess.Popen", "cannot name"),
        ("os.system", "only classes"),
        ("torch.nn.functional.relu", "only classes"),
        ("torch.nn.NoSuchLayer", "not there"),
        ("no_such_package.Net", "no module named 'no_such_package'"),
        ("tests.no_such_module.Net", "not there|no module"),
        ("Net", "no dotted name"),
        ("a..b", "no dotted name"),
        ("torch.nn.modules", "only classes"),
        (3, "takes classes"),
        (nn.Linear(1, 1), "takes classes"),
    ],
)
def test_what_no_caller_can_trust(cls: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Trust([cls])


def test_local_classes_cannot_be_named() -> None:
    class Local: ...

    with pytest.raises(UsageError, match="inside a function"):
        Trust([Local])


@pytest.mark.parametrize("cls", [Concrete, Settings, Net, Plain])
def test_what_can_be_trusted(cls: type) -> None:
    Trust(cls)


def test_an_import_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_models.py").write_text("import no_such_thing\n")
    (tmp_path / "raising_models.py").write_text("raise RuntimeError('no')\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="no_such_thing"):
        Trust(["broken_models.Net"])
    with pytest.raises(UsageError, match="RuntimeError: no"):
        Trust(["raising_models.Net"])


def test_names_of_a_file_are_never_imported() -> None:
    trust = Trust([Plain])
    assert trust.shell(Record("antigravity", "Net", ())) is None
    assert "antigravity" not in __import__("sys").modules


def test_nothing_is_trusted_by_default() -> None:
    trust = Trust()
    record = document_root(Net()).value
    assert trust.shell(record) is None
    assert not trust.covers("torch.nn.modules.linear.Linear")
    assert not trust.covers("torch.nn.functional.relu")
