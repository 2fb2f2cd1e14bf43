"""The progress bar on standard error: of files while they are scanned, of bytes while they are converted or compared.

It appears only on a terminal, and only when the work lasts. No file name is shown: names are untrusted. The library
rich is imported when the bar appears.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

# Seconds of work before anything is shown.
DELAY = 0.5

_WORDS = {"write": "writing", "sync": "syncing", "verify": "verifying", "hash": "hashing"}

_BOTH = ("write", "verify")

OnBytes = Callable[[str, int, int], None]
"""Called with a stage of the work, the bytes of it that are done, and all of its bytes."""


@contextlib.contextmanager
def file_progress(total: int, *, show: bool) -> Iterator[Callable[[], None]]:
    """Gives a function to call after each of `total` files."""
    if not show:
        yield lambda: None
        return
    bar = _Bar("files", "scanning", total)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        bar.show("scanning", done, total)

    try:
        yield step
    finally:
        bar.stop()


@contextlib.contextmanager
def byte_progress(*, show: bool) -> Iterator[OnBytes | None]:
    """Gives a function to call as the bytes of a stage are done, from any thread; None when nothing is to be shown."""
    if not show:
        yield None
        return
    bar = _Bar("bytes")
    try:
        yield _Stages(bar).progress
    finally:
        bar.stop()


class _Bar:
    """One bar. A timer starts it, so that one large file shows it too."""

    def __init__(self, unit: str, words: str = "", total: int | None = None) -> None:
        self._unit = unit
        self._lock = threading.Lock()
        self._stopped = False
        self._shown: tuple[str, int, int | None] = (words, 0, total)
        self._rich: tuple[Progress, TaskID] | None = None
        self._timer = threading.Timer(DELAY, self._start)
        self._timer.daemon = True
        self._timer.start()

    def _start(self) -> None:
        from rich import progress
        from rich.console import Console

        with self._lock:
            if self._stopped:
                return
            amounts: tuple[progress.ProgressColumn, ...] = (progress.MofNCompleteColumn(), progress.TimeElapsedColumn())
            if self._unit == "bytes":
                speed, left = progress.TransferSpeedColumn(), progress.TimeRemainingColumn()
                amounts = (progress.DownloadColumn(), speed, left)
            bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                *amounts,
                console=Console(stderr=True),
                transient=True,
            )
            words, done, total = self._shown
            self._rich = bar, bar.add_task(words, total=total, completed=done)
            bar.start()

    def show(self, words: str, done: int, total: int) -> None:
        """What is being done, and how much of it is done."""
        with self._lock:
            restarted = words != self._shown[0] or done < self._shown[1]
            self._shown = (words, done, total)
            if self._rich is not None:
                bar, task = self._rich
                if restarted:
                    bar.reset(task)  # another stage or another file: its bytes per second are its own
                bar.update(task, description=words, completed=done, total=total)

    def stop(self) -> None:
        """Takes the bar away."""
        self._timer.cancel()
        with self._lock:
            self._stopped = True
            if self._rich is not None:
                self._rich[0].stop()


class _Stages:
    """The stages of one file, for its bar. A file is compared while it is written: the bar shows these two as one."""

    def __init__(self, bar: _Bar) -> None:
        self._bar = bar
        self._lock = threading.Lock()
        # Of each stage: bytes done and bytes in all.
        self._now: dict[str, tuple[int, int]] = {}
        # Whether the file is compared while it is written.
        self._beside = False

    def progress(self, stage: str, done: int, total: int) -> None:
        """`done` bytes of a stage are done."""
        with self._lock:
            if stage == _BOTH[1] and stage not in self._now and _BOTH[0] in self._now:
                written, of = self._now[_BOTH[0]]
                self._beside = written < of
            self._now[stage] = (done, total)
            stages = _BOTH if self._beside and stage in _BOTH else (stage,)
            amounts = [self._now[one] for one in stages]
            words = " and ".join(_WORDS.get(one, one) for one in stages)
            self._bar.show(words, sum(done for done, _ in amounts), sum(total for _, total in amounts))
