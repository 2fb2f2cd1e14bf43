"""What the table of an archive kind is: which members the loader of this kind knows, and how it reads each.

Each kind has one file with its rows, as the vetted table has callables. The first row whose pattern matches the whole
name of a member says how the member is read. A member that no row names is judged as a file; and if the loader of this
kind would never look at it, it is also a finding. Holds data only: `archive.py` reads the members.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from safeload.containers.interface import Naming
from safeload.containers.kinds.readers import Description


class AsFile(NamedTuple):
    """The loader reads or unpacks the member as a file. It is judged as one met in a folder, and may be skipped."""


class AsPickle(NamedTuple):
    """The loader unpickles the member, whatever its first bytes are. `role` says for people what it is."""

    role: str
    naming: Naming = Naming.NOTHING


class AsStorage(NamedTuple):
    """Raw numbers. A pickle names them by a key, which is the first group of the pattern."""


class AsRaw(NamedTuple):
    """Raw numbers that another member describes. Judged as a file if a program could read it as one."""


class AsRecord(NamedTuple):
    """A small text. `text` is a regular expression over bytes; a member that it does not match is judged as a file."""

    text: bytes


class AsContent(NamedTuple):
    """A description, such as a JSON. Its reader takes the whole content, and judges it by a closed table of its own."""

    description: Description


class AsCode(NamedTuple):
    """Code that the loader runs. It gives a finding of `rule` that says so, and is judged as a file, too."""

    rule: str
    message: str


How = AsFile | AsPickle | AsStorage | AsRaw | AsRecord | AsContent | AsCode


class MemberRow(NamedTuple):
    """One row of the table: a regular expression for the whole name of a member, and how that member is read."""

    pattern: str
    how: How


class ArchiveKind(NamedTuple):
    """An archive kind: its rows, and what holds for every archive of this kind.

    name      of the container, in `zip/flavour.py` and in reports
    rows      see `MemberRow`
    folder    all members lie below one folder, that of the first entry; rows give names below it
    caseless  the loader ignores the case of names; rows are then in lower case
    floor     (rule, message) of a finding that every archive of this kind has: using one runs code. None for a kind
              whose archives can be clean
    unpacked  the loader unpacks the archive to a folder: a member outside the rows is judged as a file, and its being
              outside is no finding
    """

    name: str
    rows: Sequence[MemberRow]
    folder: bool = False
    caseless: bool = False
    floor: tuple[str, str] | None = None
    unpacked: bool = False

    def row(self, name: str) -> tuple[MemberRow, re.Match[str]] | None:
        """The first row that matches `name`, and the match; None for no row. `name` is below the archive's folder."""
        spelled = name.lower() if self.caseless else name
        for row in self.rows:
            found = re.fullmatch(row.pattern, spelled, re.DOTALL)
            if found is not None:
                return row, found
        return None
