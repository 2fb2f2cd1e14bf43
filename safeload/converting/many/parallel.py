"""Several conversions at a time, in threads: the kernel moves the bytes, so they wait for disks, not for each other.

The first error (or Ctrl-C) ends the others at their next step; nothing of them is left behind. Knows no format.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TypeVar

from safeload.converting.interface import Options, Progress

Task = TypeVar("Task")
Result = TypeVar("Result")


class Stopped(BaseException):
    """Another conversion failed, so this one was given up."""


class _Sums:
    """Of each stage what several conversions have done together."""

    def __init__(self, told: Progress | None) -> None:
        self._told = told
        self._turn = threading.Lock()
        self._sums: dict[str, tuple[int, int]] = {}

    def add(self, stage: str, done: int, total: int) -> None:
        """Bytes more that are done, and bytes more to do."""
        with self._turn:
            before = self._sums.get(stage, (0, 0))
            self._sums[stage] = (before[0] + done, before[1] + total)
            if self._told is not None:
                self._told(stage, *self._sums[stage])


def run_all(
    work: Callable[[Task, Options], Result], tasks: Iterable[Task], options: Options, jobs: int
) -> list[Result]:
    """`work(task, options)` for each task, at most `jobs` at a time; results in the order of the tasks.

    Raises what the first that failed raised. `work` must pass the options on: their `progress` is how it is stopped.
    What all of them have done of a stage is told as one.
    """
    stop = threading.Event()
    sums = _Sums(options.progress)

    def one(task: Task) -> Result:
        mine: dict[str, tuple[int, int]] = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stop.is_set():
                raise Stopped
            before = mine.get(stage, (0, 0))
            if done < before[0]:  # another file of the same task
                before = (0, 0)
            mine[stage] = (done, total)
            sums.add(stage, done - before[0], total - before[1])

        if stop.is_set():
            raise Stopped
        try:
            return work(task, replace(options, progress=progress))
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(max(jobs, 1), thread_name_prefix="safeload-convert") as pool:
        futures: list[Future[Result]] = [pool.submit(one, task) for task in tasks]
        try:
            wait(futures)
        except BaseException:  # Ctrl-C
            stop.set()
            raise
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in errors:
            if not isinstance(error, Stopped):
                raise error
        return [future.result() for future in futures]
