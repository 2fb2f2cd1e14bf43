"""What the table of an archive kind is: which members its loader knows, and how each is read.

One file for each kind lists its rows, as the vetted table lists callables. The first row whose pattern is the whole of
a member's name decides. A member that no row names is judged as a file, and is a finding where the loader of the kind
would never look at it. Data only: `archive.py` reads the members.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from safeload.containers.interface import ContentReader, Naming


class AsFile(NamedTuple):
    """The loader unpacks the member: it is judged as a file met in a folder, and may be proven to be no model."""


class AsPickle(NamedTuple):
    """The loader unpickles it, whatever it starts with. `role` is for people."""

    role: str
    naming: Naming = Naming.NOTHING


class AsStorage(NamedTuple):
    """Raw numbers that pickles name by the first group of the pattern."""


class AsRaw(NamedTuple):
    """Raw numbers that another member describes; judged as a file where anything else could read it so."""


class AsRecord(NamedTuple):
    """A small text: all that may stand there, as a regular expression over bytes."""

    text: bytes


class AsContent(NamedTuple):
    """Read whole, by a reader with a closed table of its own."""

    reader: ContentReader


class AsCode(NamedTuple):
    """Code that the loader runs: a finding of `rule` that says so, and judged as a file besides."""

    rule: str
    message: str


How = AsFile | AsPickle | AsStorage | AsRaw | AsRecord | AsContent | AsCode


class Row(NamedTuple):
    """One kind of member: a regular expression for its whole name, and how it is read."""

    pattern: str
    how: How


class Kind(NamedTuple):
    """An archive kind: its rows and what holds for all of its archives.

    name     of the container, as `zip_flavour` and reports have it
    folder   members lie below one folder, that of the first entry, and rows name them from there
    caseless the loader finds names without regard to case; rows are in lower case then
    rows     see `Row`
    floor    (rule, message) of the finding that every archive of the kind has, None for one without a floor
    unpacked the loader unpacks it like a folder: a member outside the rows is judged as a file, without a finding
    """

    name: str
    rows: Sequence[Row]
    folder: bool = False
    caseless: bool = False
    floor: tuple[str, str] | None = None
    unpacked: bool = False

    def row(self, name: str) -> tuple[Row, re.Match[str]] | None:
        """The first row for a member of this name, which counts from the archive's folder, and its match."""
        spelled = name.lower() if self.caseless else name
        for row in self.rows:
            found = re.fullmatch(row.pattern, spelled, re.DOTALL)
            if found is not None:
                return row, found
        return None
