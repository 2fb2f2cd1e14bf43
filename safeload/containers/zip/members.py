"""The contents of zip members: inflates them within bounds, checks them, and hands each to the scanner.

All zip readers use this file. It turns a member into the part that the scanner gets: a pickle, a file of its own, or a
finding for what it cannot read. Nothing here decides that a member is harmless.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager

from safeload.containers.interface import Answer, Naming, Nested, Part, Pickle
from safeload.containers.remarks import trailing_bytes
from safeload.containers.sniff import HEAD, may_be_pickle
from safeload.containers.zip.entry import STORED, ZipEntry
from safeload.containers.zip.inflating import inflated_pieces
from safeload.containers.zip.rules import Notes
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.source import Source

Parts = Generator[Part, Answer | None, None]

# A member may inflate to this, however highly it is compressed: small amounts do no harm.
_ALWAYS = 1 << 20
# The same for all members of one archive together.
_ALWAYS_TOGETHER = 64 << 20
# Pickles in a row that are judged in one member. No writer makes more; a file with thousands would only cost time.
_STREAMS = 100


class Members:
    """Reads the members of one archive within the limits. Malformed and LimitExceeded are about one member each.

    notes    findings so far
    named    keys of the storages that the pickles named so far
    broken   the scanner did not understand a pickle: it may have named further storages
    """

    __slots__ = ("_inflated", "_limits", "_source", "broken", "named", "notes")

    def __init__(self, source: Source, limits: Limits) -> None:
        self._source = source
        self._limits = limits
        self._inflated = 0
        self.notes = Notes()
        self.named: set[str] = set()
        self.broken = False

    def extent(self, entry: ZipEntry) -> Extent:
        """Where the member lies. Raises LimitExceeded when it would inflate beyond the limits."""
        if entry.method == STORED:
            return Extent(entry.data, entry.length, entry.size)
        self._allow(entry)
        return Extent(entry.data, entry.length, entry.size, stored=False)

    def storage(self, entry: ZipEntry) -> Extent:
        """Where a storage lies. Inflates a compressed one to check its size, and keeps none of it. Raises Malformed.

        SECURITY: torch takes a stream that is cut off, or that goes on behind its end; we could not load it. Without
        this check a file that we cannot read would be called clean.
        """
        extent = self.extent(entry)
        if not extent.stored:
            for _ in self._pieces(entry):
                pass
        return extent

    def content(self, entry: ZipEntry, most: int | None = None, limit: str = "inflated_bytes") -> bytes:
        """The whole content. Raises LimitExceeded, of the limit named `limit`, when it has more than `most` bytes."""
        if most is not None and entry.size > most:
            raise LimitExceeded(
                f"the member {entry.name!r:.200} has {entry.size} bytes", limit=limit, offset=entry.data
            )
        if entry.method == STORED:
            return self._source.read(entry.data, entry.size)
        self._allow(entry)
        return b"".join(self._pieces(entry))

    def _allow(self, entry: ZipEntry) -> None:
        """Raise LimitExceeded when the size that a compressed member announces is beyond the limits."""
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

    def _pieces(self, entry: ZipEntry) -> Iterator[bytes]:
        """Inflate a member in pieces, up to the size that it announces."""
        self._inflated += entry.size
        if self._inflated > _ALWAYS_TOGETHER + self._limits.inflation_ratio * self._source.size:
            raise LimitExceeded("the members inflate to too much together", limit="inflation_ratio", offset=entry.data)
        # Deflate never makes content longer than this. The stream has ended before, and the rest would be read in vain.
        if entry.length > entry.size + entry.size // 100 + 1024:
            raise Malformed("the compressed member is longer than its content", offset=entry.data)
        yield from inflated_pieces(self._source.read, entry.data, entry.length, entry.size, "the member")

    @contextmanager
    def noting(self, entry: ZipEntry) -> Iterator[None]:
        """Turn an error about one member into a finding, so that the other members are still judged."""
        try:
            yield
        except LimitExceeded as error:
            self.notes.add("zip-limit", error.message, member=entry.name, offset=entry.data)
        except Malformed as error:
            self.notes.add("zip-deflate", error.message, member=entry.name, offset=entry.data)

    def _guarded(self, entry: ZipEntry, made: Callable[[ZipEntry], Nested]) -> Parts:
        """Yield the part that `made` gives, or a finding when the member cannot be read."""
        # A member that is encrypted or compressed in another way has its finding from `read_directory`.
        if entry.readable:
            with self.noting(entry):
                yield made(entry)
            yield from self.notes.take()

    def pickle(self, entry: ZipEntry, role: str, *, main: bool = False, naming: Naming = Naming.NOTHING) -> Parts:
        """Yield the member as a pickle of torch's, and every pickle behind its end."""
        if entry.readable:
            with self.noting(entry):
                yield from self._pickles(entry, role, main, naming)
            yield from self.notes.take()

    def _pickles(self, entry: ZipEntry, role: str, main: bool, naming: Naming) -> Parts:
        data = self.content(entry, self._limits.pickle_bytes, "pickle_bytes")
        # torch can write without checksums, and puts 0.
        if entry.crc not in (0, zlib.crc32(data)):
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
                # SECURITY: torch stops at STOP, but a loader that calls load() again runs what follows.
                yield trailing_bytes(stop - base, end - stop, "the end of the pickle", entry.name)
            if not may_be_pickle(data[stop - base : stop - base + HEAD], end - stop):
                return
            start = stop

    def file(self, entry: ZipEntry, *, main: bool = False) -> Nested:
        """The member as a file met in a folder, which may be skipped when it is proven to be no model."""
        return self.nested(entry, main=main)._replace(skippable=True)

    def raw(self, entry: ZipEntry) -> Nested:
        """The member as numbers that another member describes. It is judged if a program could read it as a file."""
        return self.nested(entry)._replace(raw=True)

    def tell_foreign(self, entry: ZipEntry, kind: str) -> None:
        """Note that the loader of this kind of archive has no use for the member."""
        self.notes.add(
            "foreign-member",
            f"a {kind} archive has no such member: its loader passes it over, and another program may read it",
            member=entry.name,
            offset=entry.data,
        )

    def judged(self, entry: ZipEntry) -> Parts:
        """Yield the member as a file, or a finding when it cannot be read."""
        yield from self._guarded(entry, self.file)

    def unnamed(self, entry: ZipEntry) -> Parts:
        """Yield a storage that no pickle names: it is judged if a program could load it, and passed over otherwise."""
        if entry.readable and (entry.size or entry.length):
            yield from self._guarded(entry, self.raw)

    def nested(self, entry: ZipEntry, *, main: bool = False) -> Nested:
        """The member as a file of its own."""
        extent = self.extent(entry)
        return Nested(entry.name, extent, None if extent.stored else self.content(entry), main)

    def content_or_none(self, entry: ZipEntry, most: int, limit: str) -> bytes | None:
        """The content; None, and a finding, when it cannot be read or has more than `most` bytes."""
        if entry.readable:
            with self.noting(entry):
                return self.content(entry, most, limit)
        return None


def files(entries: Iterable[ZipEntry]) -> Iterator[ZipEntry]:
    """The entries that are not just names of folders."""
    return (entry for entry in entries if entry.size or not entry.name.endswith("/"))
