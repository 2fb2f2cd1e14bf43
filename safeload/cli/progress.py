"""A progress bar on standard error: only on a terminal, and only for work that lasts. rich is imported late."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

# Seconds of work before anything is shown: what is done at once needs no bar.
DELAY = 0.5


@contextlib.contextmanager
def progress(total: int, *, show: bool) -> Iterator[Callable[[], None]]:
    """Gives a function to call after each of `total` files."""
    if not show:
        yield lambda: None
        return
    bar = _Bar(total)
    try:
        yield bar.step
    finally:
        bar.stop()


class _Bar:
    """The bar, started by a timer: one large file must show it too."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self._stopped = False
        self._update: Callable[[int], None] | None = None
        self._end: Callable[[], None] | None = None
        self._timer = threading.Timer(DELAY, self._start)
        self._timer.daemon = True
        self._timer.start()

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._stopped:
                return
            # No file name is shown: they are untrusted, and the count says as much.
            bar = Progress(
                TextColumn("scanning"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            task = bar.add_task("", total=self._total, completed=self._done)
            bar.start()
            self._update = lambda done: bar.update(task, completed=done)
            self._end = bar.stop

    def step(self) -> None:
        """One more file is done."""
        with self._lock:
            self._done += 1
            if self._update:
                self._update(self._done)

    def stop(self) -> None:
        """Takes the bar away."""
        self._timer.cancel()
        with self._lock:
            self._stopped = True
            if self._end:
                self._end()
