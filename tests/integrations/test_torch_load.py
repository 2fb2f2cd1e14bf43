"""`safeload.protect()`: torch.load and its callers go through the gate, and everything comes back afterwards."""

from __future__ import annotations

import functools
import importlib
import inspect
import io
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import safeload
from safeload import restricted
from safeload.integrations import torch_load

# What torch before 2.6 says of its own default.
pytestmark = pytest.mark.filterwarnings("ignore:You are using `torch.load` with `weights_only=False`:FutureWarning")

TRUE_LOAD = torch.serialization.load
STATE = {"w": torch.arange(6.0).reshape(2, 3), "epoch": 3}


class Payload:
    """Writes a file when a real unpickler builds it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


class Own:
    """A class outside the table."""

    def __init__(self) -> None:
        self.weight = torch.ones(2)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    assert (torch.load, torch.serialization.load) == (TRUE_LOAD, TRUE_LOAD)
    torch_load._noted.clear()
    yield
    assert (torch.load, torch.serialization.load) == (TRUE_LOAD, TRUE_LOAD)
    assert torch_load._replaced == []


@pytest.fixture
def good(tmp_path: Path) -> Path:
    torch.save(STATE, tmp_path / "good.pt")
    return tmp_path / "good.pt"


@pytest.fixture(params=["zip", "legacy"])
def bad(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    torch.save(
        Payload(tmp_path / "ran"), tmp_path / "bad.pt", _use_new_zipfile_serialization=request.param == "zip"
    )  # fmt: skip
    return tmp_path / "bad.pt"


def same(loaded: Any) -> bool:
    return bool(torch.equal(loaded["w"], STATE["w"])) and loaded["epoch"] == 3  # type: ignore[arg-type]


def test_both_names_are_replaced_and_put_back() -> None:
    with safeload.protect() as protection:
        assert torch.load is torch.serialization.load
        assert torch.load is not TRUE_LOAD
        assert inspect.signature(torch.load) == inspect.signature(TRUE_LOAD)
        assert protection.active
    assert not protection.active
    protection = safeload.protect()
    assert torch.load is not TRUE_LOAD
    protection.undo()
    protection.undo()


def test_nothing_runs(bad: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for settings in ({}, {"unvetted": "record"}, {"engine": "torch"}):
        for arguments in ({}, {"weights_only": True}, {"weights_only": False}, {"mmap": True}):
            for variable in (None, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
                with monkeypatch.context() as patch, safeload.protect(**settings):  # type: ignore[arg-type]
                    if variable:
                        patch.setenv(variable, "1")
                    for load in (torch.load, torch.serialization.load):
                        with pytest.raises(pickle.UnpicklingError) as raised:
                            load(bad, **arguments)
                        assert isinstance(raised.value, safeload.UnsafeCheckpoint)
    assert not (bad.parent / "ran").exists()
    torch.load(bad, weights_only=False)
    assert (bad.parent / "ran").exists(), "the payload is real"


def test_what_callers_write(good: Path, tmp_path: Path) -> None:
    save_file({"w": STATE["w"]}, tmp_path / "m.safetensors")  # type: ignore[dict-item]
    np_path = tmp_path / "n.pt"
    torch.save({"scale": np.float64(2.5), "args": np.arange(3)}, np_path)
    with safeload.protect():
        assert same(torch.load(good))
        assert same(torch.load(str(good), "cpu"))
        assert same(torch.load(good, map_location="cpu", weights_only=True))
        assert same(torch.load(good, map_location="cpu", weights_only=True, mmap=True))
        assert same(torch.load(good, map_location=lambda storage, location: storage, weights_only=False))
        assert same(torch.load(good, map_location=torch.device("cpu"), encoding="latin1"))
        assert torch.load(good, map_location="meta", weights_only=True)["w"].device.type == "meta"
        assert same(torch.load(io.BytesIO(good.read_bytes()), weights_only=False))
        with good.open("rb") as file:
            assert same(torch.load(file))
        assert torch.equal(torch.load(tmp_path / "m.safetensors")["w"], STATE["w"])  # type: ignore[arg-type]
        assert torch.load(np_path, weights_only=False)["args"].tolist() == [0, 1, 2]
        with pytest.raises(safeload.UnsafeCheckpoint):
            torch.load(np_path, weights_only=True)
        with pytest.raises(FileNotFoundError):
            torch.load(tmp_path / "none.pt")
        with pytest.raises(ValueError, match="mmap"):
            torch.load(io.BytesIO(good.read_bytes()), mmap=True)
        with pytest.raises(TypeError, match="dill_option"):
            torch.load(good, dill_option=1)


def test_storages_are_read_unless_a_map_is_asked_for(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that saves over the file it loaded must not lose its tensors with the map."""
    with safeload.protect():
        loaded = torch.load(good)
        torch.save(loaded, good)
        assert same(loaded)
        assert same(torch.load(good))
        from safeload.loading.storages import TorchStorages

        maps: list[object] = []
        original = TorchStorages._map
        monkeypatch.setattr(TorchStorages, "_map", lambda self, source: maps.append(source) or original(self, source))
        torch.load(good)
        assert maps == []
        torch.load(good, mmap=True)
        assert len(maps) == 1


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="TorchScript is gone")
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_torchscript_is_refused_whatever_is_admitted(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), tmp_path / "s.pt")
    for unvetted in ("refuse", "record"):
        for arguments in ({}, {"weights_only": False}):
            with safeload.protect(unvetted), pytest.raises(safeload.UnsafeCheckpoint, match=r"TorchScript"):
                torch.load(tmp_path / "s.pt", **arguments)


