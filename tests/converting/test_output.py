"""The output under its name: new or replaced in one step, never the source, and nothing of it after a failure."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any, NoReturn

import pytest
import safetensors.torch
import torch

import safeload
from safeload.converting.write import system
from tests.converting.making import hide, left, rewritten, saved

STATE = {"w": torch.arange(300.0).reshape(30, 10), "t": torch.arange(12.0).reshape(3, 4).t(), "n": torch.ones(3)}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return saved(tmp_path / "x.pth", STATE)


def equal(path: Path) -> bool:
    found = safetensors.torch.load_file(path)
    return all(torch.equal(found[name], tensor) for name, tensor in STATE.items())


def test_an_existing_file_stays_unless_forced(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    out.write_bytes(b"old")
    with pytest.raises(safeload.OutputExists) as caught:
        safeload.convert(source, out)
    assert isinstance(caught.value, FileExistsError)
    assert out.read_bytes() == b"old"
    safeload.convert(source, out, force=True)
    assert equal(out)
    assert left(tmp_path) == ["x.pth", "x.safetensors"]


def test_a_file_made_meanwhile_stays(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    with pytest.raises(safeload.OutputExists, match="meanwhile"):
        safeload.convert(source, out, progress=lambda *_: out.write_bytes(b"other") if not out.exists() else None)
    assert out.read_bytes() == b"other"
    assert left(tmp_path) == ["x.pth", "x.safetensors"]


@pytest.mark.parametrize("way", ["itself", "symlink", "hardlink", "dots"])
@pytest.mark.parametrize("force", [True, False])
def test_the_source_is_never_the_destination(way: str, force: bool, source: Path, tmp_path: Path) -> None:
    before = source.read_bytes()
    out = {"itself": source, "dots": tmp_path / ".." / tmp_path.name / "x.pth"}.get(way, tmp_path / "l")
    if way == "symlink":
        out.symlink_to(source)
    elif way == "hardlink":
        out.hardlink_to(source)
    with pytest.raises(safeload.OutputError, match="source itself"):
        safeload.convert(source, out, force=force)
    with pytest.raises(safeload.OutputError, match="source itself"):
        safeload.convert(source, tmp_path / "y.safetensors", manifest=out, force=force)
    assert source.read_bytes() == before


def test_a_link_stays_a_link(source: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "x.safetensors"
    link.symlink_to(tmp_path / "real" / "y.safetensors")
    safeload.convert(source, link)
    assert link.is_symlink()
    assert equal(tmp_path / "real" / "y.safetensors")


@pytest.mark.parametrize("kind", ["folder", "fifo", "no folder"])
def test_what_is_no_place_for_a_file(kind: str, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "place"
    if kind == "fifo":
        os.mkfifo(out)
    out = tmp_path / "none" / "x.safetensors" if kind == "no folder" else out
    if kind == "folder":
        (out / "x.safetensors").mkdir(parents=True)
    with pytest.raises(safeload.OutputError):
        safeload.convert(source, out, force=True)


def test_the_mode_is_that_of_a_new_file(source: Path, tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        safeload.convert(source, tmp_path / "x.safetensors")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x.safetensors").stat().st_mode) == 0o640


HIDDEN = [
    ("copy_file_range",), ("copy_file_range", "sendfile"), ("O_TMPFILE",), ("statvfs",), ("pwrite", "pread", "preadv"),
    ("copy_file_range", "sendfile", "O_TMPFILE", "statvfs", "pwrite", "pread", "preadv"),
]  # fmt: skip


@pytest.mark.parametrize("force", [True, False])
@pytest.mark.parametrize("hidden", HIDDEN, ids=" ".join)
def test_without_what_other_systems_lack(
    hidden: tuple[str, ...], force: bool, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x.safetensors"
    if force:
        out.write_bytes(b"old")
    for name in hidden:
        hide(monkeypatch, name)
    safeload.convert(source, out, force=force)
    assert equal(out)
    safeload.convert(rewritten(source, method=8), out, force=True)
    assert equal(out)
    with pytest.raises(safeload.OutputExists):
        safeload.convert(source, out)
    assert left(tmp_path) == ["x.pth", "x.safetensors"]


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, 0])
def test_a_kernel_that_moves_nothing(
    number: int, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*arguments: object) -> int:
        if number:
            raise OSError(number, "unable")
        return 0

    monkeypatch.setattr(system, "copy_file_range", unable)
    monkeypatch.setattr(system, "sendfile", unable)
    safeload.convert(source, tmp_path / "x.safetensors")
    assert equal(tmp_path / "x.safetensors")


def test_a_file_system_without_hard_links(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> NoReturn:
        raise OSError(errno.EPERM, "no links")

    hide(monkeypatch, "O_TMPFILE")
    monkeypatch.setattr(system, "link", refuse)
    out = tmp_path / "x.safetensors"
    safeload.convert(source, out)
    assert equal(out)
    assert left(tmp_path) == ["x.pth", "x.safetensors"]
    with pytest.raises(safeload.OutputExists, match="meanwhile"):
        safeload.convert(source, tmp_path / "y", progress=lambda *_: (tmp_path / "y").write_bytes(b""))


def test_short_moves_of_the_kernel(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.copy_file_range
    monkeypatch.setattr(system, "copy_file_range", lambda a, b, n, x, y: real(a, b, min(n, 7), x, y))
    safeload.convert(source, tmp_path / "x.safetensors")
    assert equal(tmp_path / "x.safetensors")


def test_too_little_space_is_said_before(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def full(path: Any) -> os.statvfs_result:
        found = list(real(path))
        found[4] = 0
        return os.statvfs_result(found)

    monkeypatch.setattr(os, "statvfs", full)
    with pytest.raises(safeload.OutputError, match="0 are free") as caught:
        safeload.convert(source, tmp_path / "x.safetensors")
    assert caught.value.errno == errno.ENOSPC
    assert left(tmp_path) == ["x.pth"]


def test_what_progress_raises_ends_it(source: Path, tmp_path: Path) -> None:
    for stage in ("write", "sync", "verify", "hash"):

        def stop(now: str, done: int, total: int, stage: str = stage) -> None:
            assert 0 <= done <= total
            if now == stage:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            safeload.convert(source, tmp_path / "x.safetensors", manifest=tmp_path / "m.json", progress=stop)
        assert left(tmp_path) == ["x.pth"]


def test_a_manifest_tells_what_was_done(source: Path, tmp_path: Path) -> None:
    import hashlib
    import json

    out = tmp_path / "x.safetensors"
    done = safeload.convert(source, out, manifest=tmp_path / "m.json", dtype="bf16")
    found = json.loads((tmp_path / "m.json").read_bytes())
    assert done.manifest == str(tmp_path / "m.json")
    assert found["schema"] == "safeload.manifest/1"
    assert found["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    assert found["output"]["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert found["options"] == {"dtype": "bf16"}
    tensors = safetensors.torch.load_file(out)
    for entry in found["tensors"]:
        raw = tensors[entry["name"]].contiguous().view(torch.uint8).numpy().tobytes()
        assert entry["sha256"] == hashlib.sha256(raw).hexdigest()
        assert (entry["dtype"], entry["cast_from"]) == ("BF16", "float32")
    with pytest.raises(safeload.OutputExists):
        safeload.convert(source, tmp_path / "y.safetensors", manifest=tmp_path / "m.json")
    assert left(tmp_path) == ["m.json", "x.pth", "x.safetensors"]
