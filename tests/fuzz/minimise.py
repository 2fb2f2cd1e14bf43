"""The smallest input that fails in the same way, found by taking pieces out. Each try is a fork, which may die.

Not the smallest there is: halves, quarters, ... are taken out for as long as the failure stays, within a budget.
"""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
import warnings
from pathlib import Path

from tests.fuzz.exercise import Exercise
from tests.fuzz.mutants import Case


def smallest(data: bytes, kind: str, index: int, *, seconds: float = 60.0) -> bytes:
    """`data` without what the failure `kind` of case `index` does not need; `data` when it does not recur."""
    end = time.monotonic() + seconds
    if not fails(data, kind, index):
        return data
    size = len(data) // 2
    while size and time.monotonic() < end:
        at, cut = 0, False
        while at < len(data) and time.monotonic() < end:
            tried = data[:at] + data[at + size :]
            if fails(tried, kind, index):
                data, cut = tried, True
            else:
                at += size
        if not cut or size > len(data):
            size = min(size // 2, len(data))
    return data


def fails(data: bytes, kind: str, index: int, *, seconds: int = 20) -> bool:
    """Whether `data` has a problem of this kind; `kind` of a dead process is its signal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # newer Pythons warn of forks beside threads; the child runs none of them
        child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(seconds)
            warnings.simplefilter("ignore")
            with tempfile.TemporaryDirectory() as folder:
                found = Exercise(Path(folder)).run(Case(data, None, ""), random.Random(index))
            code = 0 if any(problem.kind == kind for problem in found) else 1
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        told = -os.WTERMSIG(status)
        return kind == f"the process ends with {told}" or (told == -signal.SIGALRM and kind.startswith("no answer"))
    return os.WEXITSTATUS(status) == 0