def test_pickle_modules(good: Path, caplog: pytest.LogCaptureFixture) -> None:
    import _pickle

    with safeload.protect(), caplog.at_level(logging.INFO, "safeload"):
        for _ in range(2):
            assert same(torch.load(good, None, pickle, weights_only=False))
            assert same(torch.load(good, pickle_module=_pickle, weights_only=True))
            assert same(torch.load(good, pickle_module=restricted))
        assert [record.getMessage() for record in caplog.records] == [
            f"torch.load(pickle_module={name}): ignored, safeload.protect() is in force and unpickles nothing"
            for name in ("pickle", "_pickle")
        ]
        imposter = ModuleType("pickle")
        for module in (io, imposter, "pickle"):
            with pytest.raises(TypeError, match="pickle_module"):
                torch.load(good, pickle_module=module)


def test_settings_are_those_of_the_last_one_in_force(tmp_path: Path) -> None:
    path = tmp_path / "own.pt"
    torch.save(Own(), path)
    with safeload.protect():
        with pytest.raises(safeload.UnsafeCheckpoint):
            torch.load(path)
        with safeload.protect(unvetted="record"):
            assert torch.load(path).weight.tolist() == [1.0, 1.0]
            with safeload.protect(trust=Own):
                assert type(torch.load(path)) is Own
            assert isinstance(torch.load(path), safeload.Record)
        with pytest.raises(safeload.UnsafeCheckpoint):
            torch.load(path)


def test_they_end_in_any_order() -> None:
    first, second = safeload.protect(), safeload.protect(unvetted="record")
    first.undo()
    assert torch.load is torch_load.guarded_load
    second.undo()


def test_wrong_settings_change_nothing(tmp_path: Path) -> None:
    for arguments in (
        {"unvetted": "allow"}, {"engine": "pickle"}, {"trust": ["os.system"]}, {"policy": tmp_path / "none.toml"},
    ):  # fmt: skip
        with pytest.raises(safeload.SafeloadError):
            safeload.protect(**arguments)
        assert torch.load is TRUE_LOAD


