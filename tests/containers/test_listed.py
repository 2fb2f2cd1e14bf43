"""The tuple of containers: each that is written is listed once, and none takes a file that has nothing of it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import safeload.containers
from safeload.containers import CONTAINERS, recognise
from safeload.containers.interface import Container
from safeload.containers.kinds import KINDS
from safeload.containers.kinds.interface import ArchiveKind
from safeload.containers.unrecognised import Unrecognised
from safeload.inputs import MemorySource


def modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(safeload.containers.__path__, "safeload.containers."):
        yield importlib.import_module(found.name)


def written() -> Iterator[type]:
    """Every class of the folder that has the methods of the interface; the last resort aside."""
    methods = [name for name, value in vars(Container).items() if inspect.isfunction(value) and name[0] != "_"]
    assert methods == ["recognise", "read"]
    for module in modules():
        for kind in vars(module).values():
            own = inspect.isclass(kind) and kind.__module__ == module.__name__ and kind not in (Container, Unrecognised)
            if own and all(hasattr(kind, method) for method in methods):
                yield kind


def test_every_container_is_listed() -> None:
    found = set(written())
    assert len(found) > 10
    assert {type(container) for container in CONTAINERS} == found


def test_every_kind_of_archive_is_listed() -> None:
    """A kind is a value: any of its modules may have several."""
    found = {value.name for module in modules() for value in vars(module).values() if isinstance(value, ArchiveKind)}
    assert {kind.name for kind in KINDS} == found


def test_names_are_told_apart() -> None:
    """A report names its container by that word alone."""
    names = [container.name for container in (*CONTAINERS, Unrecognised())]
    assert all(names)
    assert len(set(names)) == len(names)


def test_no_container_takes_what_has_nothing_of_it() -> None:
    for data in (b"", b"\xee"):
        for container in CONTAINERS:
            assert not container.recognise(MemorySource(data)), container.name
        assert [container.name for container in recognise(MemorySource(data))] == ["unknown"]
