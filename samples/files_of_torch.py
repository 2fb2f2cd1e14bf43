"""The files of torch and numpy around the pickles: zips of today, the legacy format, the tar before it, .npy.

Layouts as torch 2.13, 1.5 and 0.1 wrote them (torch/serialization.py), byte by byte. Zips come from the builder that
the tests of the containers use, whose every field may lie.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import replace

from samples.assemble import ONES, PROTO2, STOP, Code, pickle, value
from samples.deflate import Run, Stored
from tests.containers.zip_builder import Archive, Member

MAGIC = 0x1950A86A20F9469CFC6C
SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
FOUR = {"0": ONES}


def zip_of(item: object, storages: Mapping[str, bytes] = FOUR, folder: str = "archive", **changes: object) -> Archive:
    """What torch.save writes today for the opcodes `item`."""
    return zip_around(pickle(item), storages, folder, **changes)


def zip_around(
    stream: bytes, storages: Mapping[str, bytes] = FOUR, folder: str = "archive", **changes: object
) -> Archive:
    """The same around a whole stream."""

    def member(name: str, data: bytes) -> Member:
        # An empty record is written in one go, without a descriptor.
        return Member(f"{folder}/{name}".encode(), data, flags=0x808 if data else 0x800)

    members = (
        member("data.pkl", stream),
        member(".format_version", b"1"),
        member(".storage_alignment", b"64"),
        member("byteorder", b"little"),
        *(member(f"data/{key}", data) for key, data in storages.items()),
        member("version", b"3\n"),
        member(".data/serialization_id", b"0" * 40),
    )
    return Archive(members, **changes)  # type: ignore[arg-type]


def extra(archive: Archive, name: str, data: bytes, **changes: object) -> Archive:
    """With one more member."""
    return archive.plus(Member(name.encode(), data, **changes))  # type: ignore[arg-type]


def plain_zip(members: Mapping[str, bytes]) -> Archive:
    """What Python's zipfile writes: no descriptors, no padding, no zip64."""
    return Archive(tuple(Member(name.encode(), data, flags=0, align=0) for name, data in members.items()), zip64=False)


def resaved(archive: Archive) -> Archive:
    """The same members as another zip program writes them."""
    return Archive(tuple(replace(m, flags=0, align=0) for m in archive.members), zip64=False)


def deflated(archive: Archive, runs: str = "") -> Archive:
    """The same members, compressed; the one named `runs` is a single long run."""
    made = tuple(
        (Run if m.name == runs.encode() else Stored)(m.name, m.data, 8, flags=0, align=0) for m in archive.members
    )
    return Archive(made, zip64=False)


def legacy(
    item: object,
    storages: Mapping[str, tuple[int, bytes]],
    *,
    magic: bytes = b"",
    protocol: bytes = b"",
    system: bytes = b"",
    keys: bytes = b"",
) -> bytes:
    """torch's format up to 1.5: five pickles, then each storage. `storages` maps keys to (elements, bytes).

    The other arguments replace a whole pickle.
    """
    streams = (
        magic or pickle(MAGIC),
        protocol or pickle(1001),
        system or pickle(SYSTEM),
        pickle(item),
        keys or pickle(list(storages)),
    )
    return b"".join(streams) + b"".join(struct.pack("<q", count) + data for count, data in storages.values())


def tar_header(name: str, size: int, kind: bytes = b"0", link: str = "") -> bytes:
    """One ustar header, of no particular time or person."""
    fields = [
        name.encode().ljust(100, b"\0"), b"0000644\0", b"0000000\0", b"0000000\0", b"%011o\0" % size, b"00000000000\0",
        b" " * 8, kind, link.encode().ljust(100, b"\0"), b"ustar\x0000",
    ]  # fmt: skip
    block = b"".join(fields).ljust(512, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def tar(members: Mapping[str, bytes]) -> bytes:
    """A tar of plain files."""
    parts = [tar_header(name, len(data)) + data + b"\0" * (-len(data) % 512) for name, data in members.items()]
    return b"".join(parts) + b"\0" * 1024


def tar_storages(entries: tuple[tuple[Code, int, bytes], ...], views: object = value([])) -> bytes:
    """The `storages` member of the tar format: for each its description, element count and bytes."""
    parts = [pickle(item) + struct.pack("<q", count) + data for item, count, data in entries]
    return pickle(len(entries)) + b"".join(parts) + pickle(views)


def tar_tensors(entries: tuple[tuple[Code, tuple[int, ...], tuple[int, ...], int], ...]) -> bytes:
    """The `tensors` member: for each its description, shape, strides and offset."""
    parts = [
        pickle(item)
        + struct.pack("<ii", len(shape), 0)
        + struct.pack(f"<{2 * len(shape) + 1}q", *shape, *stride, offset)
        for item, shape, stride, offset in entries
    ]
    return pickle(len(entries)) + b"".join(parts)


def npy(descr: str, shape: tuple[int, ...], data: bytes) -> bytes:
    """A .npy file, version 1.0."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data


def empty_stream(body: bytes) -> bytes:
    """A stream of opcodes that are not one value."""
    return PROTO2 + body + STOP
