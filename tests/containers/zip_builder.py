"""Builds zips byte by byte, each field free to lie: the archives that no program writes and some programs read.

`torch_like()` gives what torch.save writes; every odd archive of the tests is that with something replaced. Used by the
tests, by the sample files and by the comparisons with torch's own reader.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any

FULL = 0xFFFFFFFF


@dataclass(frozen=True)
class Member:
    """One member. `central` and `local` replace fields of the two headers by name; None leaves the honest value.

    Fields: name, flags, method, crc, length, size, extra, and for `central` also made, disk, external, header, note.
    """

    name: bytes
    data: bytes = b""
    method: int = 0
    flags: int = 0x808
    align: int = 64
    before: bytes = b""
    after: bytes = b""
    descriptor: bytes | None = None
    wide_descriptor: bool = False
    central: dict[str, Any] = field(default_factory=dict)
    local: dict[str, Any] = field(default_factory=dict)
    hidden: bool = False  # has no entry in the directory
    ghost: bool = False  # has an entry and no bytes of its own: `central` says where it points

    @property
    def packed(self) -> bytes:
        if self.method != 8:
            return self.data
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        return deflater.compress(self.data) + deflater.flush()


@dataclass(frozen=True)
class Archive:
    """A whole zip. None leaves the honest value.

    shifted   offsets do not know of `prefix`
    zip64     write the zip64 records, as torch does
    """

    members: tuple[Member, ...]
    prefix: bytes = b""
    shifted: bool = False
    zip64: bool = True
    before_directory: bytes = b""
    after_directory: bytes = b""
    comment: bytes = b""
    comment_length: int | None = None
    trailing: bytes = b""
    count: int | None = None
    count64: int | None = None
    offset: int | None = None
    offset64: int | None = None
    size: int | None = None
    disk: int = 0
    record_at: int | None = None
    backwards: bool = False  # the directory lists the last member first
    order: tuple[int, ...] | None = None  # of the entries in the directory

    def build(self) -> bytes:
        base = len(self.prefix) if self.shifted else 0
        out = bytearray(self.prefix)
        entries = []
        for member in self.members:
            out += member.before
            header = len(out) - base
            if not member.ghost:
                out += local_header(member, header) + member.packed
                out += descriptor(member) if member.descriptor is None else member.descriptor
            out += member.after
            if not member.hidden:
                entries.append(central_header(member, header))
        out += self.before_directory
        start = len(out) - base
        if self.order is not None:
            entries = [entries[index] for index in self.order if index < len(entries)]
        directory = b"".join(reversed(entries) if self.backwards else entries)
        out += directory + self.after_directory
        size = len(directory) if self.size is None else self.size
        total = len(entries) if self.count is None else self.count
        at = start if self.offset is None else self.offset
        if self.zip64:
            total64 = total if self.count64 is None else self.count64
            at64 = at if self.offset64 is None else self.offset64
            spot = len(out) - base if self.record_at is None else self.record_at
            out += struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 0x1E, 45, 0, 0, total64, total64, size, at64)
            out += struct.pack("<4sIQI", b"PK\6\7", 0, spot, 1)
        length = len(self.comment) if self.comment_length is None else self.comment_length
        low = (min(total, 0xFFFF), min(total, 0xFFFF), min(size, FULL), min(at, FULL), length)
        return bytes(out + struct.pack("<4sHHHHIIH", b"PK\5\6", self.disk, 0, *low) + self.comment + self.trailing)

    def but(self, **changes: Any) -> Archive:
        return replace(self, **changes)

    def but_member(self, which: bytes, **changes: Any) -> Archive:
        """With the members of this name changed."""
        assert any(m.name == which for m in self.members)
        return replace(self, members=tuple(replace(m, **changes) if m.name == which else m for m in self.members))

    def plus(self, *members: Member) -> Archive:
        return replace(self, members=self.members + members)


def local_header(member: Member, at: int) -> bytes:
    """The local header of a member that begins at `at`, padded as torch pads it."""
    streamed = bool(member.flags & 8)
    honest: dict[str, Any] = {
        "name": member.name,
        "flags": member.flags,
        "method": member.method,
        "crc": 0 if streamed else zlib.crc32(member.data),
        "length": 0 if streamed else len(member.packed),
        "size": 0 if streamed else len(member.data),
    }
    start = at + 30 + len(member.name)
    if member.align:
        pad = -(start + 4) % member.align
        honest["extra"] = b"FB" + struct.pack("<H", pad) + b"Z" * pad
    f = {"extra": b"", **honest, **member.local}
    head = (
        b"PK\3\4",
        0,
        f["flags"],
        f["method"],
        0,
        0,
        f["crc"],
        f["length"],
        f["size"],
        len(f["name"]),
        len(f["extra"]),
    )
    return struct.pack("<4sHHHHHIIIHH", *head) + f["name"] + f["extra"]


def descriptor(member: Member) -> bytes:
    if not member.flags & 8:
        return b""
    layout = "<4sIQQ" if member.wide_descriptor else "<4sIII"
    return struct.pack(layout, b"PK\7\x08", zlib.crc32(member.data), len(member.packed), len(member.data))


def central_header(member: Member, at: int) -> bytes:
    f: dict[str, Any] = {
        "name": member.name,
        "made": 0,
        "flags": member.flags,
        "method": member.method,
        "crc": zlib.crc32(member.data),
        "length": len(member.packed),
        "size": len(member.data),
        "extra": b"",
        "note": b"",
        "disk": 0,
        "external": 0,
        "header": at,
        **member.central,
    }
    fixed = (b"PK\1\2", f["made"], 0, f["flags"], f["method"], 0, 0, f["crc"], f["length"], f["size"])
    lengths = (len(f["name"]), len(f["extra"]), len(f["note"]), f["disk"], 0, f["external"], f["header"])
    return struct.pack("<4sHHHHHHIIIHHHHHII", *fixed, *lengths) + f["name"] + f["extra"] + f["note"]


# {'w': tensor of 4 float32} as torch.save writes it, and two that say which of several was read.
PICKLE = (
    b"\x80\x02}q\x00X\x01\x00\x00\x00wq\x01ctorch._utils\n_rebuild_tensor_v2\nq\x02((X\x07\x00\x00\x00storageq\x03ctorch\n"
    b"FloatStorage\nq\x04X\x01\x00\x00\x000q\x05X\x03\x00\x00\x00cpuq\x06K\x04tq\x07QK\x00K\x04\x85q\x08K\x01\x85q\x09\x89"
    b"ccollections\nOrderedDict\nq\x0a)Rq\x0btq\x0cRq\x0ds."
)


def numbered(number: int) -> bytes:
    """A pickle of one number."""
    return b"\x80\x02K" + bytes([number]) + b"."


def torch_like(pickle: bytes = PICKLE, folder: bytes = b"a", **changes: Any) -> Archive:
    """What torch 2.13 writes for {'w': torch.ones(4)}."""
    members = (
        Member(folder + b"/data.pkl", pickle),
        Member(folder + b"/.format_version", b"1"),
        Member(folder + b"/.storage_alignment", b"64"),
        Member(folder + b"/byteorder", b"little"),
        Member(folder + b"/data/0", struct.pack("<4f", 1, 1, 1, 1)),
        Member(folder + b"/version", b"3\n"),
        Member(folder + b"/.data/serialization_id", b"0" * 40),
    )
    return Archive(members, **changes)
