"""`safeload.save`: what comes back from `safeload.load`, and what is refused before anything is written."""

from __future__ import annotations

import collections
import datetime
import os
import pathlib
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import safeload
from safeload import saving
from safeload.errors import OutputError, UnsafeCheckpoint, UsageError
from tests.converting.making import left


class Mine:
    """A class that no table knows."""

    def __init__(self) -> None:
        self.x = torch.ones(2)


def again(value: Any, tmp_path: Path) -> Any:
    path = tmp_path / "saved.safetensors"
    safeload.save(value, path)
    return safeload.load(path)


BASE = torch.arange(36.0).reshape(6, 6)

TENSORS = {
    "float32": torch.randn(3, 4),
    "bfloat16": torch.randn(3).bfloat16(),
    "float8": torch.randn(4).to(torch.float8_e4m3fn),
    "uint16": torch.tensor([1, 65535], dtype=torch.uint16),
    "bool": torch.tensor([True, False]),
    "complex64": torch.tensor([1 + 2j]),
    "complex128": torch.tensor([1 - 2j], dtype=torch.complex128),
    "scalar": torch.tensor(7),
    "empty": torch.empty(0, 3),
    "view": BASE[1:3, 2:5],
    "transposed": BASE.t(),
    "requires grad": torch.ones(2, requires_grad=True),
    "parameter": torch.nn.Parameter(torch.ones(3), requires_grad=False),
    "sparse": torch.eye(3).to_sparse(),
}


@pytest.mark.parametrize("value", TENSORS.values(), ids=TENSORS.keys())
def test_tensors(value: torch.Tensor, tmp_path: Path) -> None:
    if value.dtype == torch.uint16 and tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8):
        pytest.skip("an older torch cannot pickle it")
    found = again({"t": value}, tmp_path)["t"]
    assert type(found) is type(value)
    assert (found.dtype, found.shape, found.requires_grad) == (value.dtype, value.shape, value.requires_grad)
    if value.is_sparse:
        found, value = found.to_dense(), value.to_dense()
    found, value = (one.detach().contiguous().reshape(-1).view(torch.uint8) for one in (found, value))
    assert torch.equal(found, value)


PLAIN = {
    "numbers": [0, -1, 2**100, 1.5, float("inf"), True, None, 1j],
    "texts": ["", "é\n", "\ud800", b"\x00\xff", bytearray(b"x"), "x" * 2000],
    "containers": {"t": (1, (2,)), 3: "int key", (1, 2): "tuple key", "s": {1, 2}, "f": frozenset({3}), "e": []},
    "collections": [
        collections.OrderedDict(b=1, a=2), collections.defaultdict(list, {1: [2]}), collections.Counter("aab"),
        collections.deque([1, 2], 3),
    ],
    "stdlib": [datetime.datetime(2020, 1, 2, 3, 4), datetime.timedelta(5), pathlib.PurePosixPath("a/b")],
    "torch": [torch.Size([1, 2]), torch.float32, torch.device("cpu")],
}  # fmt: skip


@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN.keys())
def test_plain_data(value: Any, tmp_path: Path) -> None:
    found = again(value, tmp_path)
    assert found == value
    assert repr(found) == repr(value)


def test_numpy(tmp_path: Path) -> None:
    value = {"a": np.arange(6.0).reshape(2, 3), "f": np.asfortranarray(np.eye(3)), "s": np.float64(3), "i": np.int8(-1)}
    found = again(value, tmp_path)
    assert all(np.array_equal(found[key], value[key]) for key in value)
    assert [type(found[key]) for key in value] == [type(one) for one in value.values()]
    assert found["f"].flags.f_contiguous


def test_ties_views_and_cycles(tmp_path: Path) -> None:
    inner: list[Any] = [BASE]
    inner.append(inner)
    found = again({"a": BASE, "b": BASE, "row": BASE[2], "t": BASE.t(), "l": inner}, tmp_path)
    assert found["a"] is found["b"] is found["l"][0]
    assert found["l"][1] is found["l"]
    found["a"][2, 0] = 99
    assert found["row"][0] == found["t"][0, 2] == 99


@pytest.mark.slow
def test_a_training_run_resumes(tmp_path: Path) -> None:
    def run() -> tuple[torch.nn.Module, torch.optim.Optimizer, Any]:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        return model, optimizer, torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)

    def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer, scheduler: Any) -> float:
        optimizer.zero_grad()
        loss = model(torch.randn(16, 4)).pow(2).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()
        return loss.item()

    one = run()
    for _ in range(3):
        step(*one)
    state = {
        "model": one[0].state_dict(), "optimizer": one[1].state_dict(), "scheduler": one[2].state_dict(),
        "rng": torch.get_rng_state(), "epoch": 3,
    }  # fmt: skip
    safeload.save(state, tmp_path / "c.safetensors")
    expected = [step(*one) for _ in range(3)]
    two = run()
    found = safeload.load(tmp_path / "c.safetensors")
    for part, name in zip(two, ("model", "optimizer", "scheduler"), strict=True):
        part.load_state_dict(found[name])
    torch.set_rng_state(found["rng"])
    assert [step(*two) for _ in range(3)] == expected


