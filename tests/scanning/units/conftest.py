"""What the tests of units share: folders made of names and bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from safeload.errors import InputNotFound
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.units import find, judge, unit_reports
from safeload.source import Source


class MemoryFolder:
    """A folder that lies in memory."""

    def __init__(self, files: Mapping[str, str | bytes], path: str = "folder") -> None:
        self.path = path
        self._files = {name: data.encode() if isinstance(data, str) else data for name, data in files.items()}

    def names(self) -> tuple[str, ...]:
        return tuple(self._files)

    def open(self, name: str) -> Source:
        if name not in self._files:
            raise InputNotFound(2, "No such file", name)
        return MemorySource(self._files[name], name)


Judged = Callable[..., Report]
"""`judged({name: text}, kind="hf-model")`: the report of the folder as that kind of unit."""


@pytest.fixture
def judged() -> Judged:
    def report(files: Mapping[str, str | bytes], kind: str, limits: Limits | None = None) -> Report:
        folder = MemoryFolder(files)
        (found,) = (unit for unit in find(folder) if unit.name == kind)
        return judge(folder, found, Policy.default(), limits or Limits())

    return report


@pytest.fixture
def folder_of() -> type[MemoryFolder]:
    """`folder_of({name: bytes})`: a folder in memory."""
    return MemoryFolder


@pytest.fixture
def told() -> Callable[[Mapping[str, str | bytes]], list[tuple[str, str, str]]]:
    """`told({path: text})`: (path, kind, verdict) of every report over a tree of files."""

    def reports(files: Mapping[str, str | bytes]) -> list[tuple[str, str, str]]:
        folder = MemoryFolder(files)
        found = unit_reports(folder.names(), Policy.default(), Limits(), opened=folder.open)
        return [(report.path, report.container, report.verdict.value) for report in found]

    return reports
