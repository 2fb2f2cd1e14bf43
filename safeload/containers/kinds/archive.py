"""The reader of all archive kinds that have a table: finds the row of each member, and reads it as the row says.

Knows no kind by name. It passes over a member in two cases only: a row names it, or the scanner has proven, to the last
byte, that the file is no model; the scanner then reports it as skipped.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import NamedTuple, assert_never

from safeload.containers.interface import Answer, ContainerLayout, MemberNames, Part, Reading, StorageExtents
from safeload.containers.kinds.interface import (
    ArchiveKind,
    AsCode,
    AsContent,
    AsFile,
    AsPickle,
    AsRaw,
    AsRecord,
    AsStorage,
    How,
)
from safeload.containers.kinds.readers import reader_of
from safeload.containers.zip.directory import read_directory
from safeload.containers.zip.entry import ZipEntry
from safeload.containers.zip.flavour import flavours
from safeload.containers.zip.members import Members, files
from safeload.document.document import Extent
from safeload.limits import Limits
from safeload.source import Source

Judged = Generator[Part, Answer | None, int]
"""Yields parts, and returns how many members were judged; skipped ones do not count."""

_RECORD = 1000
"""Bytes that a record may have; the longest that a loader writes has 40."""


class _Member(NamedTuple):
    """An entry, how its row says to read it (None without a row), and its key if it is a storage."""

    entry: ZipEntry
    how: How | None
    key: str


class KindArchive:
    """The reader of one kind: see the module."""

    def __init__(self, kind: ArchiveKind) -> None:
        self.kind = kind
        self.name = kind.name

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return self.name in flavours(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        directory = read_directory(source, limits)
        yield from directory.findings
        members = Members(source, limits)
        by_name = {entry.name: entry for entry in directory.entries}
        unpacked = (lambda name: members.nested(by_name[name])) if self.kind.unpacked else None
        yield MemberNames([entry.name for entry in files(directory.entries)], unpacked)
        if self.kind.floor is not None:
            members.notes.add(*self.kind.floor)
        found = [self._member(entry, directory.entries[0].name) for entry in files(directory.entries)]
        storages: dict[str, Extent] = {}
        for member in found:
            if isinstance(member.how, AsStorage) and member.entry.readable:
                with members.noting(member.entry):
                    storages.setdefault(member.key, members.storage(member.entry))
        if storages:
            yield StorageExtents(storages)
        yield from members.notes.take()
        judged = len(storages)
        for member in found:
            # A member that is encrypted or compressed in another way has its finding from `read_directory`.
            if member.entry.readable:
                with members.noting(member.entry):
                    judged += yield from self._read(members, member, limits)
                yield from members.notes.take()
        # SECURITY: a name like that of a storage makes no tensor data of a member: nobody reads it as numbers unless a
        # pickle names it. A pickle that was not understood may have named it, and is reported instead.
        for member in found:
            if isinstance(member.how, AsStorage) and not members.broken and member.key not in members.named:
                yield from members.unnamed(member.entry)
        if not judged:
            members.notes.add(
                "zip-nothing-to-scan",
                f"none of the {len(directory.entries)} members is a model, a pickle or an archive: nothing was judged",
            )
        yield from members.notes.rest()
        return ContainerLayout(storages, metadata={"archive": self.kind.name}, judged=judged)

    def _member(self, entry: ZipEntry, first: str) -> _Member:
        """The entry, with the row that matches its name below the archive's folder."""
        name = entry.name
        if self.kind.folder:
            folder, slash, _ = first.partition("/")
            start = folder + slash
            below = name.lower().startswith(start.lower()) if self.kind.caseless else name.startswith(start)
            if not slash or not below:
                return _Member(entry, None, name)
            name = name[len(start) :]
        row = self.kind.row(name)
        if row is None:
            return _Member(entry, AsFile() if self.kind.unpacked else None, name)
        return _Member(entry, row[0].how, row[1][row[1].lastindex or 0])

    def _read(self, members: Members, member: _Member, limits: Limits) -> Judged:
        """Read one member as its row says."""
        entry, how = member.entry, member.how
        match how:
            case None:
                members.tell_foreign(entry, self.name)
                yield from members.judged(entry)
            case AsFile():
                return (yield from _file(members, entry))
            case AsPickle():
                yield from members.pickle(entry, how.role, naming=how.naming)
            case AsStorage():
                return 0  # read before the pickles that name it
            case AsRaw():
                yield members.raw(entry)
            case AsRecord():
                if entry.size <= _RECORD and re.fullmatch(how.text, members.content(entry)):
                    return 0
                members.tell_foreign(entry, self.name)
                yield from members.judged(entry)
            case AsContent():
                for part in reader_of(how.description)(members.content(entry), entry.name, limits):
                    yield part if part.member else part._replace(member=entry.name)
            case AsCode():
                members.notes.add(how.rule, how.message, member=entry.name, offset=entry.data)
                yield from members.notes.take()
                yield from _file(members, entry)
            case _:
                assert_never(how)
        return 1


def _file(members: Members, entry: ZipEntry) -> Judged:
    """Yield a member as a file met in a folder; return 0 when it was proven to be no model, else 1."""
    answer = yield members.file(entry)
    return 0 if answer is not None and answer.skipped else 1
