"""Run a command in a fresh process and read from the kernel what it cost. Knows no tool.

The peak of a child counts from the memory of the process that started it, so whoever imports this stays small: no
numpy, no torch.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Cost:
    """One run: seconds of wall clock and of CPU (user and system), peak memory in bytes, and how it ended."""

    wall: float
    cpu: float
    peak: int
    outcome: str
    output: str = ""


def run(argv: Sequence[str], cwd: Path) -> Cost:
    """Run `argv`; its output goes to a file so that no pipe slows it down."""
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        child = subprocess.Popen(argv, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        timer = threading.Timer(TIMEOUT_S, child.kill)
        timer.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - start
        timer.cancel()
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        output = out.read().decode("utf-8", "replace")
    return Cost(
        wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, outcome(child.returncode, output), output
    )


def outcome(code: int, output: str) -> str:
    """How a command ended, in words: a traceback or a kill is never shown as a result."""
    if code == -signal.SIGKILL:
        return "killed"
    if "Traceback (most recent call last)" in output:
        last = output.strip().splitlines()[-1]
        return f"exit {code}, crash: {last.split(':')[0].split('.')[-1][:40]}"
    if "resource limits exceeded" in output:
        return f"exit {code}, gave up at its limits"
    return f"exit {code}"


def run_all(commands: Sequence[Sequence[str]], cwd: Path) -> Cost:
    """Several commands, one after the other, as one cost: times add up, the peak is the largest."""
    costs = [run(argv, cwd) for argv in commands]
    ends = sorted({cost.outcome for cost in costs})
    words = ends[0] if len(ends) == 1 else "; ".join(f"{sum(c.outcome == e for c in costs)} x {e}" for e in ends)
    return Cost(
        sum(c.wall for c in costs), sum(c.cpu for c in costs), max(c.peak for c in costs), words, costs[-1].output
    )


def median(costs: Sequence[Cost]) -> Cost:
    """The median of each figure; how the first ended, and whether any ended otherwise."""
    ends = {cost.outcome for cost in costs}
    return Cost(
        statistics.median(c.wall for c in costs),
        statistics.median(c.cpu for c in costs),
        int(statistics.median(c.peak for c in costs)),
        costs[0].outcome if len(ends) == 1 else " / ".join(sorted(ends)),
        costs[0].output,
    )


def repeats(first: Cost) -> int:
    """How often a command is run: 5 times, fewer when it is slow."""
    if first.wall > 20:
        return 1
    return 3 if first.wall > 5 else 5
