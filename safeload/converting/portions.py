"""One file in portions, done by a few threads in the order of the file. Knows no tensor and no format.

A portion is done by one thread from its start to its end: written, and compared while the processor still has the bytes
at hand. Several threads pay twice over: the kernel copies for one while Python prepares for the other, and a file
larger than memory is read from the disk once.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

PORTION = 512 << 10
"""Bytes of neighbouring tensors that are moved together; a larger tensor is a portion of its own."""

MANY = 256
"""Tensors of one portion at most: the system takes 1024 buffers at a time."""

# More would wait for each other: the system lets one at a time write to a file.
_THREADS = 2
_PAUSE = 0.001

Work = Callable[[range], None]
"""Does one portion: the indices of its tensors."""

Told = Callable[[int], None]
"""Called with bytes: done so far, or more of them."""


def portions(sizes: Sequence[int]) -> Iterator[range]:
    """Neighbours of `sizes` (bytes of each tensor, in the order of the file) as ranges of their indices."""
    first = total = 0
    for index, size in enumerate(sizes):
        if index > first and (total + size > PORTION or index - first >= MANY):
            yield range(first, index)
            first, total = index, 0
        total += size
    if sizes:
        yield range(first, len(sizes))


def hands(*, alone: bool) -> int:
    """How many threads work on one file. `alone`: its source cannot be read by several."""
    if alone or not (hasattr(os, "pread") and hasattr(os, "pwrite")):
        return 1
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _THREADS)


class Stopped(Exception):
    """Another portion failed, so this one was given up. Never leaves this folder."""


class Crew:
    """Threads that share the portions of one file."""

    def __init__(self) -> None:
        self._errors: list[BaseException] = []
        self._busy: set[int] = set()
        self._turn = threading.Lock()

    def share(self, parts: Iterable[range], workers: Sequence[Work]) -> None:
        """Give `parts` to `workers`, in order. The first worker is used by this thread, the others by one thread each.

        Raises what the first that failed raised, when none of them is at work any more.
        """
        rest = iter(parts)
        threads: list[threading.Thread] = []
        try:
            for worker in workers[1:]:
                thread = threading.Thread(target=self._work, args=(rest, worker), name="safeload-portions", daemon=True)
                with suppress(RuntimeError):  # no more threads are to be had: fewer do it too
                    thread.start()
                    threads.append(thread)
            self._work(rest, workers[0])
            for thread in threads:
                thread.join()
        except BaseException as error:  # Ctrl-C in between
            self._failed(error)
        self.wait()
        if self._errors:
            raise self._errors[0]

    def wait(self) -> None:
        """Return when no other thread does a portion or will begin one.

        SECURITY: whatever interrupts the waiting, nobody may go on writing to a descriptor that is closed next. Threads
        are not asked whether they are alive: one that was being started when Ctrl-C came is in no list, and a `join`
        that was interrupted makes Python 3.11 and 3.12 take its thread for ended.
        """
        self._busy.discard(threading.get_ident())  # who waits is at no portion
        try:
            while self._busy:
                time.sleep(_PAUSE)
        except BaseException as error:  # Ctrl-C again
            self._failed(error)
            self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Again: an interruption may come between any two steps of `share`.
        if error is not None:
            self._failed(error)
        self.wait()

    def told(self, told: Told, done: int = 0) -> Told:
        """`told`, which takes bytes done, for workers to call with bytes more.

        Called by one thread at a time. Raises Stopped when another thread failed, and when `told` raised.
        """

        def step(count: int) -> None:
            nonlocal done
            with self._turn:
                if self._errors:
                    raise Stopped
                done += count
                try:
                    told(done)
                except BaseException as error:
                    # The caller's own: it comes out of `share` as it is, whatever it is taken for on the way.
                    self._failed(error)
                    raise Stopped from error

        return step

    def _work(self, rest: Iterator[range], worker: Work) -> None:
        me = threading.get_ident()
        try:
            while (part := self._next(rest, me)) is not None:
                worker(part)
        except BaseException as error:  # raised again by `share`
            self._failed(error)
        finally:
            self._busy.discard(me)

    def _next(self, rest: Iterator[range], me: int) -> range | None:
        """The next portion, None when there is none or another failed; who has one counts as at work."""
        with self._turn:
            # In this order: who waits has said that something failed, and looks at `_busy` after that.
            self._busy.add(me)
            return None if self._errors else next(rest, None)

    def _failed(self, error: BaseException) -> None:
        # Ctrl-C comes before what failed for another reason, and before those that gave up for either.
        self._errors.insert(len(self._errors) if isinstance(error, Exception) else 0, error)
