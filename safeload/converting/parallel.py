"""Several conversions at a time, in threads: the kernel moves the bytes, so they wait for disks, not for each other.

The first error (or Ctrl-C) ends the others at their next step; nothing of them is left behind. Knows no format.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from typing import TypeVar

from safeload.converting.interface import Options

Task = TypeVar("Task")
Result = TypeVar("Result")


class Stopped(BaseException):
    """Another conversion failed, so this one was given up."""


def run_all(
    work: Callable[[Task, Options], Result], tasks: Iterable[Task], options: Options, jobs: int
) -> list[Result]:
    """`work(task, options)` for each task, at most `jobs` at a time; results in the order of the tasks.

    Raises what the first that failed raised. `work` must pass the options on: their `progress` is how it is stopped.
    """
    stop = threading.Event()
    told = options.progress

    def progress(stage: str, done: int, total: int) -> None:
        if stop.is_set():
            raise Stopped
        if told is not None:
            told(stage, done, total)

    given = replace(options, progress=progress)

    def one(task: Task) -> Result:
        if stop.is_set():
            raise Stopped
        try:
            return work(task, given)
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