def test_a_flat_state_dict_is_a_plain_safetensors_file(tmp_path: Path) -> None:
    state = torch.nn.Linear(3, 2).state_dict()
    path = tmp_path / "m.safetensors"
    safeload.save(state, path, {"git": "1f3a9c"})
    held = load_file(path)
    assert all(torch.equal(held[name], tensor) for name, tensor in state.items())
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert set(metadata) == {"format", "git", "safeload.tree"}
    assert (metadata["format"], metadata["git"]) == ("pt", "1f3a9c")
    assert safeload.scan(path).verdict == "clean"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


@pytest.mark.parametrize("metadata", [{"safeload.tree": "x"}, {"format": "np"}, {"a": 1}, {1: "a"}])
def test_metadata_that_is_refused(tmp_path: Path, metadata: Any) -> None:
    with pytest.raises(UsageError, match="metadata"):
        safeload.save({}, tmp_path / "m.safetensors", metadata)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": [1, Mine()]}, r"a\.1: an object of [\w.]*test_saving\.Mine"),
        (Mine(), r"the object itself: an object of [\w.]*test_saving\.Mine"),
        ({"run": os.system}, r"run: an object of posix\.system"),
        ({"c": {"f": print}}, r"c\.f: an object of builtins\.print"),
        ({"set": {Mine()}}, r"test_saving\.Mine"),
        ([torch.nn.Linear(2, 2)], r"0: an object of torch\.nn\.modules\.linear\.Linear"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="os.system has another name")
def test_what_is_no_vetted_data_is_refused_with_its_place(tmp_path: Path, value: Any, place: str) -> None:
    with pytest.raises(UnsafeCheckpoint, match=place) as caught:
        safeload.save(value, tmp_path / "x.safetensors")
    assert caught.value.report.verdict in ("unvetted", "dangerous")
    assert "Ways forward: save its parts in its place" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"a": {"cb": lambda: 1}}, r"obj\['a'\]\['cb'\] holds an object of builtins\.function"),
        ([0, (threading.Lock(),)], r"obj\[1\]\[0\] holds an object of _thread\.lock"),
    ],
)
def test_what_cannot_be_pickled_is_refused_with_its_place(tmp_path: Path, value: Any, place: str) -> None:
    with pytest.raises(UsageError, match=place):
        safeload.save(value, tmp_path / "x.safetensors")


def test_nesting_without_end(tmp_path: Path) -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UsageError, match="nested too deep"):
        safeload.save(deep, tmp_path / "x.safetensors")
    while deep:
        deep = deep[0]


def test_two_types_of_one_storage(tmp_path: Path) -> None:
    tensor = torch.ones(2)
    with pytest.raises(UsageError, match=r"share bytes, as torch\.float32 and as torch\.int32: save a clone"):
        safeload.save([tensor, tensor.view(torch.int32)], tmp_path / "x.safetensors")


def test_a_file_object_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file, pytest.raises(UsageError, match="must be a path"):
        safeload.save({}, file)  # type: ignore[arg-type]


def test_an_old_file_is_replaced_or_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    safeload.save({"a": torch.zeros(1)}, path)
    safeload.save({"a": torch.ones(1)}, path)
    assert safeload.load(path)["a"] == 1

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        safeload.save({"a": torch.zeros(1)}, path)
    assert load_file(path)["a"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]


def test_only_rank_0_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = torch.distributed
    monkeypatch.setattr(distributed, "is_available", lambda: True)
    monkeypatch.setattr(distributed, "is_initialized", lambda: True, raising=False)
    for rank, expected in ((1, False), (0, True)):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank, raising=False)
        safeload.save({"a": torch.zeros(1)}, tmp_path / "x.safetensors")
        assert (tmp_path / "x.safetensors").exists() is expected


def test_quantized_tensors(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = torch.quantize_per_tensor(torch.randn(4), 0.1, 3, torch.quint8)
        found = again(value, tmp_path)
    assert torch.equal(found.int_repr(), value.int_repr())
    assert (found.q_scale(), found.q_zero_point()) == (value.q_scale(), value.q_zero_point())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_tensors_on_a_device_come_back_to_it(tmp_path: Path) -> None:
    value = torch.randn(1000, 1000, device="cuda")
    found = again({"a": value, "b": value[3:5], "c": torch.ones(3)}, tmp_path)
    assert found["a"].device == value.device
    assert torch.equal(found["a"], value)
    assert torch.equal(found["b"], value[3:5])
    assert found["c"].device.type == "cpu"


def test_torch_is_not_loaded_to_name_it(root: Path) -> None:
    code = "import safeload, sys; 'save' in dir(safeload); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_storages_are_not_copied_into_the_pickle() -> None:
    held = saving._held({"a": torch.zeros(1_000_000)}, "x")
    assert held.container._end < 1000
    assert held.source.size >= 4_000_000


class _Fails:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __reduce__(self) -> Any:
        raise self._error


class _Hides(_Fails):
    @property
    def __dict__(self) -> Any:
        raise IndexError


class _Empty(dict[str, int]):
    def items(self) -> Any:
        raise IndexError


@pytest.mark.parametrize(
    "item", [_Fails(KeyError(1)), _Fails(OSError(1)), [_Fails(ZeroDivisionError())], [_Hides(KeyError(1))], _Empty(a=1)]
)
def test_what_methods_of_others_raise_is_said_as_ours(item: Any, tmp_path: Path) -> None:
    with pytest.raises(safeload.UsageError, match="was not saved"):
        safeload.save(item, tmp_path / "x.safetensors")
    assert left(tmp_path) == []
