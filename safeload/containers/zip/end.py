"""The tail of a zip: end record, zip64 locator and record, and where they say that the directory lies.

torch (miniz) and Python's `zipfile` answer this question differently for crafted files: miniz believes the absolute
offsets, `zipfile` the distance from the end. Both are worked out here, the absolute one is followed, and each
difference is a finding. Reads the end records only, no entry and no member.

Layouts: APPNOTE.TXT 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from safeload.containers.zip.rules import Notes
from safeload.errors import Malformed
from safeload.source import Source

END, LOCATOR, RECORD, CENTRAL, LOCAL = b"PK\5\6", b"PK\6\7", b"PK\6\6", b"PK\1\2", b"PK\3\4"

_END = struct.Struct("<4sHHHHIIH")
_LOCATOR = struct.Struct("<4sIQI")
_RECORD = struct.Struct("<4sQHHIIQQQQ")
# SECURITY: the longest comment, and one block more: miniz looks for the end 4 KB at a time, and gives up after a block.
_WINDOW = _END.size + 0xFFFF + 4096


class End(NamedTuple):
    """Where the directory lies, as the end records say.

    directory, size   of the central directory, absolute
    members           entries announced
    shift             what to add to each header offset (bytes in front of an archive that does not know of them)
    tail              where the directory has to end: offset of the first end record
    """

    directory: int
    size: int
    members: int
    shift: int
    tail: int


class _Claim(NamedTuple):
    """What the end record in force says."""

    offset: int
    size: int
    members: int
    tail: int
    shift: int | None = None  # None without zip64 records


def find_end(source: Source) -> int | None:
    """Offset of the end record: the last signature with room for it, as miniz searches. Peeks only."""
    if source.size < _END.size:
        return None
    # SECURITY: a record at the exact end wins although its own 22 bytes may hold another signature, as in `zipfile`.
    last = source.size - _END.size
    if source.peek(last, 4) == END:
        return last
    start = max(0, source.size - _WINDOW)
    at = source.peek(start, source.size - start).rfind(END, 0, last - start + 4)
    return None if at < 0 else start + at


def read_end(source: Source, notes: Notes) -> End:
    """The place of the central directory. Raises Malformed when there is none."""
    at = find_end(source)
    if at is None:
        if source.peek(0, 4) == LOCAL:
            raise Malformed(
                "truncated: the end record is missing, so the file was cut off or is still being written; get it again",
                offset=source.size,
            )
        raise Malformed("not a zip archive: it has no end record", offset=source.size)
    record = _END.unpack(source.read(at, _END.size))
    if record[0] != END:
        raise Malformed("the input changed while it was read", offset=at)
    _, disk, first_disk, here, count, size, offset, comment = record
    _check_behind(source, notes, at, comment)
    if disk or first_disk or here != count:
        notes.add("zip-multi-disk", "the end record says that the archive has several disks", offset=at)
    claim = _zip64(source, notes, at, (here, count, size, offset)) or _Claim(offset, size, count, at)
    return _place(source, notes, claim)


def _check_behind(source: Source, notes: Notes, at: int, comment: int) -> None:
    """Judge what stands behind the end record."""
    start = at + _END.size
    length = source.size - start
    behind = source.read(start, length) if length else b""
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


def _zip64(source: Source, notes: Notes, at: int, small: tuple[int, int, int, int]) -> _Claim | None:
    """What the zip64 records in front of the end record say, None when there are none."""
    spot = at - _LOCATOR.size
    if spot < 0 or source.peek(spot, 4) != LOCATOR:
        return None
    mark, disk, told, disks = _LOCATOR.unpack(source.read(spot, _LOCATOR.size))
    adjacent = spot - _RECORD.size
    absolute = told if told + _RECORD.size <= spot and source.peek(told, 4) == RECORD else None
    shift = 0
    if absolute is None and adjacent > told and source.peek(adjacent, 4) == RECORD:
        absolute, shift = adjacent, adjacent - told
    if mark != LOCATOR or absolute is None:
        raise Malformed("the zip64 locator points to no zip64 record", offset=spot)
    if absolute != adjacent:
        notes.add(
            "zip-zip64-elsewhere",
            f"the zip64 locator points to a record at offset {absolute}, not to the one in front of it at {adjacent}: "
            "torch follows it, other readers do not",
            offset=spot,
        )
    values = _RECORD.unpack(source.read(absolute, _RECORD.size))
    _, length, _, _, own_disk, first_disk, here, count, size, offset = values
    if disk or disks > 1 or own_disk or first_disk or here != count:
        notes.add("zip-multi-disk", "the zip64 end record says that the archive has several disks", offset=absolute)
    if length != _RECORD.size - 12:
        notes.add("zip-end-mismatch", f"the zip64 end record announces {length} bytes, not 44", offset=absolute)
    for low, high, full in zip(small, (here, count, size, offset), (0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1), strict=True):
        if low not in (high, full):
            notes.add(
                "zip-end-mismatch",
                f"the end record says {low} where the zip64 record says {high}: readers differ in which they follow",
                offset=at,
            )
    return _Claim(offset, size, count, absolute, shift)


def _place(source: Source, notes: Notes, claim: _Claim) -> End:
    """Compare the offset that the end record gives with the place in front of it."""
    if claim.size > claim.tail:
        raise Malformed(f"the directory of {claim.size} bytes does not fit in front of its end record")
    adjacent = claim.tail - claim.size
    if claim.offset == adjacent:
        if claim.shift:
            raise Malformed("the zip64 locator points to no zip64 record", offset=claim.tail)
        return End(adjacent, claim.size, claim.members, 0, claim.tail)
    # SECURITY: `zipfile` computes `adjacent`, torch takes `claim.offset`. A file with a directory at both is two files.
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
    shift = adjacent - claim.offset
    if shift < 0 or claim.shift not in (None, shift) or not (at_adjacent or claim.size == 0):
        raise Malformed("the end record points to no directory", offset=claim.tail)
    return End(adjacent, claim.size, claim.members, shift, claim.tail)
