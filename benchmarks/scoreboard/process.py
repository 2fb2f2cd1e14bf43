"""One call in a child process of its own: in an empty folder, without input, with limits. Knows no tool and no file.

The child is forked, so that a module imported before is there at once, and is a leader of its own group, so that all
it started ends with it. POSIX only.
"""

from __future__ import annotations

import _thread
import atexit
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

TIMEOUT_S = 30.0
MEMORY = 12 << 30
FILES = 1 << 28


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended.

    how      "returned", "raised", "ended" (the process is gone without an answer), "killed" (by a signal) or "timeout"
    value    what it returned, or the exception's type and text
    left     names of files that stood in its folder afterwards
    seconds  of wall clock, from the call to its end, without the fork
    printed  what it wrote to its standard output
    """

    how: str
    value: Any
    left: tuple[str, ...]
    seconds: float
    printed: str = ""


def settle() -> None:
    """Let everything that the call began come to its end: threads, children, what waits for the exit."""
    until = time.monotonic() + 2
    while _thread._count() and time.monotonic() < until:
        time.sleep(0.005)
    atexit._run_exitfuncs()
    with suppress(OSError):
        while True:
            os.waitpid(-1, 0)


def inside(call: Callable[[], Any], folder: str, answer: int, output: int) -> None:
    """The child: never returns."""
    os.setpgid(0, 0)
    # Only what the call itself leaves for the exit is run at its end: libraries take long to say goodbye.
    atexit._clear()
    weakref.finalize._registry.clear()  # type: ignore[attr-defined]
    atexit.register(weakref.finalize._exitfunc)  # type: ignore[attr-defined]
    os.chdir(folder)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(nothing, 2)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILES, FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    start = time.perf_counter()
    try:
        said = {"how": "returned", "value": call()}
    except BaseException as error:
        said = {"how": "raised", "value": f"{type(error).__name__}: {error}"[:500]}
    said["seconds"] = time.perf_counter() - start
    os.write(answer, json.dumps(said, default=str).encode())
    try:
        sys.stdout.flush()
        settle()
    finally:
        os._exit(0)


def wait(child: int, timeout: float) -> tuple[int | None, float]:
    """The status of a child, None after it was killed for taking too long; and the seconds it took."""
    start = time.perf_counter()
    pause = 0.0005
    while time.perf_counter() - start < timeout:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status, time.perf_counter() - start
        time.sleep(pause)
        pause = min(pause * 1.5, 0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None, timeout


def run(call: Callable[[], Any], timeout: float = TIMEOUT_S) -> Outcome:
    """Call `call` in a child. What it returns must be JSON."""
    folder = tempfile.mkdtemp(prefix="board-")
    sys.stdout.flush()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as answer:
        child = os.fork()
        if child == 0:
            inside(call, folder, answer.fileno(), output.fileno())
        status, seconds = wait(child, timeout)
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # whatever it left running
        answer.seek(0)
        output.seek(0)
        text, printed = answer.read(), output.read().decode("utf-8", "replace")
    left = tuple(sorted(os.listdir(folder)))
    shutil.rmtree(folder, ignore_errors=True)
    if text:
        said = json.loads(text)
        return Outcome(said["how"], said["value"], left, said["seconds"], printed)
    how = "timeout" if status is None else "killed" if os.WIFSIGNALED(status) else "ended"
    return Outcome(how, status, left, seconds, printed)
