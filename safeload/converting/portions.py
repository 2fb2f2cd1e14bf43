"""One file in portions, done by a few threads in the order of the file. Knows no tensor and no format.

A portion is done by one thread from its start to its end: written, and compared while the processor still has the bytes
at hand. Several threads pay twice over: the kernel copies for one while Python prepares for the other, and a file
larger than memory is read from the disk once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

PORTION = 512 << 10
"""Bytes of neighbouring tensors that are moved together; a larger tensor is a portion of its own."""

MANY = 256
"""Tensors of one portion at most: the system takes 1024 buffers at a time."""

_THREADS = 4

Work = Callable[[range], None]
"""Does one portion: the indices of its tensors."""

Told = Callable[[int], None]
"""Called with bytes done."""


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
    if alone or not hasattr(os, "pread"):
        return 1
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _THREADS)


class Stopped(Exception):
    """Another portion failed, so this one was given up. Never leaves this folder."""


class Crew:
    """Threads that share the portions of one file."""

    def __init__(self) -> None:
        self._errors: list[BaseException] = []
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
        except BaseException as error:  # Ctrl-C in between
            self._failed(error)
        # SECURITY: whatever interrupts the waiting, nobody may go on writing to a descriptor that is closed next.
        while any(thread.is_alive() for thread in threads):
            try:
                for thread in threads:
                    thread.join()
            except BaseException as error:  # Ctrl-C again
                self._failed(error)
        if self._errors:
            raise self._errors[0]

    def told(self, told: Told) -> Told:
        """`told`, called by one thread at a time with bytes more; raises Stopped when another thread failed."""
        done = 0

        def step(count: int) -> None:
            nonlocal done
            with self._turn:
                if self._errors:
                    raise Stopped
                done += count
                told(done)

        return step

    def _work(self, rest: Iterator[range], worker: Work) -> None:
        try:
            while not self._errors:
                with self._turn:
                    part = next(rest, None)
                if part is None:
                    return
                worker(part)
        except BaseException as error:  # raised again by `share`
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        # Ctrl-C comes before what failed for another reason, and before those that gave up for either.
        self._errors.insert(len(self._errors) if isinstance(error, Exception) else 0, error)
