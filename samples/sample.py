"""What a sample is: bytes, a line that says what they try, and what a scan must answer. Data only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One file below samples/files.

    path     "group/name"
    what     what the file is, and what it is there for
    verdict  literal verdict
    rules    literal rule ids of every finding, sorted, each once
    data     the file
    """

    path: str
    what: str
    verdict: str
    rules: tuple[str, ...]
    data: bytes

    @property
    def hostile(self) -> bool:
        """Whether the file tries something: it must never be clean."""
        return not self.path.startswith("benign/")


def dangerous(path: str, what: str, data: bytes, *rules: str) -> Sample:
    """A file in which something dangerous is seen."""
    return Sample(path, what, "dangerous", tuple(sorted(rules)), data)


def unjudged(path: str, what: str, data: bytes, *rules: str) -> Sample:
    """A file that cannot be understood whole, or in one way only."""
    return Sample(path, what, "unjudged", tuple(sorted(rules)), data)


def unvetted(path: str, what: str, data: bytes, *rules: str) -> Sample:
    """A file that is understood and names what the table does not hold."""
    return Sample(path, what, "unvetted", tuple(sorted(rules)), data)


def clean(path: str, what: str, data: bytes, *rules: str) -> Sample:
    """A file that stays inside the table."""
    return Sample(path, what, "clean", tuple(sorted(rules)), data)
