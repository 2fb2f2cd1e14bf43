"""The other end of cpython_child.py: gives it batches, and turns its crash or its silence into an answer.

The process is started when it is needed and again after it died. Reads what it says as JSON, never as a pickle.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CHILD = Path(__file__).with_name("cpython_child.py")
# Seconds that one batch may take before the child counts as stuck.
PATIENCE = 60.0

Case = tuple[bytes, str]
"""Bytes, and the encoding of python 2 strings."""


class Oracle:
    """CPython `python` as a judge of what a pickle does. `ask` and `answers` take turns."""

    def __init__(self, python: str = sys.executable, patience: float = PATIENCE) -> None:
        self.python = python
        self.patience = patience
        self.deaths = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._asked: list[Case] = []
        self._broken = False

    def ask(self, cases: list[Case]) -> None:
        """Give the child a batch to work on."""
        self._asked = cases
        if not cases:
            return
        if self._process is None or self._process.poll() is not None:
            self._process = subprocess.Popen(
                [self.python, "-I", "-W", "ignore", str(CHILD)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # CPython complains here of its own bugs (views of bytearrays that are gone)
                stderr=subprocess.DEVNULL,
            )
        line = json.dumps([[data.hex(), encoding] for data, encoding in cases]).encode() + b"\n"
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(line)
            stdin.flush()
            self._broken = False
        except BrokenPipeError:
            self._broken = True

    def answers(self) -> list[Any]:
        """One answer for each case asked; None where the child died of it or never answered."""
        found: list[Any] = []
        while len(found) < len(self._asked):
            lines = [] if self._broken else self._lines(len(self._asked) - len(found))
            found += [json.loads(line) for line in lines]
            if len(found) < len(self._asked):
                # The first case without an answer is the one that it died of.
                self.close()
                self.deaths += 1
                found.append(None)
                asked = self._asked
                self.ask(asked[len(found) :])
                self._asked = asked
        return found

    def close(self) -> None:
        """End the child."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._process = None

    def _lines(self, count: int) -> list[bytes]:
        """The child's next `count` lines, or fewer when it ended or did not answer in time."""
        assert self._process is not None
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        deadline = time.monotonic() + self.patience
        said = bytearray()
        lines = 0
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            while lines < count and selector.select(max(0.0, deadline - time.monotonic())):
                part = os.read(pipe, 1 << 20)
                if not part:
                    break
                said += part
                lines += part.count(b"\n")
        return bytes(said).split(b"\n")[:lines]
