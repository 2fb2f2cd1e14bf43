"""unvetted="record": what stands for objects whose class is never imported."""

from __future__ import annotations

import copy
import enum
import io
import pickle
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

import safeload
from samples.assemble import ECHO, Code, build, call, name, new, tensor, value
from samples.assemble import pickle as stream
from samples.containers import torchscript
from samples.files_of_torch import zip_of
from tests.loading.test_equal import saved
from tests.vetted.spelled import BY_VALUE

GONE = "a_project_that_is_gone"


@pytest.fixture
def gone() -> Iterator[ModuleType]:
    """A module to pickle classes of, and to have lost."""
    module = ModuleType(GONE)
    sys.modules[GONE] = module
    yield module
    sys.modules.pop(GONE, None)


def owned(module: ModuleType, cls: type) -> type:
    """`cls`, as if that module had defined it."""
    cls.__module__, cls.__qualname__ = GONE, cls.__name__
    setattr(module, cls.__name__, cls)
    return cls


def dumped(item: Any, protocol: int = 2) -> bytes:
    """The pickle of `item`; its module is lost afterwards."""
    data = pickle.dumps(item, protocol)
    sys.modules.pop(GONE, None)
    return data


def record(data: bytes) -> Any:
    with pytest.raises(safeload.UnsafeCheckpoint):
        safeload.load(data)
    got = safeload.load(data, unvetted="record")
    assert GONE not in sys.modules
    return got


@pytest.mark.parametrize("protocol", range(6))
def test_an_object_with_a_dict(protocol: int, gone: ModuleType) -> None:
    class Config:
        pass

    item: Any = owned(gone, Config)()
    item.lr, item.state, item.me = 0.1, "shadowed", item
    got = record(dumped([item, item], protocol))
    assert got[0] is got[1]
    assert isinstance(got[0], safeload.Record)
    assert (got[0].module, got[0].qualname) == (GONE, "Config")
    assert got[0].lr == 0.1
    # A field wins over an entry of the state with its name.
    assert got[0].state["state"] == "shadowed"
    assert got[0].state["me"] is got[0]
    assert "lr" in dir(got[0])
    with pytest.raises(AttributeError, match="has no 'missing'"):
        got[0].missing  # noqa: B018


def test_slots_and_arguments(gone: ModuleType) -> None:
    class Slotted:
        __slots__ = ("a", "b")

    item: Any = owned(gone, Slotted)()
    item.a, item.b = 1, [2]
    got = record(dumped(item))
    assert got.state == (None, {"a": 1, "b": [2]})
    assert (got.a, got.b, got.args) == (1, [2], ())

    class Point(tuple):
        pass

    owned(sys.modules.setdefault(GONE, gone), Point)  # type: ignore[func-returns-value]
    got = record(dumped(Point((1, 2))))
    assert (got.args, got.state) == (((1, 2),), None)


def test_subclasses_of_list_and_dict_keep_their_items(gone: ModuleType) -> None:
    class Things(list):
        pass

    class Table(dict):
        pass

    things, table = owned(gone, Things)([1, torch.ones(2)]), owned(gone, Table)(a=1, b=[2])
    things.note = "x"
    data = saved([things, table])
    del sys.modules[GONE]
    got = record(data)
    assert got[0].items[0] == 1
    assert got[0].items[1].tolist() == [1.0, 1.0]
    assert got[0].note == "x"
    assert got[1].items == [("a", 1), ("b", [2])]


def test_enums(gone: ModuleType) -> None:
    class Color(enum.Enum):
        RED = 3

    owned(gone, Color)
    got = record(dumped(Color.RED))
    assert (got.qualname, got.args) == ("Color", (3,) if BY_VALUE else ("RED",))
    looked_up = stream(call(name("builtins", "getattr"), name(GONE, "Color"), "RED"))
    got = record(looked_up)
    assert (got.module, got.qualname, got.args) == (GONE, "Color", ("RED",))


def test_a_bare_class_and_a_function() -> None:
    got = record(stream([name(GONE, "Net"), name(GONE, "Net")]))
    assert (got[0].qualname, got[0].args) == ("Net", None)


def test_keyword_arguments() -> None:
    made = name(GONE, "Net") + value((1,)) + value({"width": 2}) + b"\x92"
    got = record(b"\x80\x04" + made + b".")
    assert (got.args, got.kwargs) == ((1,), {"width": 2})


def test_a_whole_module_gives_every_tensor() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    got = record(saved(net))
    layer = got._modules["0"]
    assert layer.qualname == "Linear"
    assert layer.in_features == 2
    assert torch.equal(layer._parameters["weight"], net[0].weight)
    assert isinstance(layer._parameters["weight"], torch.nn.Parameter)


def test_readable_and_bounded() -> None:
    state = {f"name{i}" + "x" * 1000: i for i in range(10_000)}
    got = record(stream(build(new(name(GONE, "\u20ac" + "m" * 900)), state)))
    assert len(repr(got)) < 1000
    assert repr(got).isascii()
    short = record(stream(build(new(name(GONE, "Net"), 1), {"lr": 0.5})))
    assert repr(short) == f"<Record of {GONE}.Net: 1 args; state: lr>"


@pytest.mark.parametrize("act", [pickle.dumps, copy.copy, copy.deepcopy, lambda r: torch.save(r, io.BytesIO())])
def test_never_pickled_nor_copied(act: Any) -> None:
    got = record(stream(new(name(GONE, "Net"))))
    with pytest.raises(safeload.UsageError, match="cannot be pickled"):
        act(got)


def test_nothing_of_the_file_answers_a_protocol() -> None:
    hostile = dict.fromkeys(("__len__", "__array__", "__iter__", "__call__", "__class__", "__reduce__"), 1)
    got = record(stream(build(new(name(GONE, "Net")), hostile)))
    assert type(got) is safeload.Record
    assert not callable(got)
    assert not hasattr(got, "__len__")
    assert not hasattr(got, "__array__")
    assert got.state == hostile


def test_torchscript_gives_its_tensors() -> None:
    item = build(new(name("__torch__", "Net")), {"w": tensor(), "training": False})
    data = torchscript(**{"data.pkl": stream(item), "data/0": b"\0\0\x80\x3f" * 4})
    got = record(data)
    assert got.w.tolist() == [1.0] * 4


@pytest.mark.parametrize("hostile", [ECHO, Code(name("builtins", "eval") + b""), call(name("os", "getcwd"))])
def test_dangerous_is_never_a_record(hostile: Code) -> None:
    with pytest.raises(safeload.UnsafeCheckpoint) as caught:
        safeload.load(zip_of({"a": hostile}).build(), unvetted="record")
    assert caught.value.report.verdict == "dangerous"


def test_unjudged_is_never_a_record() -> None:
    with pytest.raises(safeload.UnsafeCheckpoint) as caught:
        safeload.load(saved(torch.nn.Linear(1, 1))[:-40], unvetted="record")
    assert caught.value.report.verdict in ("unjudged", "dangerous")
