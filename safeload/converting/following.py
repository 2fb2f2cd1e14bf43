"""Verification in a thread of its own, right behind the writer: what both read is still in the memory of the system.

A file larger than memory is then read from the disk once. The comparison is the same as after the fact and shares no
state with the writer but one number: how many tensors, in the order of the file, are complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from safeload.converting.interface import Verification

Ready = Callable[[int], None]
"""Returns when the tensor of that index is complete."""


class Stopped(Exception):
    """The writer failed, so there is nothing to compare with. Never leaves this folder."""


class Following:
    """Runs `compare` beside the writer; a context manager that waits for its end.

    compare   given a Ready, compares every tensor
    """

    def __init__(self, compare: Callable[[Ready], Verification]) -> None:
        self._compare = compare
        self._complete = 0
        self._stopped = False
        self._error: BaseException | None = None
        self._result: Verification | None = None
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="safeload-verify", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._change:
            self._stopped = True
            self._change.notify()
        self._thread.join()

    def complete(self, count: int) -> None:
        """The first `count` tensors are written. Raises what the comparison raised, so that the writer ends with it."""
        if self._error is not None:
            raise self._error
        with self._change:
            self._complete = count
            self._change.notify()

    def result(self) -> Verification:
        """Wait for the end of the comparison."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise Stopped
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._compare(self._ready)
        except Stopped:
            pass
        except BaseException as error:  # handed to the writer's thread
            self._error = error

    def _ready(self, index: int) -> None:
        if self._complete > index:
            return
        with self._change:
            while self._complete <= index:
                if self._stopped:
                    raise Stopped
                self._change.wait()
