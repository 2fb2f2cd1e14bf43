"""Tricks with a whole archive as bytes: cut, damaged, doubled, and put in front of, behind or inside another format."""

from __future__ import annotations

import io
import struct
import tarfile

from tests.containers.zip_builder import Archive, Member
from tests.differential.archives import Chance, Wrap, checkpoint, honest

WRAPS: dict[str, Wrap] = {}
MAGIC = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
MARKS = (b"PK\1\2", b"PK\3\4", b"PK\5\6", b"PK\6\6", b"PK\6\7", b"PK\7\x08")


def wrap(function: Wrap) -> Wrap:
    WRAPS[function.__name__.replace("_", " ")] = function
    return function


def places(data: bytes) -> list[int]:
    """Where a structure begins, by its signature."""
    found = []
    for mark in MARKS:
        at = data.find(mark)
        while at >= 0:
            found.append(at)
            at = data.find(mark, at + 1)
    return found or [0]


def legacy(chance: Chance) -> bytes:
    """torch's format of before the zip: five pickles, then one storage of three bytes."""
    kinds = {b"0": (b"ByteStorage", 3)} if chance.random() < 0.5 else {}
    # A sixth field of the persistent id says that the storage is no view.
    value = checkpoint(chance, kinds).replace(b"K\x03tQ", b"K\x03NtQ")
    keys = b"\x80\x02](" + b"".join(b"X\1\0\0\0" + key for key in kinds) + b"e."
    tail = struct.pack("<q", 3) + chance.randbytes(3) if kinds else b""
    return MAGIC + b"\x80\x02M\xe9\x03." + b"\x80\x02}." + value + keys + tail


