"""Turns Python's garbage collection off while a pickle is interpreted.

A run makes many containers and keeps all of them. Every collection meanwhile walks them and frees nothing, which
doubles the time. This file changes nothing else of the process.
"""

from __future__ import annotations

import gc
import threading


class Pauses:
    """How many runs are going on, and whether collection was on before the first of them.

    Collection is a switch of the whole process, and several threads may scan at once: so the first pause turns it off,
    the last resume turns it on again, and `lock` guards both.
    """

    __slots__ = ("before", "lock", "running")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.running = 0
        self.before = False


_PAUSES = Pauses()


def pause() -> None:
    """Turn collection off. It stays off until every `pause`, of any thread, has had its `resume`."""
    with _PAUSES.lock:
        if _PAUSES.running == 0:
            _PAUSES.before = gc.isenabled()
            gc.disable()
        _PAUSES.running += 1


def resume() -> None:
    """Undo one `pause`. The last one turns collection on again if it was on before the first."""
    with _PAUSES.lock:
        _PAUSES.running -= 1
        if _PAUSES.running == 0 and _PAUSES.before:
            gc.enable()
