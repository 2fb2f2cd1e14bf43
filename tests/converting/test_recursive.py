"""Folders of checkpoints: each converted, what is done skipped, failures listed; and several at a time."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import safeload
from safeload.converting.interface import Options
from safeload.converting.many import parallel, recursive
from safeload.converting.many.folder import FolderConversion
from safeload.errors import OutputExists, UnsafeCheckpoint, UsageError
from tests.converting.sharded_model import names, sharded

DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."


@pytest.fixture
def several(tmp_path: Path) -> Path:
    """Two clean checkpoints, one dangerous, one sharded, and things that are no checkpoints."""
    place = tmp_path / "models"
    sharded(place / "big")
    (place / "sub").mkdir()
    torch.save({"a": torch.ones(2)}, place / "one.pt")
    torch.save({"model": {"b": torch.ones(2)}, "epoch": 1}, place / "sub/two.ckpt")
    (place / "sub/evil.pkl").write_bytes(DANGEROUS)
    (place / "README.md").write_text("text")
    (place / "empty.bin").write_bytes(b"")
    return place


OUTPUTS = [
    "big/model-00001-of-00002.safetensors",
    "big/model-00002-of-00002.safetensors",
    "big/model.safetensors.index.json",
    "one.safetensors",
    "sub/two.safetensors",
]


def states(done: FolderConversion, place: Path) -> dict[str, str]:
    return {
        Path(outcome.source).relative_to(place).as_posix(): "converted"
        if outcome.conversion
        else "done"
        if outcome.done
        else "failed"
        if outcome.error
        else "skipped"
        for outcome in done.outcomes
    }


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("jobs", [1, 3])
def test_every_checkpoint_of_a_folder(several: Path, tmp_path: Path, apart: bool, jobs: int) -> None:
    before = names(several)
    where = tmp_path / "out" if apart else several
    done = safeload.convert(several, where if apart else None, recursive=True, jobs=jobs)
    assert names(where) == (OUTPUTS if apart else sorted([*before, *OUTPUTS]))
    found = states(done, several)
    shards = {f"big/pytorch_model-0000{i}-of-00002.bin": "converted" for i in (1, 2)}
    first = {**shards, "one.pt": "converted", "sub/two.ckpt": "converted", "sub/evil.pkl": "failed"}
    assert found == {**first, "README.md": "skipped", "empty.bin": "skipped"}
    assert isinstance(done.failed[0].error, UnsafeCheckpoint)

    again = states(safeload.convert(several, where if apart else None, recursive=True), several)
    first = {name: "done" if state == "converted" else state for name, state in first.items()}
    assert {name: again[name] for name in first} == first


def test_what_changed_is_not_done(several: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    safeload.convert(several, out, recursive=True)
    torch.save({"a": torch.zeros(2)}, several / "one.pt")
    done = safeload.convert(several, out, recursive=True)
    (failed,) = [outcome for outcome in done.failed if outcome.source.endswith("one.pt")]
    assert isinstance(failed.error, OutputExists)
    done = safeload.convert(several, out, recursive=True, force=True)
    assert states(done, several)["one.pt"] == "converted"
    assert states(done, several)["sub/two.ckpt"] == "done"
    assert torch.equal(load_file(out / "one.safetensors")["a"], torch.zeros(2))


def test_other_options_are_not_done(several: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    safeload.convert(several, out, recursive=True)
    done = safeload.convert(several, out, recursive=True, force=True, dtype="bf16")
    assert set(states(done, several).values()) == {"converted", "failed", "skipped"}


def test_a_newer_source_with_the_same_judged_bytes_is_not_done(tmp_path: Path) -> None:
    source, output = tmp_path / "a.pt", tmp_path / "a.safetensors"
    torch.save({"a": torch.ones(2)}, source)
    safeload.convert(source, output)
    options = Options()
    report = recursive.judged(str(source), options)
    assert recursive.is_done(str(source), str(output), report, options)
    later = time.time() + 100
    os.utime(source, (later, later))
    assert not recursive.is_done(str(source), str(output), report, options)


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", "[" * 100_000])
def test_an_output_with_another_record_is_not_done(tmp_path: Path, text: str) -> None:
    from safetensors.torch import save_file

    source, output = tmp_path / "a.pt", tmp_path / "a.safetensors"
    torch.save({"a": torch.ones(2)}, source)
    save_file({"a": torch.ones(2)}, output, {"safeload.convert": text})
    options = Options()
    assert not recursive.is_done(str(source), str(output), recursive.judged(str(source), options), options)
    output.write_bytes(b"no safetensors")
    assert not recursive.is_done(str(source), str(output), recursive.judged(str(source), options), options)


def test_two_sources_of_one_name_keep_their_endings(tmp_path: Path) -> None:
    for name in ("a.pt", "a.bin", "b.pt"):
        torch.save({"x": torch.ones(1)}, tmp_path / name)
    safeload.convert(tmp_path, tmp_path / "out", recursive=True)
    assert names(tmp_path / "out") == ["a.bin.safetensors", "a.pt.safetensors", "b.safetensors"]


# Several at a time


def test_results_are_in_order() -> None:
    def work(task: int, options: Options) -> int:
        time.sleep((5 - task) * 0.01)
        return task * 2

    assert parallel.run_all(work, range(5), Options(), 3) == [0, 2, 4, 6, 8]


def test_the_first_error_stops_the_others() -> None:
    started, ended = threading.Event(), []

    def work(task: int, options: Options) -> None:
        if task == 0:
            started.wait(10)
            raise UsageError("first")
        assert options.progress is not None
        try:
            for done in range(1000):
                started.set()
                options.progress("write", done, 1000)
                time.sleep(0.01)
        finally:
            ended.append(task)

    with pytest.raises(UsageError, match="first"):
        parallel.run_all(work, range(9), Options(), 2)
    assert set(ended) <= {1}


def test_ctrl_c_stops_them(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = []

    def work(task: int, options: Options) -> None:
        assert options.progress is not None
        try:
            for done in range(1000):
                options.progress("write", done, 1000)
                time.sleep(0.01)
        except BaseException:
            ended.append(task)
            raise

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        parallel.run_all(work, range(9), Options(), 2)
    assert sorted(ended) in ([0, 1], [0], [])
