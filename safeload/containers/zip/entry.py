"""One entry of a zip directory, and the checks of an entry that is not as plain writers make it.

Judges the fields of the directory, of the local header and of the descriptor; reads no member. Each check asks whether
two readers in use would take the same bytes differently. `rules.py` says what each difference is worth.

Layouts: APPNOTE.TXT 4.3.7, 4.3.9, 4.3.12, 4.4.4, 4.5.3, 4.6.9.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Final

from safeload.containers.zip.end import LOCAL
from safeload.containers.zip.rules import Notes
from safeload.document.document import Leaf
from safeload.source import Source

STORED, DEFLATED = 0, 8
DESCRIPTOR, UTF8 = 0x0008, 0x0800

_ENCRYPTED = 0x0001 | 0x0040 | 0x2000
_DEFLATE_LEVEL = 0x0006
LONGEST_NAME = 511
"""Bytes of a name that torch lists. It cuts a longer name there, and may then take the member for another one."""

_FULL = 0xFFFFFFFF
_LOCAL = struct.Struct("<4sHHHIIIIHH")
_UNSAFE = r"^/|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)"
_DOTTED = r"//|(?:^|/)\.(?:/|$)"
# A descriptor may have a signature or none, and sizes of 32 or 64 bits; nothing in it says which. So the length of the
# gap has to tell.
_DESCRIPTORS = {12: "<III", 16: "<4xIII", 20: "<IQQ", 24: "<4xIQQ"}


class ZipEntry(Leaf):
    """One member of a zip. Offsets count from the beginning of the file.

    name            as text; until `check_name` has seen it, its bytes as latin-1
    method, flags   compression method and general purpose flags
    crc             CRC-32 of the content
    length, size    bytes in the file, and of the content
    header, data    where the local header and the bytes lie; `data` is -1 until the local header is read
    """

    __match_args__ = ("name", "method", "flags", "crc", "length", "size", "header", "data")
    __slots__ = __match_args__

    def __init__(
        self, name: str, method: int, flags: int, crc: int, length: int, size: int, header: int, data: int
    ) -> None:
        self.name: Final = name
        self.method: Final = method
        self.flags: Final = flags
        self.crc: Final = crc
        self.length: Final = length
        self.size: Final = size
        self.header: Final = header
        self.data: Final = data

    @property
    def readable(self) -> bool:
        """Whether we can read the content: it is stored or deflated, and not encrypted."""
        return self.method in (STORED, DEFLATED) and not self.flags & _ENCRYPTED


def check_central(entry: ZipEntry, extra: bytes, attributes: tuple[int, int], shift: int, notes: Notes) -> ZipEntry:
    """Check the fields of the directory, and return `entry` with its zip64 values.

    `attributes` are the external attributes and the disk number. Findings have the offset of the local header, because
    that is where the member lies.
    """
    external, disk = attributes
    name, method, flags = entry.name, entry.method, entry.flags
    if extra or _FULL in (entry.size, entry.length, entry.header - shift):
        entry = _extras(entry, extra, shift, notes)

    def note(rule: str, message: str) -> None:
        notes.add(rule, message, member=name, offset=entry.header)

    if flags & _ENCRYPTED:
        note("encrypted", "the member is encrypted: what is in it cannot be known")
    if flags & ~(DESCRIPTOR | UTF8 | _ENCRYPTED | (_DEFLATE_LEVEL if method == DEFLATED else 0)):
        note("zip-flags", f"the member has the flags {flags:#06x}, which readers take differently")
    if method not in (STORED, DEFLATED):
        note(
            "zip-method", f"the member is compressed by method {method}, which torch does not read and safeload neither"
        )
    # SECURITY: torch reads `size` bytes of a stored member, `zipfile` reads `length`: one of them reads bytes that
    # belong to another member, or stops before the payload.
    if method == STORED and entry.length != entry.size and not flags & _ENCRYPTED:
        note("zip-stored-size", f"a member stored as it is has two sizes, {entry.length} and {entry.size} bytes")
    if disk not in (0, 0xFFFF):
        note("zip-multi-disk", f"the member lies on disk {disk} of the archive")
    if external & 0x10 and not name.endswith("/"):
        note("zip-directory-entry", "the member is marked as a folder and has the name of a file: torch refuses it")
    if external >> 28 == 0xA:
        note("zip-symlink", "the member is a symbolic link: what it stands for depends on where it is unpacked")
    return entry


def _extras(entry: ZipEntry, extra: bytes, shift: int, notes: Notes) -> ZipEntry:
    """Check the extra fields of the directory, and return `entry` with its zip64 values."""
    wide: bytes | None = None
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 1 and wide is None:
            wide = field  # readers differ about a second zip64 field: the first counts here, and the second is noted
        elif kind == 1:
            notes.add("zip-extra", "the member has two zip64 fields", member=entry.name, offset=entry.header)
        elif kind == 0x7075 and not _same_name(field, entry):
            # SECURITY: zipfile of Python 3.13 gives the member this name; older ones, and torch, do not.
            notes.add(
                "zip-unicode-path",
                "an extra field gives the member another name, which some readers follow",
                member=entry.name,
                offset=entry.header,
                evidence=repr(field[5:]),
            )
    if at > len(extra):
        notes.add("zip-extra", "an extra field of the member is cut off", member=entry.name, offset=entry.header)
    # A value of all ones says "see the zip64 field", which holds only those values, in this order. A reader that takes
    # the fields by position would read another size or offset, so a missing value is noted and nothing is guessed.
    header = entry.header - shift
    wanted = [entry.size, entry.length, header].count(_FULL)
    if not wanted:
        return entry
    if wide is None or len(wide) < 8 * wanted:
        notes.add("zip-extra", "the zip64 field of the member is missing", member=entry.name, offset=entry.header)
        return entry
    values = iter(struct.unpack_from(f"<{wanted}Q", wide))
    size, length, header = (next(values) if v == _FULL else v for v in (entry.size, entry.length, header))
    return entry.but(size=size, length=length, header=header + shift)


def _same_name(field: bytes, entry: ZipEntry) -> bool:
    """Whether an Info-ZIP unicode path field repeats the entry's own name.

    A field of another version, or with a wrong checksum of the name, does not. A name in an unknown encoding cannot be
    compared, and passes: `check_name` notes it.
    """
    raw = entry.name.encode("latin-1")
    if len(field) < 5 or field[0] != 1 or int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        return False
    return field[5:] == raw or not (raw.isascii() or entry.flags & UTF8)


def check_name(entry: ZipEntry, raw: bytes, notes: Notes) -> ZipEntry:
    """Check a name that is not plain, and return `entry` with its name as text."""
    # Without the UTF-8 flag a name is in cp437 by the specification, and in any encoding in practice. Such a name gets
    # a finding below, because nobody knows by which name a loader would find the member.
    if raw.isascii():
        name, known = raw.decode("ascii"), True
    else:
        known = bool(entry.flags & UTF8)
        try:
            name = raw.decode("utf-8" if known else "cp437")
        except UnicodeDecodeError:
            name, known = raw.decode("latin-1"), False
    where = name.replace("\0", "\\0")

    def note(rule: str, message: str) -> None:
        notes.add(rule, message, member=where, offset=entry.header, evidence=repr(raw[:150]))

    # SECURITY: `zipfile` cuts a name at a NUL, torch does not: to `zipfile` "data.pkl\0x" is the "data.pkl" that torch
    # reads from another member.
    if "\0" in name:
        note("zip-name-nul", "the name holds a NUL, at which some readers cut it and take this member for another")
    elif not known or not name or not name.isprintable() or "\\" in name or re.search(_DOTTED, name):
        note(
            "zip-name-characters", "the name holds what readers take differently (control characters, '\\', '//', ...)"
        )
    if len(raw) > LONGEST_NAME:
        note("zip-name-characters", f"the name has {len(raw)} bytes: torch cuts it after {LONGEST_NAME} in its listing")
    if re.search(_UNSAFE, name):
        note("zip-name-traversal", "the name leads out of the folder in which the archive is unpacked")
    if name.endswith("/") and entry.size:
        note("zip-directory-entry", f"the member has the name of a folder and holds {entry.size} bytes")
    return entry.but(name=name)


def check_local(source: Source, head: bytes, entry: ZipEntry, raw: bytes, notes: Notes) -> bool:
    """Compare a local header with its entry. False when there is no local header at this place.

    `head` are 30 bytes and as many more as the name `raw` has. Readers that stream a zip believe local headers, readers
    that seek believe the directory: each field that differs makes two files of one.
    """
    mark, _, flags, method, _, crc, length, size, names, extra = _LOCAL.unpack_from(head)

    def note(rule: str, message: str) -> None:
        notes.add(rule, message, member=entry.name, offset=entry.header)

    if mark != LOCAL:
        note("zip-local-signature", "no local header stands where the directory says that the member begins")
        return False
    if names != len(raw) or head[30:] != raw:
        note("zip-local-name", "the local header gives the member another name than the directory: readers differ")
    if method != entry.method:
        note("zip-local-method", f"the local header says method {method}, the directory {entry.method}")
    if flags != entry.flags:
        note("zip-local-flags", f"the local header has the flags {flags:#06x}, the directory {entry.flags:#06x}")
    if _FULL in (length, size):
        at = entry.header + _LOCAL.size + names
        fields = source.read(at, extra) if at + extra <= source.size else b""
        length, size = _local_zip64(fields, length, size)
    # A writer that cannot seek leaves zeros here, sets the descriptor flag, and writes the values behind the member.
    zeros = bool(flags & DESCRIPTOR)
    agreed = ((length, entry.length), (size, entry.size), (crc, entry.crc))
    if any(mine != stated and not (zeros and mine == 0) for mine, stated in agreed):
        note("zip-local-sizes", "the local header says another size or checksum than the directory")
    return True


def _local_zip64(fields: bytes, length: int, size: int) -> tuple[int, int]:
    """The 64-bit values of a local header; -1, which is equal to no value, when they are missing."""
    at = 0
    while at + 4 <= len(fields):
        kind, count = struct.unpack_from("<HH", fields, at)
        if kind == 1:
            values = [int.from_bytes(fields[i : i + 8], "little") for i in range(at + 4, at + 4 + count - 7, 8)]
            given = iter(values)
            size = next(given, -1) if size == _FULL else size
            length = next(given, -1) if length == _FULL else length
            return length, size
        at += 4 + count
    return -1, -1


def check_gap(entry: ZipEntry, gap: int, between: bytes | None, end: int, notes: Notes) -> None:
    """Judge the `gap` bytes behind the data of `entry`, which ends at `end`: they have to be its descriptor.

    `between` are those bytes when there are at most 24, else None.
    """
    has = bool(entry.flags & DESCRIPTOR)

    def note(rule: str, message: str) -> None:
        notes.add(rule, message, member=entry.name, offset=end)

    if gap < 0:
        # SECURITY: with shared bytes one member lies inside another, and readers see one or the other; and a small file
        # can inflate without bound, because many members share one compressed run.
        note("zip-overlap", f"the member runs {-gap} bytes into what follows it")
    elif has and between is not None and gap in _DESCRIPTORS:
        crc, length, size = struct.unpack(_DESCRIPTORS[gap], between)
        signed = gap in (12, 20) or between.startswith(b"PK\7\x08")
        if not signed or (length, size) != (entry.length, entry.size) or crc != entry.crc:
            note("zip-descriptor", "what follows the member does not say the same sizes and checksum as the directory")
    elif has and gap == 0:
        note("zip-descriptor", "the member announces a descriptor and has none")
    elif gap:
        note("zip-gap", f"{gap} bytes that belong to no member follow this one")