def test_the_engine_torch_calls_the_saved_original(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_WEIGHTS_ONLY_LOAD"):
        monkeypatch.setenv(name, "1")
        with safeload.protect(engine="torch"):
            assert same(torch.load(good))
            assert same(safeload.load(good, engine="torch"))
        monkeypatch.delenv(name)


def test_a_reload_under_protection_keeps_the_true_original() -> None:
    code = (
        "import importlib, sys, torch\n"
        "true = torch.load\n"
        "import safeload\n"
        "with safeload.protect():\n"
        "    module = sys.modules['safeload.loading.load']\n"
        "    assert importlib.reload(module).ORIGINAL_LOAD is true\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_names_taken_during_protection_work_after_it(good: Path) -> None:
    with safeload.protect():
        kept = importlib.import_module("torch").load
    assert same(kept(good))


def test_somebody_else_on_top_stays(good: Path) -> None:
    calls: list[str] = []
    protection = safeload.protect()
    ours = torch.load

    @functools.wraps(ours)
    def theirs(*args: Any, **options: Any) -> Any:
        calls.append("theirs")
        return ours(*args, **options)

    torch.load = theirs
    try:
        with pytest.warns(RuntimeWarning, match=r"torch\.load was replaced by somebody else"):
            protection.undo()
        assert (torch.load, torch.serialization.load) == (theirs, TRUE_LOAD)
        assert same(torch.load(good))
        with safeload.protect():
            assert torch.load is ours
            assert same(torch.load(good))
        assert torch.load is theirs
        assert same(torch.load(good))
        assert calls == ["theirs", "theirs"]
    finally:
        torch.load = TRUE_LOAD


def test_protecting_again_goes_over_what_was_put_on_top(bad: Path) -> None:
    def theirs(*args: Any, **options: Any) -> Any:
        return TRUE_LOAD(*args, **{**options, "weights_only": False})

    first = safeload.protect()
    torch.load = theirs
    second = safeload.protect()
    try:
        with pytest.raises(safeload.UnsafeCheckpoint):
            torch.load(bad)
        assert not (bad.parent / "ran").exists()
        first.undo()
        with pytest.warns(RuntimeWarning):
            second.undo()
        assert torch.load is theirs
    finally:
        torch.load = TRUE_LOAD


def test_threads(good: Path, bad: Path) -> None:
    problems: list[object] = []
    outer = safeload.protect()

    def work() -> None:
        for _ in range(20):
            with safeload.protect():
                try:
                    torch.load(bad, weights_only=False)
                    problems.append("loaded")
                except safeload.UnsafeCheckpoint:
                    pass
                if not same(torch.load(good)):
                    problems.append("other values")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert torch.load is torch_load.guarded_load
    outer.undo()
    assert not (bad.parent / "ran").exists()


def test_torch_hub(good: Path, bad: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with safeload.protect():
        got = torch.hub.load_state_dict_from_url(good.as_uri(), model_dir=str(cache), progress=False)
        assert same(got)
        for weights_only in (True, False):
            with pytest.raises(safeload.UnsafeCheckpoint):
                torch.hub.load_state_dict_from_url(
                    bad.as_uri(), model_dir=str(cache), progress=False, weights_only=weights_only
                )
    assert not (tmp_path / "ran").exists()


def test_a_tensor_in_a_plain_pickle_goes_through_the_gate(bad: Path) -> None:
    """torch.storage._load_from_bytes, which such pickles call, calls torch.load."""
    with safeload.protect():
        assert torch.equal(pickle.loads(pickle.dumps(STATE["w"])), STATE["w"])  # type: ignore[arg-type]
        with pytest.raises(safeload.UnsafeCheckpoint):
            torch.storage._load_from_bytes(bad.read_bytes())
    assert not (bad.parent / "ran").exists()


def test_a_training_run_resumes_under_it(tmp_path: Path) -> None:
    def made() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        model = torch.nn.Linear(3, 1)
        return model, torch.optim.Adam(model.parameters())

    def step(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss = model(torch.rand(4, 3)).square().mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    model, optimizer = made()
    step(model, optimizer)
    path = tmp_path / "last.pt"
    torch.save({"m": model.state_dict(), "o": optimizer.state_dict(), "rng": torch.get_rng_state()}, path)
    expected = [step(model, optimizer) for _ in range(3)]
    with safeload.protect():
        other, again = made()
        state = torch.load(path, weights_only=False)
        other.load_state_dict(state["m"])
        again.load_state_dict(state["o"])
        torch.save(state, path)  # over the file that was loaded
        torch.set_rng_state(state["rng"])
        assert [step(other, again) for _ in range(3)] == expected


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_children_inherit_it(bad: Path) -> None:
    code = (
        "import os, sys, torch, safeload\n"
        "safeload.protect()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try: torch.load(sys.argv[1], weights_only=False)\n"
        "    except safeload.UnsafeCheckpoint: os._exit(7)\n"
        "    os._exit(0)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, bad], capture_output=True, text=True, check=True)
    assert done.stdout == "7\n"
