"""Several conversions at a time, in threads: the kernel moves the bytes, so they wait for disks, not for each other.

The first error (or Ctrl-C) ends the others at their next step; nothing of them is left behind. Knows no format.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
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
    with ThreadPoolExecutor(max(jobs, 1), thread_name_prefix="safeload-convert") as pool:
        futures: list[Future[Result]] = [pool.submit(work, task, given) for task in tasks]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        failed = [future for future in futures if future in done and future.exception() is not None]
        if failed:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise failed[0].exception() or AssertionError("it failed")
        return [future.result() for future in futures]
