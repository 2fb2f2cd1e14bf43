"""What can be said wrongly, twice or oddly in the fields of a zip: each trick takes an archive and returns another.

A trick that finds nothing to work on returns the archive as it is, so any of them can follow any other.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.containers.zip_builder import FULL, Archive, Member, central_header, local_header
from tests.differential.archives import Chance, Trick

TRICKS: dict[str, Trick] = {}
ODD_NUMBERS = (0, 1, 4, 21, 22, 30, 44, 46, 64, 0xFF, 0xFFFE, 0xFFFF)


def trick(function: Trick) -> Trick:
    TRICKS[function.__name__.replace("_", " ")] = function
    return function


def folder_of(archive: Archive) -> bytes:
    return archive.members[0].name.partition(b"/")[0] if archive.members else b"a"


def put(chance: Chance, archive: Archive, *members: Member) -> Archive:
    """With `members` at the front, at the end or anywhere."""
    at = chance.choice((0, len(archive.members), chance.randint(0, len(archive.members))))
    return archive.but(members=archive.members[:at] + members + archive.members[at:])


def pick(chance: Chance, archive: Archive) -> int | None:
    """Index of a member; every other time that of data.pkl."""
    if not archive.members:
        return None
    mains = [i for i, m in enumerate(archive.members) if m.name.lower().endswith(b"data.pkl")]
    return chance.choice(mains) if mains and chance.random() < 0.5 else chance.randrange(len(archive.members))


def at(archive: Archive, index: int, member: Member) -> Archive:
    members = list(archive.members)
    members[index] = member
    return archive.but(members=tuple(members))


def on_one(change: Callable[[Chance, Archive, Member], Member]) -> Trick:
    """A trick that is played on one member."""

    def play(chance: Chance, archive: Archive) -> Archive:
        index = pick(chance, archive)
        return archive if index is None else at(archive, index, change(chance, archive, archive.members[index]))

    play.__name__ = change.__name__
    return trick(play)


def central(member: Member, **fields: Any) -> Member:
    return replace(member, central={**member.central, **fields})


def local(member: Member, **fields: Any) -> Member:
    return replace(member, local={**member.local, **fields})


def offsets(archive: Archive) -> list[int]:
    """Where each member begins, as an honest entry would say."""
    found = []
    for index, member in enumerate(archive.members):
        before = Archive(
            tuple(replace(m, hidden=True) for m in archive.members[:index]),
            prefix=archive.prefix,
            shifted=archive.shifted,
            zip64=False,
        )
        end = len(before.build()) - 22 + len(member.before)
        found.append(end - len(archive.prefix) if archive.shifted else end)
    return found


def other_case(chance: Chance, name: bytes) -> bytes:
    letters = [i for i, c in enumerate(name) if chr(c).isascii() and chr(c).isalpha()]
    if not letters or chance.random() < 0.3:
        return name.upper()
    changed = bytearray(name)
    for i in chance.sample(letters, chance.randint(1, len(letters))):
        changed[i] ^= 0x20
    return bytes(changed)


@trick
def copies_of_a_name(chance: Chance, archive: Archive) -> Archive:
    index = pick(chance, archive)
    if index is None:
        return archive
    kept = archive.members[index]
    for _ in range(chance.choice((1, 1, 2, 3, 4, 5, 8))):
        archive = put(chance, archive, replace(kept, data=chance.pickle()))
    return archive


@trick
def name_in_other_case(chance: Chance, archive: Archive) -> Archive:
    index = pick(chance, archive)
    if index is None:
        return archive
    kept = archive.members[index]
    renamed = replace(kept, name=other_case(chance, kept.name))
    if chance.random() < 0.4:
        return at(archive, index, renamed)
    return put(chance, archive, replace(renamed, data=chance.pickle()))


@trick
def other_order(chance: Chance, archive: Archive) -> Archive:
    members = list(archive.members)
    match chance.randrange(3):
        case 0:
            return archive.but(backwards=not archive.backwards)
        case 1:
            order = list(range(len(members)))
            chance.shuffle(order)
            if chance.random() < 0.3 and order:
                order = order[chance.randrange(len(order)) :] if chance.random() < 0.5 else [*order, order[0]]
            return archive.but(order=tuple(order))
        case _:
            chance.shuffle(members)
            return archive.but(members=tuple(members))


@on_one
def local_header_lies(chance: Chance, archive: Archive, member: Member) -> Member:
    other = chance.choice(archive.members)
    match chance.randrange(8):
        case 0:
            longer = member.name + b"x" * chance.choice((1, 4, 40, 64))
            return local(member, name=chance.choice((other.name, longer, member.name[:-1], b"")))
        case 1:
            return local(member, method=chance.choice((0, 8, 12, 99)))
        case 2:
            return local(member, flags=chance.choice((0, 1, 8, 0x800, 0x808, 0x809, 0x2808)))
        case 3:
            return local(member, crc=chance.getrandbits(32))
        case 4:
            return local(member, length=_size(chance, member), size=_size(chance, member))
        case 5:
            return local(member, size=_size(chance, member))
        case 6:
            return local(member, extra=chance.choice((b"", b"\1\0\0\0", b"FB\xff\xff", bytes(64), chance.pickle())))
        case _:
            wide = struct.pack("<HHQQ", 1, 16, _size(chance, member), _size(chance, member))
            return local(member, length=FULL, size=FULL, extra=wide)


def _size(chance: Chance, member: Member) -> int:
    size = len(member.packed)
    return chance.choice((0, 1, size, size, max(size - 1, 0), size + 1, size + 16, size + 200, 1 << 20, FULL - 1, FULL))


@on_one
def entry_lies(chance: Chance, archive: Archive, member: Member) -> Member:
    match chance.randrange(9):
        case 0:
            return central(member, name=chance.choice(archive.members).name)
        case 1:
            size = _size(chance, member)
            return central(member, size=size, length=size)
        case 2:
            return central(member, size=_size(chance, member))
        case 3:
            return central(member, length=_size(chance, member))
        case 4:
            return central(member, method=chance.choice((0, 8, 8, 12, 93, 99)))
        case 5:
            return central(
                member, flags=chance.choice((0, 1, 8, 0x20, 0x40, 0x800, 0x808, 0x2808, 1 << chance.randrange(16)))
            )
        case 6:
            return central(member, crc=chance.choice((0, 1, chance.getrandbits(32))))
        case 7:
            return central(member, disk=chance.choice((1, 2, 0xFFFF)), made=chance.choice((0, 0x31E, 0xFFFF)))
        case _:
            return central(member, external=chance.choice((0x10, 0x20, 0o120777 << 16, 0o40755 << 16, 1 << 30)))


@trick
def entry_points_elsewhere(chance: Chance, archive: Archive) -> Archive:
    index = pick(chance, archive)
    if index is None:
        return archive
    places = offsets(archive)
    place = chance.choice(places)
    wrong = chance.choice((place, place, place, max(place - 1, 0), place + 30, chance.randrange(2000), 1 << 30, FULL))
    return at(archive, index, central(archive.members[index], header=wrong))


@trick
def two_names_for_one_place(chance: Chance, archive: Archive) -> Archive:
    """A second entry, with another name, for bytes that a member has already."""
    index = pick(chance, archive)
    if index is None:
        return archive
    kept = archive.members[index]
    name = chance.choice((folder_of(archive) + b"/data.pkl", folder_of(archive) + b"/more.pkl", kept.name))
    ghost = replace(kept, name=name, ghost=True, central={**kept.central, "header": offsets(archive)[index]})
    return archive.plus(ghost)


@trick
def member_inside_a_member(chance: Chance, archive: Archive) -> Archive:
    """The bytes of a member hold another one, local header and all, which has its own entry."""
    name = chance.choice((b"/data.pkl", b"/inner.pkl", b"/data/0", b"/data/7"))
    inner = Member(folder_of(archive) + name, chance.pickle(), flags=chance.choice((0, 0x808)), align=0)
    lead = chance.choice((b"", b"some text\n", bytes(64)))
    outer = Member(folder_of(archive) + b"/outer.txt", lead + local_header(inner, 0) + inner.data, flags=0, align=0)
    archive = archive.plus(outer)
    start = offsets(archive)[-1] + 30 + len(outer.name) + len(lead)
    return archive.plus(replace(inner, ghost=True, central={"header": start}))


@on_one
def flags_of_both(chance: Chance, archive: Archive, member: Member) -> Member:
    return replace(member, flags=member.flags ^ chance.choice((1, 2, 6, 8, 0x10, 0x20, 0x40, 0x800, 0x2000, 1 << 15)))


@on_one
def descriptor_lies(chance: Chance, archive: Archive, member: Member) -> Member:
    crc, size = zlib.crc32(member.data), len(member.data)
    choices = (
        b"",
        struct.pack("<III", crc, len(member.packed), size),
        struct.pack("<IQQ", crc, len(member.packed), size),
        struct.pack("<4sIII", b"PK\7\x08", 7, size, size),
        struct.pack("<4sIII", b"PK\7\x08", crc, size + 1, size),
        struct.pack("<4sIQQ", b"PK\7\x08", crc, len(member.packed), size),
        chance.randbytes(16),
        b"PK\3\4" + bytes(12),
    )
    return replace(member, flags=member.flags | chance.choice((0, 8)), descriptor=chance.choice(choices))


@on_one
def checksum_lies(chance: Chance, archive: Archive, member: Member) -> Member:
    crc = chance.choice((0, 1, 0xFFFFFFFF, chance.getrandbits(32)))
    shown = struct.pack("<4sIII", b"PK\7\x08", crc, len(member.packed), len(member.data))
    member = central(member, crc=crc)
    return replace(member, descriptor=shown) if member.flags & 8 else local(member, crc=crc)


@on_one
def deflate(chance: Chance, archive: Archive, member: Member) -> Member:
    """Compressed where torch stores, or said to be, or with more behind the end of the compressed data."""
    packed = replace(member, method=8).packed
    match chance.randrange(5):
        case 0 | 1:
            return replace(member, method=8)
        case 2:
            return replace(member, method=chance.choice((8, 9, 12, 14, 93)), data=member.data, central={"method": 0})
        case 3:
            longer = packed + chance.pickle()
            sizes = {"size": len(member.data), "crc": zlib.crc32(member.data)}
            lengths = {"length": len(longer), "method": 8, **sizes}
            shown = {"method": 8} if member.flags & 8 else lengths
            return replace(member, data=longer, method=0, central=lengths, local=shown, descriptor=b"")
        case _:
            cut = packed[: chance.randint(0, len(packed))]
            return replace(member, data=cut, central={"method": 8, "size": len(member.data)}, local={"method": 8})


@on_one
def zip64_field(chance: Chance, archive: Archive, member: Member) -> Member:
    """A 64-bit field, honest or not, for values that fit in 32 bits."""
    size, length = len(member.data), len(member.packed)
    lie = chance.choice((0, 0, 0, 1, 16, -1))
    place = offsets(archive)[archive.members.index(member)] if member in archive.members else 0
    values = [max(size + lie, 0), length, place]
    wide = struct.pack("<HHQQ", 1, 16, *values[:2])
    match chance.randrange(6):
        case 0 | 1:
            return central(member, size=FULL, length=FULL, extra=wide)
        case 2:
            return central(member, header=FULL, extra=struct.pack("<HHQ", 1, 8, place + lie if place + lie > 0 else 0))
        case 3:
            return central(member, extra=wide)
        case 4:
            again = struct.pack("<HHQQ", 1, 16, 5, 5)
            both = chance.choice((wide + again, again + wide, b"\1\0\0\0" + wide, wide[:-9], b"UT\1\0x" + wide))
            return central(member, size=FULL, length=FULL, extra=both)
        case _:
            return central(member, size=FULL, extra=struct.pack("<HHQ", 1, 8, values[0]))


@on_one
def unicode_path(chance: Chance, archive: Archive, member: Member) -> Member:
    name = chance.choice((member.name, folder_of(archive) + b"/data.pkl", b"a/\xc3\xa4"))
    crc = chance.choice((zlib.crc32(member.name), 0))
    field = struct.pack("<HHBI", 0x7075, 5 + len(name), chance.choice((1, 1, 2)), crc) + name
    return central(member, extra=field) if chance.random() < 0.7 else local(member, extra=field)


@on_one
def hidden_member(chance: Chance, archive: Archive, member: Member) -> Member:
    return replace(member, hidden=True)


@on_one
def entry_without_bytes(chance: Chance, archive: Archive, member: Member) -> Member:
    return replace(member, ghost=True)


@on_one
def bytes_between(chance: Chance, archive: Archive, member: Member) -> Member:
    junk = chance.choice(
        (b"\0", b"x" * 16, chance.pickle(), bytes(200), b"PK\3\4" + bytes(26), b"PK\7\x08" + bytes(12))
    )
    return replace(member, after=junk) if chance.random() < 0.6 else replace(member, before=junk)


@trick
def end_record_lies(chance: Chance, archive: Archive) -> Archive:
    count = chance.randint(0, len(archive.members) + 2)
    size = len(archive.build())
    return chance.choice(
        (
            lambda: archive.but(count=count),
            lambda: archive.but(count64=count),
            lambda: archive.but(count=count, count64=len(archive.members)),
            lambda: archive.but(disk=chance.choice((1, 0xFFFF))),
            lambda: archive.but(size=chance.choice((0, 46, 100, size, FULL))),
            lambda: archive.but(offset=chance.choice((0, 1, 4, chance.randrange(size), size, FULL))),
            lambda: archive.but(offset64=chance.choice((0, 4, chance.randrange(size), 1 << 40))),
            lambda: archive.but(record_at=chance.choice((0, 4, chance.randrange(size), 1 << 40))),
            lambda: archive.but(zip64=not archive.zip64),
        )
    )()


@trick
def two_directories(chance: Chance, archive: Archive) -> Archive:
    """A second directory of the same length, where readers look that count from the end, with another data.pkl."""
    mains = [m for m in archive.members if m.name.endswith(b"data.pkl") and not m.hidden]
    if not mains or archive.after_directory or archive.order or archive.size is not None:
        return archive
    second = replace(mains[0], data=chance.pickle(), method=0, hidden=True, central={}, local={}, descriptor=None)
    archive = archive.plus(second)
    shown = [(m, place) for m, place in zip(archive.members, offsets(archive), strict=True) if not m.hidden]
    gap = sum(len(central_header(m, 0)) for m, _ in shown)
    # zipfile adds the distance between the two to each offset, so most of these second directories take it off first.
    taken = gap if chance.random() < 0.8 else 0
    moved = [(second, offsets(archive)[-1]) if m is mains[0] else (m, place) for m, place in shown]
    headers = b"".join(central_header(m, (place - taken) % 2**32) for m, place in moved)
    return archive.but(after_directory=headers if chance.random() < 0.8 else headers + bytes(8))


@trick
def comment(chance: Chance, archive: Archive) -> Archive:
    second = archive.but(comment=b"", trailing=b"").build()
    said = chance.choice(
        (b"a comment", b"\0\1\2", second[-22:], b"x" * 30 + second[-98:], b"PK\5\6", second, b"PK\5\6" * 9)
    )
    length = chance.choice((None, None, None, 0, len(said) + 1, 0xFFFF))
    return archive.but(comment=said[:0xFFFF], comment_length=length)


@trick
def bytes_around(chance: Chance, archive: Archive) -> Archive:
    junk = chance.choice(
        (b"\0", b"PK\3\4", b"PK\5\6", b"PK\3\4" + bytes(26), chance.pickle(), b"#!/bin/sh\n", bytes(64))
    )
    match chance.randrange(5):
        case 0:
            return archive.but(prefix=junk, shifted=False)
        case 1:
            return archive.but(prefix=junk, shifted=True)
        case 2:
            return archive.but(before_directory=junk)
        case 3:
            return archive.but(after_directory=junk)
        case _:
            return archive.but(trailing=junk)
