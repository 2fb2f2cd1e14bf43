"""The tail of a zip: end record, zip64 locator and record, and where they say that the directory lies.

torch (miniz) and Python's `zipfile` look for the directory in different ways, and find two different ones in a crafted
file: miniz believes the absolute offset, `zipfile` the distance from the end record. This file works out both, follows
the absolute offset, and reports each difference as a finding. Reads the end records only, no entry and no member.

Layouts: APPNOTE.TXT 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from safeload.containers.zip.rules import Notes
from safeload.errors import Malformed
from safeload.source import Source

END, LOCATOR, RECORD, CENTRAL, LOCAL = b"PK\5\6", b"PK\6\7", b"PK\6\6", b"PK\1\2", b"PK\3\4"

_END = struct.Struct("<4sHHHHIIH")
_LOCATOR = struct.Struct("<4sIQI")
_RECORD = struct.Struct("<4sQHHIIQQQQ")
# SECURITY: where to look for the end record: `zipfile` looks as far back as the longest comment reaches; miniz looks in
# blocks of 4 KB, so it may find a record up to one block before that.
_WINDOW = _END.size + 0xFFFF + 4096
# How many bytes a search for all end records looks at in one piece.
_PIECE = 1 << 20


class End(NamedTuple):
    """Where the directory lies, as the end records say.

    directory, size   offset of the central directory in the file, and its length
    members           how many entries the end record announces
    shift             what to add to each header offset: bytes were put before an archive that counts without them
    tail              offset of the first end record, where the directory has to end
    """

    directory: int
    size: int
    members: int
    shift: int
    tail: int


class _Claim(NamedTuple):
    """What the end record says that counts: the zip64 one, when there is one.

    offset, size, members   of the directory, as stated
    tail                    where the record itself lies
    shift                   None without zip64 records; else how far the zip64 record lies behind its stated place
    """

    offset: int
    size: int
    members: int
    tail: int
    shift: int | None = None


def find_end(source: Source) -> int | None:
    """Offset of the end record: the last signature with a whole record behind it, as miniz searches. Peeks only."""
    if source.size < _END.size:
        return None
    # SECURITY: a record at the exact end of the file counts, also when its own 22 bytes hold another signature.
    # `zipfile` tries this place first; a search from the end alone would find the inner one.
    last = source.size - _END.size
    if source.peek(last, 4) == END:
        return last
    start = max(0, source.size - _WINDOW)
    at = source.peek(start, source.size - start).rfind(END, 0, last - start + 4)
    return None if at < 0 else start + at


def read_end(source: Source, notes: Notes, read: Callable[[int, int], bytes] | None = None) -> End:
    """The place of the central directory. Raises Malformed when there is none.

    `read` replaces `source.read` for a caller that only recognises the format: what it looks at must not count as
    judged.
    """
    read = read or source.read
    at = find_end(source)
    if at is None:
        if source.peek(0, 4) == LOCAL:
            raise Malformed(
                "truncated: the end record is missing, so the file was cut off or is still being written; get it again",
                offset=source.size,
            )
        raise Malformed("not a zip archive: it has no end record", offset=source.size)
    record = _END.unpack(read(at, _END.size))
    if record[0] != END:
        raise Malformed("the input changed while it was read", offset=at)  # `find_end` has seen the signature there
    _, disk, first_disk, here, count, size, offset, comment = record
    start = at + _END.size
    if start < source.size or comment:
        _check_behind(read(start, source.size - start), notes, start, comment)
    if disk or first_disk or here != count:
        notes.add("zip-multi-disk", "the end record says that the archive has several disks", offset=at)
    claim = _Claim(offset, size, count, at)
    spot = at - _LOCATOR.size
    if spot >= 0 and source.peek(spot, 4) == LOCATOR:
        claim = _zip64(source, read, notes, spot, (here, count, size, offset))
    return _place(source, notes, claim)


def _check_behind(behind: bytes, notes: Notes, start: int, comment: int) -> None:
    """Judge the bytes behind the end record, from offset `start` on. `comment` is the length that it announces."""
    length = len(behind)
    # SECURITY: a comment may hold a whole second end record. Readers that search forward, or accept a record only when
    # its comment reaches the end of the file, follow another one than we do.
    if b"PK" in behind and any(mark in behind for mark in (END, LOCATOR, RECORD, CENTRAL, LOCAL)):
        notes.add(
            "zip-end-hidden",
            f"the {length} bytes behind the end record hold more zip records: readers differ in which they follow",
            offset=start,
        )
    if length != comment:
        notes.add(
            "zip-trailing-data",
            f"{length} bytes follow the end record, which announces a comment of {comment}",
            offset=start,
        )
    elif comment:
        text = behind.isascii() and behind.decode("ascii").replace("\n", " ").replace("\r", " ").isprintable()
        rule = "zip-comment" if text else "zip-comment-binary"
        what = "text" if text else "binary data"
        notes.add(rule, f"the archive has a comment of {comment} bytes of {what}", offset=start, evidence=repr(behind))


def _zip64(
    source: Source, read: Callable[[int, int], bytes], notes: Notes, spot: int, small: tuple[int, int, int, int]
) -> _Claim:
    """What the zip64 records say. Their locator is at `spot`; `small` are the values of the end record behind it."""
    mark, disk, stated, disks = _LOCATOR.unpack(read(spot, _LOCATOR.size))
    # Two places for the zip64 record: `stated`, which the locator names and torch follows, and the place right in front
    # of the locator, where `zipfile` takes it. They differ also for an honest file with bytes put before it: the record
    # then lies in front of the locator only, and `shift` says how many bytes were put there.
    adjacent = spot - _RECORD.size
    absolute = stated if stated + _RECORD.size <= spot and source.peek(stated, 4) == RECORD else None
    shift = 0
    if absolute is None and adjacent > stated and source.peek(adjacent, 4) == RECORD:
        absolute, shift = adjacent, adjacent - stated
    if mark != LOCATOR or absolute is None:
        raise Malformed("the zip64 locator points to no zip64 record", offset=spot)
    if absolute != adjacent:
        notes.add(
            "zip-zip64-elsewhere",
            f"the zip64 locator points to a record at offset {absolute}, not to the one in front of it at {adjacent}: "
            "torch follows it, other readers do not",
            offset=spot,
        )
    values = _RECORD.unpack(read(absolute, _RECORD.size))
    _, length, _, _, own_disk, first_disk, here, count, size, offset = values
    if disk or disks > 1 or own_disk or first_disk or here != count:
        notes.add("zip-multi-disk", "the zip64 end record says that the archive has several disks", offset=absolute)
    if length != _RECORD.size - 12:
        notes.add("zip-end-mismatch", f"the zip64 end record announces {length} bytes, not 44", offset=absolute)
    # The small record holds the same values, or all ones for "see the zip64 record". A reader that ignores zip64
    # follows the small values, so any other value means two directories or two counts.
    for low, high, full in zip(small, (here, count, size, offset), (0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1), strict=True):
        if low not in (high, full):
            notes.add(
                "zip-end-mismatch",
                f"the end record says {low} where the zip64 record says {high}: readers differ in which they follow",
                offset=spot + _LOCATOR.size,
            )
    return _Claim(offset, size, count, absolute, shift)


def _place(source: Source, notes: Notes, claim: _Claim) -> End:
    """Where the directory lies: at the stated offset, or in front of the end record. Notes when these differ."""
    if claim.size > claim.tail:
        raise Malformed(f"the directory of {claim.size} bytes does not fit in front of its end record")
    adjacent = claim.tail - claim.size
    if claim.offset == adjacent:
        if claim.shift:
            raise Malformed("the zip64 locator points to no zip64 record", offset=claim.tail)
        return End(adjacent, claim.size, claim.members, 0, claim.tail)
    # SECURITY: `zipfile` takes the directory at `adjacent`, torch the one at `claim.offset`. A file with a directory at
    # both places is two archives: a scanner that follows one of them has not seen the other.
    fits = claim.offset + claim.size <= claim.tail
    at_offset = fits and source.peek(claim.offset, 4) == CENTRAL
    at_adjacent = source.peek(adjacent, 4) == CENTRAL
    if at_offset and at_adjacent:
        notes.add(
            "zip-two-directories",
            f"the archive has two directories: torch reads the one at offset {claim.offset}, Python's zipfile the one "
            f"at {adjacent}",
            offset=claim.offset,
        )
    elif at_offset:
        notes.add(
            "zip-directory-gap",
            f"{adjacent - claim.offset} bytes stand between the directory and its end record",
            offset=claim.offset + claim.size,
        )
    if at_offset:
        return End(claim.offset, claim.size, claim.members, 0, claim.tail)
    # No directory at the stated offset: bytes were put before the archive, and every offset in it is `shift` too small.
    # With zip64 records both shifts have to agree.
    shift = adjacent - claim.offset
    if shift < 0 or claim.shift not in (None, shift) or not (at_adjacent or claim.size == 0):
        raise Malformed("the end record points to no directory", offset=claim.tail)
    return End(adjacent, claim.size, claim.members, shift, claim.tail)


def leads_to_a_member(source: Source) -> bool:
    """Whether some reader would find a directory by some end record of `source`. Errs towards True. Peeks only.

    For files that only seem to be zips: programs that read zips hold the signatures as constants, in their source and
    compiled. `find_end` answers another question, namely which end record our reader and torch follow.

    SECURITY: every signature counts, not only the last one, because readers differ in which they take. So do both
    places for the directory: the offset that the record names, and the place right in front of the record. A zip64
    record names a third place; its presence is enough for True.
    """
    if source.peek(0, 4) == LOCAL:
        return True
    for at in _marks(source):
        record = source.peek(at, _END.size)
        if len(record) < _END.size:
            continue
        if at >= _LOCATOR.size and source.peek(at - _LOCATOR.size, 4) == LOCATOR:
            return True
        size, named = _END.unpack(record)[5:7]
        if any(source.peek(place, 4) == CENTRAL for place in (at - size, named) if place >= 0):
            return True
    return False


def _marks(source: Source) -> Iterator[int]:
    """Offset of each signature of an end record."""
    for start in range(0, source.size, _PIECE):
        piece = source.peek(start, _PIECE + len(END) - 1)
        at = piece.find(END)
        while at >= 0:
            yield start + at
            at = piece.find(END, at + 1)
