"""Stopped at every step of writing, refused by the system, or read from a source that changes: never a torn output."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from tests.converting.making import hide, left, rewritten, saved

ROOT = Path(__file__).resolve().parents[2]
STATE = {
    "w": torch.arange(30_000.0), "t": torch.arange(1200.0).reshape(30, 40).t(), "b": torch.ones(7, dtype=torch.uint8),
    "epoch": 3,
}  # fmt: skip


def faults(tmp_path: Path, fault: str, force: bool, unnamed: bool) -> list[dict[str, Any]]:
    """What every child left, the last one being the one that was not stopped."""
    source = saved(tmp_path / "x.pth", STATE)
    folder = tmp_path / "out"
    folder.mkdir()
    words = ["yes" if flag else "no" for flag in (force, unnamed)]
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("faults.py")), fault, str(source), str(folder), *words],
        capture_output=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    found: list[dict[str, Any]] = json.loads(done.stdout)
    assert len(found) > 12
    assert (found[-1]["status"], found[-1]["output"]) == (3, "new")
    for entry in found:
        # Whatever happened: what was there, or the whole new file.
        assert entry["output"] in (("old", "new") if force else ("none", "new"))
        if entry["output"] == "new":
            safeload.verify(source, entry["path"])
    return found


@pytest.mark.parametrize("force", [True, False], ids=["replacing", "new"])
@pytest.mark.parametrize("unnamed", [True, False], ids=["unnamed", "named"])
@pytest.mark.parametrize("fault", ["kill", "term"])
def test_stopped_at_every_step(fault: str, unnamed: bool, force: bool, tmp_path: Path) -> None:
    if unnamed and not hasattr(os, "O_TMPFILE"):
        pytest.skip("a system without nameless files")
    found = faults(tmp_path, fault, force, unnamed)
    assert {entry["status"] for entry in found[:-1]} == {-9 if fault == "kill" else -15}
    if unnamed and not force:
        assert all(entry["names"] in ([], ["x.safetensors"]) for entry in found)


@pytest.mark.parametrize("force", [True, False], ids=["replacing", "new"])
@pytest.mark.parametrize("unnamed", [True, False], ids=["unnamed", "named"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_refused_at_every_step(number: int, unnamed: bool, force: bool, tmp_path: Path) -> None:
    found = faults(tmp_path, str(number), force, unnamed)
    for entry in found[:-1]:
        # Of the last step, flushing the folder, nobody can say whether it counts: the file is there, and whole.
        assert entry["names"] == (["x.safetensors"] if force or entry["output"] == "new" else [])
    assert [entry["output"] for entry in found].count("new") <= 2


def limited(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [1, 5000, 60_000])
def test_a_limit_on_the_size_of_files(size: int, tmp_path: Path) -> None:
    source = saved(tmp_path / "x.pth", STATE)
    code = (
        "import sys; from safeload import convert, OutputError\n"
        "try: convert(sys.argv[1], sys.argv[2])\n"
        "except OutputError as error: print(error.errno)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(source), str(tmp_path / "x.safetensors")],
        capture_output=True, check=True, env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: limited(size),
    )  # fmt: skip
    assert int(done.stdout) == errno.EFBIG
    assert left(tmp_path) == ["x.pth"]


def test_a_disk_that_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = saved(tmp_path / "x.pth", {"w": torch.ones(1 << 20)})
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(safeload.OutputError, match="are free") as caught:
            safeload.convert(source, disk / "x.safetensors")
        assert caught.value.errno == errno.ENOSPC
        monkeypatch.delattr(os, "statvfs")
        for hidden in ((), ("O_TMPFILE",), ("copy_file_range", "sendfile")):
            for name in hidden:
                hide(monkeypatch, name)
            with pytest.raises(safeload.OutputError) as caught:
                safeload.convert(source, disk / "x.safetensors")
            assert caught.value.errno == errno.ENOSPC
            assert left(disk) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_another_file_system(tmp_path: Path) -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    source = saved(tmp_path / "x.pth", STATE)
    out = memory / f"safeload-test-{os.getpid()}.safetensors"
    try:
        safeload.convert(source, out)
        safeload.verify(source, out)
    finally:
        out.unlink(missing_ok=True)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def change(path: Path) -> None:
    """One byte of a tensor, with the times set back as far as they can be."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)
        file.seek(before.st_size // 2)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("deflated", [True, False], ids=["deflated", "stored"])
@pytest.mark.parametrize("how", [truncate, change, grow])
@pytest.mark.parametrize("stage", ["write", "sync", "verify"])
def test_a_source_that_changes_midway(stage: str, how: Any, deflated: bool, overlap: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = saved(tmp_path / "x.pth", {**STATE, "more": torch.randn(400_000)})
    if deflated:
        rewritten(source, method=8)
    time.sleep(0.02)  # past the grain of the file system's clock
    changed: list[str] = []

    def meanwhile(now: str, done: int, total: int) -> None:
        if now == stage and not changed:
            changed.append(now)
            how(source)

    with pytest.raises((safeload.InputError, safeload.NotEqual, safeload.Malformed)):
        safeload.convert(source, tmp_path / "x.safetensors", progress=meanwhile, overlap=overlap)
    assert changed
    assert left(tmp_path) == ["x.pth"]
