"""A bar of bytes on standard error: only on a terminal, and only for work that lasts. rich is imported late."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

# Seconds of work before anything is shown.
DELAY = 0.5

_WORDS = {"write": "writing", "sync": "syncing", "verify": "verifying", "hash": "hashing"}

_BOTH = ("write", "verify")

Told = Callable[[str, int, int], None]
"""Called with a stage, bytes done and bytes in all."""


@contextlib.contextmanager
def transfer(*, show: bool) -> Iterator[Told | None]:
    """Gives what a conversion is to call as it goes, or None when nothing is to be shown.

    It may be called from several threads. A file is compared while it is written: the bar shows the two as one.
    """
    if not show:
        yield None
        return
    bar = _Bar()
    try:
        yield bar.told
    finally:
        bar.stop()


class _Bar:
    """The bar, started by a timer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = False
        # Of each stage: bytes done and bytes in all.
        self._now: dict[str, tuple[int, int]] = {}
        # Whether what is written is compared meanwhile.
        self._beside = False
        self._shown = ("", 0)
        self._update: Callable[[str, int, int], None] | None = None
        self._end: Callable[[], None] | None = None
        self._timer = threading.Timer(DELAY, self._start)
        self._timer.daemon = True
        self._timer.start()

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        with self._lock:
            if self._stopped:
                return
            # No file name is shown: they are untrusted.
            bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                DownloadColumn(),
                TransferSpeedColumn(),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            task = bar.add_task("", total=None)
            bar.start()

            def update(words: str, done: int, total: int) -> None:
                if words != self._shown[0] or done < self._shown[1]:
                    bar.reset(task)  # another stage or file: its bytes per second are its own
                self._shown = (words, done)
                bar.update(task, description=words, completed=done, total=total)

            self._update, self._end = update, bar.stop

    def told(self, stage: str, done: int, total: int) -> None:
        """What was done of a stage."""
        with self._lock:
            if stage == _BOTH[1] and stage not in self._now and _BOTH[0] in self._now:
                done_before, of = self._now[_BOTH[0]]
                self._beside = done_before < of
            self._now[stage] = (done, total)
            if self._update:
                stages = _BOTH if self._beside and stage in _BOTH else (stage,)
                amounts = [self._now[one] for one in stages]
                words = " and ".join(_WORDS.get(one, one) for one in stages)
                self._update(words, sum(done for done, _ in amounts), sum(total for _, total in amounts))

    def stop(self) -> None:
        """Takes the bar away."""
        self._timer.cancel()
        with self._lock:
            self._stopped = True
            if self._end:
                self._end()
