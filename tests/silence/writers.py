"""Writes archives of given members: zip (also by hand, with odd spellings), tar, folders. Knows no kind of model."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from typing import NamedTuple

Members = Mapping[str, bytes]

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
EMPTY_BLOCKS = b"\x00\x00\x00\xff\xff" * 1700
"""8,500 bytes of deflate that give nothing."""


def zip_of(members: Members, *, method: int = STORED, comment: bytes = b"") -> bytes:
    """A zip as Python writes it, with a fixed date."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
        archive.comment = comment
    return out.getvalue()


class Record(NamedTuple):
    """One member of a zip that is written by hand: `raw` is what lies in the file."""

    name: bytes
    raw: bytes
    size: int
    crc: int
    method: int = STORED
    extra: bytes = b""
    comment: bytes = b""


def record(name: str, data: bytes, **more: bytes) -> Record:
    return Record(name.encode(), data, len(data), zlib.crc32(data), **more)


def behind_empty_blocks(name: str, data: bytes) -> Record:
    """A deflated member whose first 8,500 compressed bytes give no output."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = EMPTY_BLOCKS + squeeze.compress(data) + squeeze.flush()
    return Record(name.encode(), raw, len(data), zlib.crc32(data), DEFLATED)


def by_hand(records: list[Record], *, gap: bytes = b"", head: bytes = b"", tail: bytes = b"") -> bytes:
    """`gap` lies between members and directory, `head` before the first (offsets count it), `tail` is the comment."""
    out, directory = head, b""
    for one in records:
        here = len(out)
        sizes = one.crc, len(one.raw), one.size, len(one.name), len(one.extra)
        out += (
            struct.pack("<4sHHHHHIIIHH", b"PK\3\4", 20, 0, one.method, 0, 33, *sizes) + one.name + one.extra + one.raw
        )
        directory += struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, 0, one.method, 0, 33, *sizes, len(one.comment), 0, 0, 0, here
        ) + one.name + one.extra + one.comment  # fmt: skip
    out += gap
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, len(records), len(records), len(directory), len(out), len(tail))
    return out + directory + end + tail


def hidden(members: Members, name: str) -> bytes:
    """The archive with one member behind empty deflate blocks."""
    return by_hand([behind_empty_blocks(n, d) if n == name else record(n, d) for n, d in members.items()])


def tar_of(members: Members, mode: str = "w", form: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar, or with "w:gz", "w:bz2", "w:xz" a compressed one."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def header(name: str, size: int, kind: bytes = b"0", link: str = "") -> bytes:
    """One 512-byte block."""
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, link
    return info.tobuf(tarfile.USTAR_FORMAT)


def padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 512)


def entry(name: str, data: bytes, kind: bytes = b"0") -> bytes:
    return header(name, len(data), kind) + padded(data)


def pax(key: str, value: str) -> bytes:
    """A pax header for the member that follows."""
    for length in range(1, 400):
        line = f"{length} {key}={value}\n".encode()
        if len(line) == length:
            return entry("pax", line, b"x")
    raise AssertionError("no length fits")


def long_name(name: str) -> bytes:
    """A GNU long name for the member that follows."""
    return entry("././@LongLink", name.encode() + b"\0", b"L")


END = b"\0" * 1024
