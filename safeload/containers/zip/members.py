"""The contents of zip members: inflating them within bounds, checking them, and judging each by what it holds.

The zip readers share this file. It turns a member into the part that the scanner should see: a pickle, a file of its
own, or a finding for what cannot be read. Nothing here decides that a member is harmless.
"""

from __future__ import annotations

import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager

from safeload.containers.interface import Answer, Naming, Nested, Part, Pickle
from safeload.containers.remarks import trailing_bytes
from safeload.containers.sniff import HEAD, may_be_pickle
from safeload.containers.zip.entry import STORED, Entry
from safeload.containers.zip.inflating import inflated_pieces
from safeload.containers.zip.rules import Notes
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding
from safeload.limits import Limits
from safeload.source import Source

Parts = Generator[Part, Answer | None, None]

_ALWAYS = 1 << 20
# All members of one archive together may inflate to this even when they are highly compressed.
_ALWAYS_TOGETHER = 64 << 20
# Pickles in a row in one member; more than a hundred is an attack on patience.
_STREAMS = 100


class Members:
    """Bounded access to the members of one archive. Raises Malformed or LimitExceeded for one member at a time.

    named    keys of the storages that the pickles named so far
    broken   a pickle was not understood, so that others may have been named
    """

    __slots__ = ("_inflated", "_limits", "_source", "broken", "named", "notes")

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._inflated = 0
        self.notes = Notes()
        self.named: set[str] = set()
        self.broken = False

    def extent(self, entry: Entry) -> Extent:
        """Where the member lies; LimitExceeded when it would inflate beyond the limits."""
        if entry.method == STORED:
            return Extent(entry.data, entry.length, entry.size)
        self._allow(entry)
        return Extent(entry.data, entry.length, entry.size, stored=False)

    def storage(self, entry: Entry) -> Extent:
        """Where a storage lies; what is compressed is inflated to nowhere, Malformed when it does not give its size.

        SECURITY: a stream that is cut off, or goes on behind its end, is a storage to torch and to us nothing that can
        be loaded: without this it would be called clean all the same.
        """
        extent = self.extent(entry)
        if not extent.stored:
            for _ in self._pieces(entry):
                pass
        return extent

    def content(self, entry: Entry, most: int | None = None, limit: str = "inflated_bytes") -> bytes:
        """The whole content, of at most `most` bytes (the limit named `limit`)."""
        if most is not None and entry.size > most:
            raise LimitExceeded(
                f"the member {entry.name!r:.200} has {entry.size} bytes", limit=limit, offset=entry.data
            )
        if entry.method == STORED:
            return self._source.read(entry.data, entry.size)
        self._allow(entry)
        return b"".join(self._pieces(entry))

    def crc_agrees(self, entry: Entry, data: bytes) -> bool:
        """Whether the checksum is right; 0 stands for a writer that was told not to compute it."""
        return entry.crc in (0, zlib.crc32(data))

    def _allow(self, entry: Entry) -> None:
        """Compare the size that a compressed member announces with the limits."""
        limits, size = self._limits, entry.size
        if size > limits.inflated_bytes:
            raise LimitExceeded(
                f"the member {entry.name!r:.200} inflates to {size} bytes", limit="inflated_bytes", offset=entry.data
            )
        if size > _ALWAYS and size > entry.length * limits.inflation_ratio:
            raise LimitExceeded(
                f"the member {entry.name!r:.200} inflates {size // max(entry.length, 1)} times, to {size} bytes",
                limit="inflation_ratio",
                offset=entry.data,
            )

    def _pieces(self, entry: Entry) -> Iterator[bytes]:
        """Inflate within the announced size, a piece at a time."""
        self._inflated += entry.size
        if self._inflated > _ALWAYS_TOGETHER + self._limits.inflation_ratio * self._source.size:
            raise LimitExceeded("the members inflate to too much together", limit="inflation_ratio", offset=entry.data)
        # Deflate never makes anything longer than this; the rest would be read for nothing.
        if entry.length > entry.size + entry.size // 100 + 1024:
            raise Malformed("the compressed member is longer than its content", offset=entry.data)
        yield from inflated_pieces(self._source.read, entry.data, entry.length, entry.size, "the member")

    @contextmanager
    def noting(self, entry: Entry) -> Iterator[None]:
        """Turn what goes wrong with one member into a finding: the others are still judged."""
        try:
            yield
        except LimitExceeded as error:
            self.notes.add("zip-limit", error.message, member=entry.name, offset=entry.data)
        except Malformed as error:
            self.notes.add("zip-deflate", error.message, member=entry.name, offset=entry.data)

    def _guarded(self, entry: Entry, parts: Parts) -> Parts:
        """`parts`, with a finding in the place of a member that cannot be read."""
        # What is encrypted or compressed otherwise has its finding from the directory.
        if entry.readable:
            with self.noting(entry):
                yield from parts
            yield from self.notes.take()

    def pickle(self, entry: Entry, role: str, *, main: bool = False, naming: Naming = Naming.NOTHING) -> Parts:
        """The member as a pickle of torch's."""
        yield from self._guarded(entry, self._pickle(entry, role, main, naming))

    def _pickle(self, entry: Entry, role: str, main: bool, naming: Naming) -> Parts:
        data = self.content(entry, self._limits.pickle_bytes, "pickle_bytes")
        if not self.crc_agrees(entry, data):
            self.notes.add(
                "zip-crc",
                "the checksum of this pickle is wrong: torch loads it all the same, other readers refuse",
                member=entry.name,
                offset=entry.data,
            )
            yield from self.notes.take()
        base = entry.data if entry.method == STORED else 0
        start, end = base, base + entry.size
        kept = None if entry.method == STORED else data
        for index in range(_STREAMS):
            answer = yield Pickle(
                role if index == 0 else f"{role}, after its end",
                start,
                end,
                member=entry.name,
                data=kept,
                base=base,
                main=main and index == 0,
                naming=naming,
                encoding="utf-8",
            )
            stop = answer.end if answer is not None else None
            if answer is not None:
                self.named.update(answer.storages)
            self.broken = self.broken or stop is None
            if stop is None or not start < stop < end:
                return
            if index == 0:
                # SECURITY: torch stops at STOP; a loader that reads on would run what follows.
                yield trailing_bytes(stop - base, end - stop, "the end of the pickle", entry.name)
            if not may_be_pickle(data[stop - base : stop - base + HEAD], end - stop):
                return
            start = stop

    def file(self, entry: Entry, *, main: bool = False) -> Nested:
        """The member as a file met in a folder."""
        return self.nested(entry, main=main)._replace(skippable=True)

    def raw(self, entry: Entry) -> Nested:
        """The member as numbers that another member describes: judged where some program could read it as a file."""
        return self.nested(entry)._replace(raw=True)

    def tell_foreign(self, entry: Entry, kind: str) -> None:
        """Note that the loader of this kind of archive does not know the member."""
        self.notes.add(
            "foreign-member",
            f"a {kind} archive has no such member: its loader passes it over, and another program may read it",
            member=entry.name,
            offset=entry.data,
        )

    def judged(self, entry: Entry) -> Parts:
        """The member by what it holds, or a finding in its place."""
        yield from self._guarded(entry, self._file(entry))

    def _file(self, entry: Entry) -> Parts:
        yield self.file(entry)

    def unnamed(self, entry: Entry) -> Parts:
        """The member of a storage that no pickle names: what somebody could load is judged, raw numbers are nothing."""
        if entry.readable and (entry.size or entry.length):
            yield from self._guarded(entry, self._unnamed(entry))

    def _unnamed(self, entry: Entry) -> Parts:
        yield self.raw(entry)

    def nested(self, entry: Entry, *, main: bool = False) -> Nested:
        """The member as a file of its own."""
        extent = self.extent(entry)
        return Nested(entry.name, extent, None if extent.stored else self.content(entry), main)

    def content_or_none(self, entry: Entry, most: int, limit: str) -> bytes | None:
        """The content, or None and a finding when it cannot be had within `most` bytes."""
        if entry.readable:
            with self.noting(entry):
                return self.content(entry, most, limit)
        return None


def files(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries that are no mere folders."""
    return (entry for entry in entries if not entry.is_folder)


def findings_of(notes: Notes) -> tuple[Finding, ...]:
    """What is left to say at the end."""
    return notes.take() + notes.rest()