def tar(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def torch_tar(chance: Chance) -> bytes:
    """torch's first format, without tensors: a tar of `storages`, `tensors` and `pickle`."""
    count = b"\x80\x02K\0."
    return tar({"storages": count, "tensors": count, "pickle": chance.pickle()})


def named(block: bytes, name: bytes) -> bytes:
    """A tar whose first member has another name, with its checksum set right."""
    head = bytearray(name.ljust(100, b"\0")[:100] + block[100:512])
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + block[512:]


@wrap
def cut_at_a_boundary(chance: Chance, data: bytes) -> bytes:
    at = chance.choice((*places(data), len(data))) + chance.choice((-1, 0, 1, 4, 16, 22, 30, 46, -20))
    return data[: max(at, 0)]


@wrap
def damaged_field(chance: Chance, data: bytes) -> bytes:
    broken = bytearray(data)
    found = places(data)
    for _ in range(chance.randint(1, 2)):
        at = chance.choice(found) + chance.randrange(60)
        if at >= len(broken):
            continue
        match chance.randrange(5):
            case 0:
                broken[at] = chance.randrange(256)
            case 1:
                broken[at] ^= 1 << chance.randrange(8)
            case 2:
                broken[at : at + 4] = struct.pack("<I", chance.choice((0, 1, 64, len(data), 0xFFFF, 0xFFFFFFFF)))
            case 3:
                other = chance.choice(found)
                broken[at : at + 8] = broken[other : other + 8]
            case _:
                del broken[at : at + chance.choice((1, 4, 46))]
    return bytes(broken)


@wrap
def another_archive_behind(chance: Chance, data: bytes) -> bytes:
    """Two archives, the second with offsets from its own beginning or from that of the file."""
    if chance.random() < 0.3:
        return data + data
    second = honest(chance)
    if chance.random() < 0.5:
        return second.but(prefix=data, shifted=False).build()
    return data + second.build()


@wrap
def another_archive_in_front(chance: Chance, data: bytes) -> bytes:
    return honest(chance).build() + data


@wrap
def locator_to_another_record(chance: Chance, data: bytes) -> bytes:
    """A directory and a zip64 record of their own in the middle of the file, which only the locator leads to."""
    end = data.rfind(b"PK\5\6")
    spot = data.rfind(b"PK\6\7", 0, end)
    record, start = data.rfind(b"PK\6\6", 0, end), data.find(b"PK\1\2")
    if not 0 < start < record < spot or spot != end - 20:
        return data
    members = (Member(b"a/data.pkl", chance.pickle()), Member(b"a/version", b"3\n"))
    other = Archive(members, prefix=data[:start], shifted=False).build()
    behind = other[: other.rfind(b"PK\6\7")]
    told = other.rfind(b"PK\6\6")
    if chance.random() < 0.5:
        told = max(told + chance.choice((0, 1, 4, -4)), 0)
    shift = len(behind) - start
    tail = bytearray(data[start:])
    low, high = end - start + 16, record - start + 48
    tail[low : low + 4] = struct.pack("<I", start + shift)
    tail[high : high + 8] = struct.pack("<Q", start + shift)
    tail[spot - start + 8 : spot - start + 16] = struct.pack("<Q", told)
    return behind + bytes(tail)


@wrap
def record_longer_than_usual(chance: Chance, data: bytes) -> bytes:
    """A zip64 record with extensible data: readers differ in whether they see the locator's or the adjacent one."""
    spot = data.rfind(b"PK\6\7")
    record = data.rfind(b"PK\6\6", 0, spot)
    if record < 0 or spot < record + 56:
        return data
    more = chance.choice((bytes(8), chance.pickle(), data[record : record + 56]))
    length = struct.pack("<Q", 44 + (len(more) if chance.random() < 0.7 else 0))
    return data[: record + 4] + length + data[record + 12 : spot] + more + data[spot:]


@wrap
def legacy_file_in_front(chance: Chance, data: bytes) -> bytes:
    """torch reads the first format, whoever looks at the end of the file the archive."""
    first = legacy(chance)
    if chance.random() < 0.5:
        return first + data
    return honest(chance).but(prefix=first, shifted=False).build()


@wrap
def older_format_alone(chance: Chance, data: bytes) -> bytes:
    return legacy(chance) if chance.random() < 0.7 else torch_tar(chance)


@wrap
def legacy_header_in_front(chance: Chance, data: bytes) -> bytes:
    return MAGIC + chance.choice((b"", b"\x80\x02M\xe9\x03.", b"\x80\x02M\xe9\x03.\x80\x02}.")) + data


@wrap
def pickle_in_front(chance: Chance, data: bytes) -> bytes:
    first = chance.choice((chance.pickle(), b"I1\n.", b"(lp0\n.", b"\x80\x04N."))
    return first + data


@wrap
def legacy_file_behind(chance: Chance, data: bytes) -> bytes:
    return data + legacy(chance)


@wrap
def in_a_tar(chance: Chance, data: bytes) -> bytes:
    """In front of, behind or inside a tar; the tar may begin like a zip."""
    old = torch_tar(chance)
    match chance.randrange(6):
        case 0:
            return old + data
        case 1:
            return data + old
        case 2:
            return honest(chance).but(prefix=named(old, b"PK\3\4" + bytes(26)), shifted=False).build()
        case 3:
            return honest(chance).but(prefix=old, shifted=False).build()
        case 4:
            # A tar by its checksum, and the older format by its first bytes, which are the name of a member.
            inside = {"x": b"", "storages": b"\x80\x02K\0.", "tensors": b"\x80\x02K\0.", "pickle": chance.pickle()}
            return named(tar(inside), MAGIC + b"\x80\x02M\xe9\x03.\x80\x02}." + chance.pickle() + b"\x80\x02].")
        case _:
            return tar({"model.pt": data})


@wrap
def in_a_plain_zip(chance: Chance, data: bytes) -> bytes:
    """As the only member of a zip that is no checkpoint."""
    name = chance.choice((b"model.pt", b"x/model.pt", b"data.pkl", b"a/data.pkl"))
    return Archive((Member(name, data, flags=0, align=0),), zip64=False).build()


@wrap
def in_the_comment(chance: Chance, data: bytes) -> bytes:
    """As the comment of another archive: the last end record is this one's."""
    return honest(chance).but(comment=data[:0xFFFF]).build()
