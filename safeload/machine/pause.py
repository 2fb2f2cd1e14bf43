"""Garbage collection off while a pickle is interpreted.

A run makes only containers that it keeps, so every collection meanwhile is wasted: it doubles the time. Nothing else
of the process may be changed here.
"""

from __future__ import annotations

import gc
import threading


class Pauses:
    """How many runs are going on, and whether collection was on before the first. Guarded by `lock`."""

    __slots__ = ("before", "lock", "running")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running = 0
        self.before = False


_PAUSES = Pauses()


def pause() -> None:
    """Turn collection off until as many `resume` calls as `pause` calls were made, from any thread."""
    with _PAUSES.lock:
        if _PAUSES.running == 0:
            _PAUSES.before = gc.isenabled()
            gc.disable()
        _PAUSES.running += 1


def resume() -> None:
    """Undo one `pause`; the last one puts collection back as the first found it."""
    with _PAUSES.lock:
        _PAUSES.running -= 1
        if _PAUSES.running == 0 and _PAUSES.before:
            gc.enable()
