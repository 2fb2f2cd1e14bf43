"""A file that is cut off, swapped, rewritten or growing while it is read: one outcome for each, at every step.

What happens between the verdict and the load has tests of its own (tests/loading/test_changing_files.py); here it
happens at every single read of the scan that comes before, and in loads and conversions.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import safeload
from safeload.findings import Verdict
from safeload.inputs.file import FileSource
from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.workers import Settings, scan_here
from samples.assemble import call, floats, name, tensor
from samples.files_of_torch import zip_of

SETTINGS = Settings(Policy.default(), None, Limits())


def archive(item: object) -> bytes:
    return zip_of({"w": tensor(), "text": item}, {"0": floats(1, 2, 3, 4)}).build()


# Two files of one length and one layout, the second of which would run something.
HONEST = archive("x" * 33)
HOSTILE = archive(call(name("os", "system"), "true".ljust(20)))


def test_they_differ_in_nothing_but_the_call() -> None:
    assert len(HONEST) == len(HOSTILE)
    assert (safeload.scan(HONEST).verdict, safeload.scan(HOSTILE).verdict) == (Verdict.CLEAN, Verdict.DANGEROUS)
    changed = [at for at, (one, other) in enumerate(zip(HONEST, HOSTILE, strict=True)) if one != other]
    assert len(changed) <= 60


class Clock:
    """Counts the reads of files and does something before one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reads = 0
        self.at = -1
        self.act: Callable[[], None] = lambda: None
        for way in ("fetch", "read_into"):
            monkeypatch.setattr(FileSource, way, self.counting(getattr(FileSource, way)))

    def counting(self, read: Callable[..., Any]) -> Callable[..., Any]:
        def counted(source: FileSource, *given: Any) -> Any:
            self.reads += 1
            if self.reads == self.at:
                self.act()
            return read(source, *given)

        return counted

    def set(self, at: int, act: Callable[[], None]) -> None:
        self.reads, self.at, self.act = 0, at, act


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pt"


