"""One file in portions, by several threads: each tensor once, in order, and nobody at work when an error comes out."""

from __future__ import annotations

import io
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import safeload
from safeload.converting.portions import MANY, PORTION, Crew, Stopped, portions
from safeload.converting.write import system
from tests.converting.making import hide, left, rewritten, saved


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([0], [range(1)]),
        ([PORTION + 1, 1, 1], [range(1), range(1, 3)]),
        ([1, PORTION, 1], [range(1), range(1, 2), range(2, 3)]),
        ([1, PORTION - 1, 0, 1], [range(3), range(3, 4)]),
        ([4] * (MANY + 1), [range(MANY), range(MANY, MANY + 1)]),
    ],
)
def test_neighbours_go_together(sizes: list[int], expected: list[range]) -> None:
    assert list(portions(sizes)) == expected


def test_each_portion_is_done_once() -> None:
    done: list[range] = []
    threads = set()

    def work(part: range) -> None:
        threads.add(threading.get_ident())
        time.sleep(0.001)
        done.append(part)

    parts = [range(n, n + 1) for n in range(200)]
    Crew().share(iter(parts), [work] * 4)
    assert sorted(done, key=lambda part: part.start) == parts
    assert len(threads) == 4


def test_progress_is_told_one_at_a_time_and_adds_up() -> None:
    told: list[int] = []
    crew = Crew()
    step = crew.told(told.append)
    crew.share((range(n) for n in range(100)), [lambda part: step(1)] * 4)
    assert told == list(range(1, 101))


@pytest.mark.parametrize("by", ["first", "other"])
def test_nobody_works_on_when_an_error_comes_out(by: str) -> None:
    crew = Crew()
    step = crew.told(lambda done: None)
    ended = threading.Event()
    begun = threading.Event()

    def fails(part: range) -> None:
        assert begun.wait(10)
        raise safeload.NotEqual("as planned")

    def goes_on(part: range) -> None:
        begun.set()
        try:
            while True:
                step(1)
        except Stopped:
            time.sleep(0.05)
            ended.set()
            raise

    with pytest.raises(safeload.NotEqual, match="as planned"):
        crew.share((range(n) for n in range(1000)), [fails, goes_on] if by == "first" else [goes_on, fails])
    assert ended.is_set()


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_waits_for_the_others_and_passes_through() -> None:
    crew = Crew()
    step = crew.told(lambda done: None)
    ended = threading.Event()

    def first(part: range) -> None:
        time.sleep(0.1)
        signal.raise_signal(signal.SIGINT)

    def other(part: range) -> None:
        try:
            while True:
                step(1)
        finally:
            time.sleep(0.05)
            ended.set()

    with pytest.raises(KeyboardInterrupt):
        crew.share((range(n) for n in range(1000)), [first, other])
    assert ended.is_set()


class Slow(io.BytesIO):
    """A file object at whose position another thread could read, had it the chance."""

    def seek(self, offset: int, whence: int = 0) -> int:
        found = super().seek(offset, whence)
        time.sleep(0.001)
        return found


def test_a_file_object_has_one_reader(tmp_path: Path) -> None:
    state = {f"t{n}": torch.full((70_000,), float(n)) for n in range(24)}
    data = saved(tmp_path / "x.pth", state).read_bytes()
    for number in range(3):
        out = tmp_path / f"{number}.safetensors"
        safeload.convert(Slow(data), out)
        found = safetensors.torch.load_file(out)
        assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def small() -> dict[str, torch.Tensor]:
    """Neighbours of many sizes, in several portions, with what stands alone among them."""
    torch.manual_seed(3)
    state = {f"n{n}": torch.randn(n * 7 % 2000) for n in range(700)}
    state["t"] = torch.randn(40, 30).t()
    state["large"] = torch.randn(400_000)
    base = torch.randn(1000)
    return {**state, "a": base[10:20], "b": base[500:], "last": torch.ones(3, dtype=torch.uint8)}


