"""Inert names for CPython's unpicklers: calling, building or filling what a stream names only writes a line of a log.

Nothing that a stream names is imported. Needs nothing but the standard library of CPython 3.8, because other versions
run it too.
"""

from __future__ import annotations

from typing import Any


class Thing:
    """An inert object: what a recorder class makes, or a persistent load gives."""

    def __init__(self, log: list[tuple[Any, ...]]) -> None:
        self._log = log

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        made = Thing(self._log)
        self._log.append(("call", self, args, kwargs, made))
        return made

    def __setstate__(self, state: Any) -> None:
        self._log.append(("build", self, state))

    def extend(self, items: list[Any]) -> None:
        self._log.append(("append", self, list(items)))

    def append(self, item: Any) -> None:
        self.extend([item])  # what Python's unpickler calls where C's calls extend

    def __setitem__(self, key: Any, value: Any) -> None:
        self._log.append(("setitem", self, key, value))

    def add(self, item: Any) -> None:
        self._log.append(("additem", self, item))


class Recorder(type):
    """A class that records what is done with it. Its methods serve the class, those of Thing its instances."""

    log: list[tuple[Any, ...]]

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        made = Thing(cls.log)
        cls.log.append(("call", cls, args, kwargs, made))
        return made

    def __setstate__(cls, state: Any) -> None:
        cls.log.append(("build", cls, state))

    def extend(cls, items: list[Any]) -> None:
        cls.log.append(("append", cls, list(items)))

    def append(cls, item: Any) -> None:
        cls.extend([item])

    def __setitem__(cls, key: Any, value: Any) -> None:
        cls.log.append(("setitem", cls, key, value))

    def add(cls, item: Any) -> None:
        cls.log.append(("additem", cls, item))


def _new(cls: Any, *args: Any, **kwargs: Any) -> Any:
    return Recorder.__call__(cls, *args, **kwargs)


def oracle_class(base: type) -> type:
    """An unpickler of kind `base` whose names are inert."""

    class Oracle(base):  # type: ignore[misc]
        log: list[tuple[Any, ...]]

        def find_class(self, module: str, name: str) -> Any:
            made = Recorder("Named", (), {"__new__": _new, "log": self.log})
            self.log.append(("global", module, name, made))
            return made

        def persistent_load(self, pid: Any) -> Any:
            made = Thing(self.log)
            self.log.append(("persistent", pid, made))
            return made

    return Oracle
