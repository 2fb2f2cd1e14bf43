"""One entry of a zip directory, and what is looked at when it is not the plain entry of a plain writer.

Judges the fields of the directory, of the local header and of the descriptor; reads no member. Each check compares what
two readers in use would make of the same bytes.

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
"""Bytes of a name that torch lists; it cuts longer ones there, and may take them for another member."""

_FULL = 0xFFFFFFFF
_LOCAL = struct.Struct("<4sHHHIIIIHH")
_UNSAFE = r"^/|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)"
_DOTTED = r"//|(?:^|/)\.(?:/|$)"
# Lengths of a descriptor: with or without its signature, 32 or 64 bits wide.
_DESCRIPTORS = {12: "<III", 16: "<4xIII", 20: "<IQQ", 24: "<4xIQQ"}


class Entry(Leaf):
    """One member. Offsets are absolute; `length` bytes lie at `data` in the file and inflate to `size`."""

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
    def is_folder(self) -> bool:
        """Whether this only names a folder."""
        return self.name.endswith("/") and not self.size

    @property
    def readable(self) -> bool:
        """Whether the bytes of this member can be had: stored or deflated, and not encrypted."""
        return self.method in (STORED, DEFLATED) and not self.flags & _ENCRYPTED


def check_central(entry: Entry, extra: bytes, attributes: tuple[int, int], shift: int, notes: Notes) -> Entry:
    """`entry` with its zip64 values, after judging what is not plain in it.

    `attributes` are the external attributes and the disk number. Offsets of the findings are those of the local header,
    since that is where the member is.
    """
    external, disk = attributes
    name, method, flags = entry.name, entry.method, entry.flags
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
    # SECURITY: torch takes `size` bytes, `zipfile` takes `length`; the difference is somebody else's bytes.
    if method == STORED and entry.length != entry.size and not flags & _ENCRYPTED:
        note("zip-stored-size", f"a member stored as it is has two sizes, {entry.length} and {entry.size} bytes")
    if disk not in (0, 0xFFFF):
        note("zip-multi-disk", f"the member lies on disk {disk} of the archive")
    if external & 0x10 and not name.endswith("/"):
        note("zip-directory-entry", "the member is marked as a folder and has the name of a file: torch refuses it")
    if external >> 28 == 0xA:
        note("zip-symlink", "the member is a symbolic link: what it stands for depends on where it is unpacked")
    return entry


def _extras(entry: Entry, extra: bytes, shift: int, notes: Notes) -> Entry:
    """`entry` with its zip64 values; judges the extra fields of the directory."""
    wide: bytes | None = None
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        field = extra[at + 4 : at + 4 + length]
        at += 4 + length
        if kind == 1 and wide is None:
            wide = field
        elif kind == 1:
            notes.add("zip-extra", "the member has two zip64 fields", member=entry.name, offset=entry.header)
        elif kind == 0x7075 and not _same_name(field, entry.name):
            # SECURITY: Python 3.13's zipfile renames the member to what stands here; torch does not.
            notes.add(
                "zip-unicode-path",
                "an extra field gives the member another name, which some readers follow",
                member=entry.name,
                offset=entry.header,
                evidence=repr(field[5:]),
            )
    if at > len(extra):
        notes.add("zip-extra", "an extra field of the member is cut off", member=entry.name, offset=entry.header)
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


def _same_name(field: bytes, name: str) -> bool:
    """Whether an Info-ZIP unicode path field says what the entry's own name says, or is void for its checksum."""
    raw = name.encode("latin-1")
    if len(field) < 5 or field[0] != 1 or int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        return False
    return not raw.isascii() or field[5:] == raw


def check_name(entry: Entry, raw: bytes, notes: Notes) -> Entry:
    """`entry` with its name as text, after judging a name that is not plain."""
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

    # SECURITY: `zipfile` cuts a name at NUL, torch does not: "data.pkl\0x" replaces the "data.pkl" that torch reads.
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


def check_local(source: Source, head: bytes, entry: Entry, raw: bytes, notes: Notes) -> bool:
    """Compare the local header `head` (30 bytes and as many as `raw`) with its entry; False when it is none."""
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
    # A writer that cannot go back leaves zeros here and says so by the descriptor flag.
    zeros = bool(flags & DESCRIPTOR)
    agreed = ((length, entry.length), (size, entry.size), (crc, entry.crc))
    if any(mine != told and not (zeros and mine == 0) for mine, told in agreed):
        note("zip-local-sizes", "the local header says another size or checksum than the directory")
    return True


def _local_zip64(fields: bytes, length: int, size: int) -> tuple[int, int]:
    """The 64-bit values of a local header; -1, which equals nothing, when they are missing."""
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


def check_gap(entry: Entry, gap: int, between: bytes | None, end: int, notes: Notes) -> None:
    """Judge the `gap` bytes that follow `entry`, which ends at `end`; `between` are they when there are at most 24."""
    has = bool(entry.flags & DESCRIPTOR)

    def note(rule: str, message: str) -> None:
        notes.add(rule, message, member=entry.name, offset=end)

    if gap < 0:
        # SECURITY: shared bytes let one member stand in another, and make small files inflate without end.
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
