"""The directory of a zip: where each member lies, and a finding for each way in which two readers could disagree.

Reads the end records, the central directory and, one by one, the local headers with the descriptor in front of each.
Reads no byte of a member: to find the storages of a 500 MB checkpoint it reads some kilobytes. Does not know what
members mean. Python's `zipfile` cannot do this: in crafted files it takes other bytes than torch does.

The usual case is fast: all names are checked at once, and a local header that equals the expected bytes is not
unpacked. Everything else goes to the closer checks of `entry.py`.

Semantics mirrored: miniz as built into torch 2.13 (`caffe2/serialize/inline_container.cc`), CPython 3.11 `zipfile`,
APPNOTE.TXT 4.3.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from safeload.containers.zip.end import CENTRAL, LOCAL, End, read_end
from safeload.containers.zip.entry import (
    DESCRIPTOR,
    LONGEST_NAME,
    STORED,
    UTF8,
    ZipEntry,
    check_central,
    check_gap,
    check_local,
    check_name,
)
from safeload.containers.zip.rules import Notes
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.limits import Limits
from safeload.source import Source

_CENTRAL = struct.Struct("<4s4xHH4xIIIHHHH2xII")
_LENGTHS = struct.Struct("<HH")
_DESCRIPTOR = struct.Struct("<4sIII")
_FULL = 0xFFFFFFFF
_LOCAL_SIZE = 30
_LONGEST_DESCRIPTOR = 24
_PLAIN_FLAGS = DESCRIPTOR | UTF8
# How every local header with a descriptor begins that torch's writer makes, up to the lengths of name and extra fields.
_TORCH_LOCAL = struct.pack("<4sHHHIIII", LOCAL, 0, _PLAIN_FLAGS, STORED, 0, 0, 0, 0)
# Names, each with a line end, that need no closer look: parts of printable ASCII without a backslash or a colon, where
# no part is empty or only dots, and the name does not end with a slash. Possessive: matching takes linear time.
_PLAIN_NAMES = rb"(?:\.?[ -\-0-9;-\[\]-~][ -.0-9;-\[\]-~]*+[/\n])*+"
# A directory of more bytes than this for each allowed member is refused before it is read.
_ENTRY_BYTES = 512


class Directory(NamedTuple):
    """What `read_directory` found.

    entries   the members in the directory's order; those whose header is broken are left out and are a finding
    findings  what a plain writer does not write
    prefix    bytes in front of the first member
    start     offset of the central directory
    """

    entries: tuple[ZipEntry, ...]
    findings: tuple[Finding, ...]
    prefix: int
    start: int


def read_directory(source: Source, limits: Limits) -> Directory:
    """The members of the zip in `source`. Raises Malformed or LimitExceeded, and InputError from the source."""
    notes = Notes()
    end = read_end(source, notes)
    entries, raws = _central(source, limits, end, notes)
    if entries:
        _check_names(entries, raws, notes)
    prefix = min([entry.header for entry in entries], default=end.directory)
    if prefix:
        notes.add(
            "zip-prefix",
            f"{min(prefix, end.directory)} bytes stand before the first member: the file may be another one as well",
            offset=0,
        )
    placed = _place(source, entries, raws, end.directory, notes)
    return Directory(tuple(placed), notes.rest(), min(prefix, end.directory), end.directory)


def _central(source: Source, limits: Limits, end: End, notes: Notes) -> tuple[list[ZipEntry], list[bytes]]:
    """The entries of the central directory, and their names as bytes. Data offsets are still unknown (-1)."""
    if end.members > limits.members or end.size > limits.members * _ENTRY_BYTES:
        raise LimitExceeded(f"the archive announces {end.members} members", limit="members", offset=end.directory)
    data = source.read(end.directory, end.size)
    entries: list[ZipEntry] = []
    raws: list[bytes] = []
    unpack = _CENTRAL.unpack_from
    at, last, shift = 0, len(data) - _CENTRAL.size, end.shift
    while at <= last:
        mark, flags, method, crc, length, size, names, extra, note, disk, external, header = unpack(data, at)
        if mark != CENTRAL:
            break  # the bytes from here on are a finding below
        start = at + _CENTRAL.size
        stop = start + names
        at = stop + extra + note
        raw = data[start:stop]
        entry = ZipEntry(raw.decode("latin-1"), method, flags, crc, length, size, header + shift, -1)
        if extra or disk or external or method or length != size or flags & ~_PLAIN_FLAGS or _FULL in (size, header):
            entry = check_central(entry, data[stop : stop + extra], (external, disk), shift, notes)
        entries.append(entry)
        raws.append(raw)
    if at > len(data):
        raise Malformed("the last entry of the zip directory is cut off", offset=end.directory + at)
    if len(entries) > limits.members:
        raise LimitExceeded(f"the archive has {len(entries)} members", limit="members", offset=end.directory)
    # SECURITY: both loops are in use: torch reads as many entries as announced, `zipfile` as many as the bytes hold. A
    # member behind the announced ones is there for one of them only.
    if len(entries) != end.members:
        notes.add(
            "zip-count-mismatch",
            f"the end record announces {end.members} members and the directory holds {len(entries)}: torch stops at "
            "the number announced, other readers do not",
            offset=end.directory,
        )
    if at != len(data):
        notes.add(
            "zip-directory-gap",
            f"{len(data) - at} bytes at the end of the directory are no entries",
            offset=end.directory + at,
        )
    return entries, raws


def _check_names(entries: list[ZipEntry], raws: list[bytes], notes: Notes) -> None:
    """Turn the names into text and judge them: all at once when all are plain, else one by one."""
    joined = b"\n".join(raws)
    plain = joined.count(b"\n") == len(raws) - 1 and re.fullmatch(_PLAIN_NAMES, joined + b"\n")
    if not plain or max(map(len, raws)) > LONGEST_NAME:
        for index, raw in enumerate(raws):
            entries[index] = check_name(entries[index], raw, notes)
    elif len(set(joined.lower().split(b"\n"))) == len(raws):
        return
    # SECURITY: torch ignores case when it looks a member up, and finds an arbitrary one of several; `zipfile` takes the
    # last of those with exactly this name. So two names that differ in case only are a finding too, and dangerous in
    # an archive where torch would look for a data.pkl.
    folded = [entry.name.casefold() for entry in entries]
    torch_like = any(name.endswith("data.pkl") for name in folded)
    seen: dict[str, int] = {}
    for index, name in enumerate(folded):
        first = seen.setdefault(name, index)
        if first == index:
            continue
        entry, other = entries[index], entries[first].name
        same = other == entry.name
        notes.add(
            "zip-duplicate-name",
            "two members have this name: readers differ in which they take"
            if same
            else f"this name and {other[:200]!r} differ in case only: torch takes them for one",
            member=entry.name,
            offset=entry.header,
            verdict=Verdict.DANGEROUS if same or torch_like else Verdict.UNJUDGED,
        )


def _place(source: Source, entries: list[ZipEntry], raws: list[bytes], stop: int, notes: Notes) -> list[ZipEntry]:
    """Check each local header against its entry, and that the members cover all bytes before `stop`, the directory.

    Returns the entries that have a place, with their data offsets, in the order of the directory.
    """
    headers = [entry.header for entry in entries]
    order: list[int] | range = range(len(entries))
    if any(map(int.__gt__, headers, headers[1:])):
        notes.add("zip-order", "the directory lists the members in another order than they have in the file")
        order = sorted(order, key=headers.__getitem__)
    placed: list[ZipEntry | None] = [None] * len(entries)
    # In the order of the file, so that the bytes between two members show: they may be the descriptor of the first, and
    # nothing else. Any other byte there belongs to no member, and another program may find a file in it.
    read, lengths = source.read, _LENGTHS.unpack_from
    previous: ZipEntry | None = None
    expected = b""
    done = min(headers, default=stop)
    for index in order:
        entry, raw = entries[index], raws[index]
        name, flags, length, header = entry.name, entry.flags, entry.length, entry.header
        need = _LOCAL_SIZE + len(raw)
        if header + need > stop:
            notes.add("zip-out-of-bounds", "the member begins behind the directory", member=name, offset=header)
            continue
        gap = header - done
        # One read for the descriptor of the previous member and this header: no byte of a member lies between them.
        near = gap if 0 < gap <= _LONGEST_DESCRIPTOR else 0
        head = read(header - near, near + need)
        if previous is not None and (gap != near or head[:near] != expected):
            check_gap(previous, gap, head[:near] if near == gap else None, done, notes)
        if near:
            head = head[near:]
        plain = flags == _PLAIN_FLAGS and not entry.method and head.startswith(_TORCH_LOCAL) and head.endswith(raw)
        names, extra = lengths(head, 26)
        if not (plain and names == len(raw)) and not check_local(source, head, entry, raw, notes):
            continue
        data = header + _LOCAL_SIZE + names + extra
        if data + length > stop:
            notes.add("zip-out-of-bounds", "the member runs into the directory", member=name, offset=header)
            continue
        placed[index] = previous = ZipEntry(name, entry.method, flags, entry.crc, length, entry.size, header, data)
        done = data + length
        expected = _expected_descriptor(previous) if flags & DESCRIPTOR else b""
    if previous is not None:
        gap = stop - done
        between = read(done, gap) if gap <= _LONGEST_DESCRIPTOR else None
        if between != expected:
            check_gap(previous, gap, between, done, notes)
    return [entry for entry in placed if entry is not None]


def _expected_descriptor(entry: ZipEntry) -> bytes:
    """The 16 bytes that nearly every writer puts behind a member with a descriptor."""
    if entry.length > _FULL or entry.size > _FULL:
        return b"wide"  # equal to no bytes of the file: `check_gap` looks at the 64-bit form
    return _DESCRIPTOR.pack(b"PK\7\x08", entry.crc, entry.length, entry.size)