def swap(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(HOSTILE)
    os.replace(other, path)


def rewrite(path: Path) -> None:
    """In place, with the times put back."""
    status = path.stat()
    with path.open("r+b") as file:
        file.write(HOSTILE)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(HOSTILE)


CHANGES: dict[str, Callable[[Path], None]] = {
    "emptied": lambda path: os.truncate(path, 0),
    "halved": lambda path: os.truncate(path, len(HONEST) // 2),
    "swapped": swap,
    "removed": os.unlink,
    "rewritten": rewrite,
    "grown": grow,
}
# The open file is another than the one under its name, or its first bytes are what they were.
UNTOUCHED = ("swapped", "removed", "grown")


def steps(clock: Clock, act: Callable[[], object]) -> range:
    """The numbers of all reads that `act` takes of an honest file, and the one after the last."""
    clock.set(-1, lambda: None)
    act()
    assert clock.reads >= 3
    return range(1, clock.reads + 2)


@pytest.mark.parametrize("change", CHANGES)
def test_a_scan_during_which_a_file_is(change: str, path: Path, clock: Clock) -> None:
    path.write_bytes(HONEST)
    honest = safeload.scan(path)
    seen = set()
    for step in steps(clock, lambda: safeload.scan(path)):
        path.write_bytes(HONEST)
        clock.set(step, lambda: CHANGES[change](path))
        try:
            report = safeload.scan(path)
        except safeload.InputError as error:
            seen.add("shorter" if "got shorter while being read" in str(error) else str(error))
        else:
            if change in UNTOUCHED:
                assert report == honest
            # A clean verdict is about the honest bytes and no others.
            if report.verdict == Verdict.CLEAN:
                assert report.judged_sha256 == honest.judged_sha256
            seen.add(str(report.verdict))
    assert "clean" in seen
    assert ("shorter" in seen) is (change in ("emptied", "halved"))
    assert seen <= {"clean", "shorter"} | ({"dangerous", "unjudged"} if change == "rewritten" else set())


@pytest.mark.parametrize("change", ["emptied", "halved"])
def test_the_command_says_that_it_got_shorter(change: str, path: Path, clock: Clock) -> None:
    path.write_bytes(HONEST)
    clock.set(2, lambda: CHANGES[change](path))
    (report,) = scan_here([Target(str(path), explicit=True)], SETTINGS)
    (finding,) = report.findings
    assert (report.verdict, finding.rule) == (Verdict.UNJUDGED, "unreadable")
    assert finding.message.startswith("it cannot be read: got shorter while being read (offset ")


@pytest.mark.parametrize("mmap", [None, False])
@pytest.mark.parametrize("change", CHANGES)
def test_a_load_during_which_a_file_is(change: str, mmap: bool | None, path: Path, clock: Clock) -> None:
    """What comes out is what was judged, or nothing does. Nothing that HOSTILE holds is in it."""
    path.write_bytes(HONEST)
    seen = set()
    for step in steps(clock, lambda: safeload.load(path, mmap=mmap)):
        path.write_bytes(HONEST)
        clock.set(step, lambda: CHANGES[change](path))
        try:
            got = safeload.load(path, mmap=mmap)
        except safeload.SafeloadError as error:
            seen.add(type(error).__name__)
        else:
            assert (got["text"], got["w"].tolist()) == ("x" * 33, [1.0, 2.0, 3.0, 4.0])
            seen.add("loaded")
            del got
    allowed = {"emptied": "InputError", "halved": "InputError", "rewritten": "UnsafeCheckpoint", "grown": "InputError"}
    assert "loaded" in seen
    assert seen <= {"loaded", allowed.get(change, "loaded"), "InputError"}
    if change in ("swapped", "removed"):
        assert seen == {"loaded"}


@pytest.mark.parametrize("change", CHANGES)
def test_a_conversion_during_which_a_file_is(change: str, path: Path, clock: Clock, tmp_path: Path) -> None:
    target, honest = tmp_path / "out.safetensors", tmp_path / "honest.safetensors"
    path.write_bytes(HONEST)
    safeload.convert(path, honest)
    seen = set()
    for step in steps(clock, lambda: safeload.convert(path, target, force=True)):
        path.write_bytes(HONEST)
        target.unlink(missing_ok=True)
        clock.set(step, lambda: CHANGES[change](path))
        try:
            safeload.convert(path, target)
        except safeload.SafeloadError as error:
            assert not target.exists()
            seen.add(type(error).__name__)
        else:
            assert target.read_bytes() == honest.read_bytes()
            seen.add("converted")
    assert "converted" in seen
    assert seen <= {"converted", "InputError", "UnsafeCheckpoint", "NotEqual"}


class Changing(io.BytesIO):
    """A file object that gives other bytes from its n-th read on, and says so of its size."""

    def __init__(self, first: bytes, later: bytes, after: int) -> None:
        super().__init__(first)
        self.later, self.left = later, after

    def read(self, size: int | None = -1) -> bytes:
        at = self.tell()
        data = super().read(size)
        self.left -= bool(data)
        return data if self.left >= 0 else self.later[at : at + len(data)]


@pytest.mark.parametrize("later", [HOSTILE, b"", bytes(len(HONEST)), HONEST[: len(HONEST) // 2]])
def test_a_file_object_that_gives_other_bytes_later(later: bytes, tmp_path: Path) -> None:
    honest = safeload.scan(HONEST)
    seen = set()
    whole = Changing(HONEST, later, 1 << 30)
    assert safeload.scan(whole) == honest._replace(path="<file object>")
    for after in range((1 << 30) - whole.left + 1):
        try:
            report = safeload.scan(Changing(HONEST, later, after))
        except safeload.InputError:
            seen.add("refused")
            continue
        seen.add(str(report.verdict))
        if report.verdict == Verdict.CLEAN:
            assert report.judged_sha256 == honest.judged_sha256
        target = tmp_path / f"{after}.safetensors"
        try:
            safeload.convert(Changing(HONEST, later, after), target)
        except safeload.SafeloadError:
            assert not target.exists()
    assert "clean" in seen
    assert len(seen) > 1


class Lying(io.BytesIO):
    """A file object whose answers make no sense."""

    def __init__(self, lie: str) -> None:
        super().__init__(HONEST)
        self.lie = lie

    def read(self, size: int | None = -1) -> Any:
        data = super().read(size)
        answers = {"none": None, "text": "x" * len(data), "longer": data + b"x" if data else data, "nothing": b""}
        return answers.get(self.lie, data)

    def seek(self, offset: int, whence: int = 0) -> int:
        at = super().seek(offset, whence)
        return {"huge": 1 << 62, "negative": -1}.get(self.lie, at) if whence == 2 else at


@pytest.mark.parametrize("lie", ["none", "text", "longer", "nothing", "huge", "negative"])
def test_a_file_object_that_lies(lie: str) -> None:
    for act in (safeload.scan, safeload.load):
        try:
            found = act(Lying(lie))
        except safeload.SafeloadError:
            continue
        assert getattr(found, "verdict", None) == Verdict.UNJUDGED