@pytest.mark.parametrize("hidden", [(), ("preadv", "pwritev"), ("pread", "pwrite", "preadv", "pwritev")])
@pytest.mark.parametrize("sync", [True, False])
@pytest.mark.parametrize("flush", [1, 1 << 30])
def test_many_small_tensors(
    hidden: tuple[str, ...], sync: bool, flush: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safeload.converting.write import writer

    monkeypatch.setattr(writer, "_FLUSH", flush)
    for name in hidden:
        hide(monkeypatch, name)
    state = small()
    source = saved(tmp_path / "x.pth", state)
    done = safeload.convert(source, tmp_path / "x.safetensors", sync=sync, manifest=tmp_path / "x.json")
    monkeypatch.undo()
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert found.keys() == state.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    assert done.verification.tensors == len(state)
    assert safeload.verify(source, tmp_path / "x.safetensors", digests=True).digests == done.verification.digests


def test_writes_of_the_system_that_fall_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    read, write = os.preadv, os.pwritev
    monkeypatch.setattr(os, "preadv", lambda fd, parts, at: read(fd, [parts[0][: max(len(parts[0]) // 2, 1)]], at))
    monkeypatch.setattr(os, "pwritev", lambda fd, parts, at: write(fd, [parts[0], parts[1][:5]], at))
    state = small()
    safeload.convert(saved(tmp_path / "x.pth", state), tmp_path / "x.safetensors")
    found = safetensors.torch.load_file(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("at", ["first", "last"])
def test_a_neighbour_that_is_written_wrongly_is_named(
    at: str, overlap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = system.write_parts

    def wrong(fd: int, parts: list[memoryview], offset: int) -> None:
        odd = 0 if at == "first" else -1
        parts[odd] = memoryview(bytes(parts[odd][:-1]) + bytes([parts[odd][-1] ^ 1]))
        write(fd, parts, offset)

    monkeypatch.setattr(system, "write_parts", wrong)
    state = {f"n{n}": torch.full((100,), float(n)) for n in range(9)}
    source = saved(tmp_path / "x.pth", state)
    name = "n0" if at == "first" else "n8"
    with pytest.raises(safeload.NotEqual, match=f"'{name}' near byte 399"):
        safeload.convert(source, tmp_path / "x.safetensors", overlap=overlap)
    assert left(tmp_path) == ["x.pth"]


def test_what_is_not_compared_is_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safeload.converting.write import staging

    source = saved(tmp_path / "x.pth", small())
    monkeypatch.setattr(staging, "portions", lambda sizes: list(portions(sizes))[:-1])
    with pytest.raises(safeload.NotEqual, match="not every tensor"):
        safeload.convert(source, tmp_path / "x.safetensors")
    assert left(tmp_path) == ["x.pth"]


def waits(crew: Crew, when: str) -> None:
    """Share two portions, the other thread's being a long one, and be interrupted `when`."""
    started = threading.Event()
    mine = threading.current_thread()

    def first(part: range) -> None:
        assert started.wait(10)
        if when == "at work":
            signal.raise_signal(signal.SIGINT)

    def other(part: range) -> None:
        started.set()
        if when == "waiting":
            time.sleep(0.1)
            signal.pthread_kill(mine.ident or 0, signal.SIGINT)
        time.sleep(0.3)

    taken = iter([range(1), range(1, 2)])
    # Each of the two has one: the first of them waits for the other to begin.
    crew.share(taken, [first, other])


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("when", ["at work", "waiting"])
def test_whatever_interrupts_the_waiting_nobody_is_at_work_afterwards(when: str) -> None:
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        waits(Crew(), when)
    assert time.monotonic() - start >= 0.29
    assert not [thread for thread in threading.enumerate() if thread.name == "safeload-portions" and thread.is_alive()]


class Odd(OSError):
    """Of the caller."""


@pytest.mark.parametrize("stage", ["write", "verify", "sync"])
@pytest.mark.parametrize("error", [Odd(5, "mine"), ValueError("mine"), KeyboardInterrupt()])
@pytest.mark.parametrize("overlap", [True, False])
def test_what_a_progress_callback_raises_comes_out_as_it_is(
    overlap: bool, error: BaseException, stage: str, tmp_path: Path
) -> None:
    source = saved(tmp_path / "x.pth", small())

    def told(now: str, done: int, total: int) -> None:
        if now == stage:
            raise error

    with pytest.raises(type(error)) as caught:
        safeload.convert(source, tmp_path / "x.safetensors", progress=told, overlap=overlap)
    assert caught.value is error
    assert left(tmp_path) == ["x.pth"]


@pytest.mark.parametrize("overlap", [True, False])
@pytest.mark.parametrize("keys", [(), ("a*",)])
def test_a_header_that_changes_while_tensors_are_written_is_noticed(
    keys: tuple[str, ...], overlap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stray write swaps two names after the comparison read them."""
    import os

    real, calls = system.copy_file_range, iter(range(100))

    def stray(source: int, output: int, length: int, start: int, at: int) -> int:
        count = real(source, output, length, start, at)
        if next(calls) == 1:
            head = os.pread(output, 4096, 0)
            swapped = head.replace(b'"aa":{', b'"XX":{').replace(b'"ab":{', b'"aa":{').replace(b'"XX":{', b'"ab":{')
            assert swapped != head
            os.pwrite(output, swapped, 0)
        return count

    monkeypatch.setattr(system, "copy_file_range", stray)
    source = saved(tmp_path / "x.pth", {"aa": torch.full((400_000,), 1.0), "ab": torch.full((400_000,), 2.0)})
    with pytest.raises(safeload.NotEqual):
        safeload.convert(source, tmp_path / "x.safetensors", overlap=overlap, keys=keys)
    assert left(tmp_path) == ["x.pth"]


@pytest.mark.parametrize("deflated", [True, False])
def test_what_the_system_refuses_while_comparing_is_an_error_of_ours(
    deflated: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno
    import os
    import tempfile

    from safeload.converting.verify import reread

    source = saved(tmp_path / "x.pth", {"w": torch.randn(300_000), "v": torch.randn(300_000)})
    if deflated:
        rewritten(source, method=8)

    def refused(*args: object, **named: object) -> object:
        raise OSError(errno.ENOSPC if deflated else errno.EIO, "refused")

    class Instead:
        """`os` or `tempfile` for the comparison alone."""

        def __init__(self, real: object) -> None:
            self.real = real

        def __getattr__(self, name: str) -> object:
            return refused if name in ("preadv", "TemporaryFile") else getattr(self.real, name)

    monkeypatch.setattr(reread, "tempfile" if deflated else "os", Instead(tempfile if deflated else os))
    with pytest.raises(safeload.OutputError if deflated else safeload.InputError, match="refused"):
        safeload.convert(source, tmp_path / "x.safetensors")
    assert left(tmp_path) == ["x.pth"]


def test_threads_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    source = saved(tmp_path / "x.pth", small())
    done = safeload.convert(source, tmp_path / "x.safetensors")
    monkeypatch.undo()
    assert safeload.verify(source, done.output).tensors == done.tensors


@pytest.mark.parametrize("slow", ["kernel", "buffer"])
def test_large_ranges_are_moved_in_the_faster_way(slow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_TIMED", 1 << 12)
    monkeypatch.setattr(system, "_ENOUGH", 1 << 16)
    data = torch.randint(0, 256, (1 << 20,), dtype=torch.uint8).numpy().tobytes()
    (tmp_path / "a").write_bytes(data)
    calls = {"kernel": 0, "buffer": 0}

    def counted(way: str, real: Any) -> Any:
        def call(*args: Any) -> Any:
            calls[way] += 1
            if way == slow:
                time.sleep(0.005)
            return real(*args)

        return call

    monkeypatch.setattr(system, "copy_file_range", counted("kernel", system.copy_file_range))
    monkeypatch.setattr(system, "read_into", counted("buffer", system.read_into))
    buffer = memoryview(bytearray(1 << 14))
    with (tmp_path / "a").open("rb") as source, (tmp_path / "b").open("w+b") as output:
        mover = system.Mover(source.fileno(), output.fileno(), threading.Lock(), "a")
        done = 0
        while count := mover.move(done, done, len(data) - done, buffer):
            done += count
    assert (tmp_path / "b").read_bytes() == data
    assert calls[slow] < 8
    assert calls["buffer" if slow == "kernel" else "kernel"] >= (50 if slow == "kernel" else 5)


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*args: object) -> int:
        raise OSError(5, "refused")

    source = saved(tmp_path / "x.pth", {"large": torch.randn(600_000), "t": torch.randn(300, 200).t()})
    monkeypatch.setattr(system, "copy_file_range", lambda *args: 0)
    monkeypatch.setattr(system, "sendfile", lambda *args: 0)
    for name in ("read_into", "read_at"):
        with monkeypatch.context() as patch:
            patch.setattr(system, name, refused)
            with pytest.raises(safeload.InputError, match=r"refused.*x\.pth"):
                safeload.convert(source, tmp_path / "x.safetensors")
    assert left(tmp_path) == ["x.pth"]
