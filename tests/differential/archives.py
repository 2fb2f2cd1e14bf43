"""Odd zip archives by seed: an honest checkpoint in one of the forms that writers make, then tricks piled on it.

`make(seed, number)` is one case, always the same one. Every pickle carries a number of its own and every storage bytes
of its own, so that what a reader returns tells which bytes of the file it read. Needs neither torch nor safeload. The
tricks are in `archive_tricks` (what is said in the fields), `archive_records` (what members are called and hold),
`archive_heads` (names of other kinds, heads that mislead) and `archive_wraps` (what stands around the archive).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.containers.zip_builder import Archive, Member

FOLDERS = (b"a", b"archive", b"my model", b"x.y", b"model-00001-of-00002")
# torch's storage class, its format for struct, and how many bytes an element has.
KINDS = ((b"ByteStorage", "B"), (b"ShortStorage", "h"), (b"IntStorage", "i"), (b"LongStorage", "q"))


@dataclass(frozen=True)
class Case:
    """One file and how it came about. `plain` is True of a checkpoint without a trick, which is to be clean."""

    number: int
    data: bytes
    tricks: tuple[str, ...]

    @property
    def plain(self) -> bool:
        return not self.tricks


class Chance(random.Random):
    """The source of all choices of one case."""

    def __init__(self, seed: int, number: int) -> None:
        super().__init__(f"{seed}:{number}")
        self._next = 0

    def fresh(self) -> int:
        """A number that no other pickle of this case has."""
        self._next += 1
        return 1000 + self._next * 7919 + self.randrange(7000)

    def pickle(self) -> bytes:
        """A pickle of nothing but a fresh number."""
        return b"\x80\x02J" + struct.pack("<i", self.fresh()) + b"."


Trick = Callable[[Chance, Archive], Archive]
Wrap = Callable[[Chance, bytes], bytes]


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def tensor(kind: bytes, key: bytes, count: int) -> bytes:
    """A one-dimensional tensor over all of a storage, as torch.save pickles it (without the memo)."""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + text(b"storage")
        + b"ctorch\n"
        + kind
        + b"\n"
        + text(key)
        + text(b"cpu")
        + b"K"
        + bytes([count])
        + b"tQK\0K"
        + bytes([count])
        + b"\x85K\1\x85\x89ccollections\nOrderedDict\n)RtR"
    )


def checkpoint(chance: Chance, storages: dict[bytes, tuple[bytes, int]]) -> bytes:
    """A pickle of {"n": number, "w0": tensor, ...}, one tensor for each of `storages` (key -> kind, count)."""
    body = text(b"n") + b"J" + struct.pack("<i", chance.fresh())
    body += b"".join(text(b"w" + key) + tensor(kind, key, count) for key, (kind, count) in storages.items())
    return b"\x80\x02}(" + body + b"u."


def honest(chance: Chance) -> Archive:
    """A checkpoint as one of the known writers leaves it."""
    folder = chance.choice(FOLDERS)
    kinds: dict[bytes, tuple[bytes, int]] = {}
    contents: dict[bytes, bytes] = {}
    for index in range(chance.choice((0, 1, 1, 2, 3))):
        kind, code = chance.choice(KINDS)
        count = chance.choice((0, 1, 3, 4, 16, 40))
        key = b"%d" % index
        kinds[key] = (kind, count)
        contents[key] = chance.randbytes(count * struct.calcsize(f"<{code}"))
    members = [Member(folder + b"/data.pkl", checkpoint(chance, kinds))]
    rest = [
        Member(folder + b"/.format_version", b"1"),
        Member(folder + b"/.storage_alignment", b"64"),
        Member(folder + b"/byteorder", chance.choice((b"little", b"little", b"little", b"big"))),
        *(Member(folder + b"/data/" + key, data) for key, data in contents.items()),
        Member(folder + b"/version", b"3\n"),
        Member(folder + b"/.data/serialization_id", b"%040d" % chance.randrange(10**40)),
    ]
    # What older writers leave out; torch refuses an archive without `version`.
    members += [m for m in rest if b"/data/" in m.name or m.name.endswith(b"/version") or chance.random() < 0.85]
    if chance.random() < 0.1:
        members = members[-1:] + members[:-1]  # the oldest writer put `version` first
    return _style(chance, Archive(tuple(members)))


def _style(chance: Chance, archive: Archive) -> Archive:
    """The archive as torch writes it, or as Python's zipfile and zip programs do."""
    match chance.randrange(6):
        case 0 | 1:
            changes = {"flags": 0x808, "align": 64}
        case 2:  # torch told to compute no checksums
            return _each(archive, lambda m: _unsummed(m) if m.data else replace(m, flags=0x800))
        case 3:
            changes = {"flags": 0, "align": 0}
        case 4:
            changes = {"flags": 0, "align": 0, "method": 8}
        case _:  # zipfile on a pipe
            changes = {"flags": 8, "align": 0, "method": chance.choice((0, 8))}
    streamed = bool(changes["flags"] & 8)
    wide = streamed and chance.random() < 0.1
    archive = archive.but(zip64=changes["flags"] == 0x808 or chance.random() < 0.1)
    archive = _each(archive, lambda m: replace(m, **changes, wide_descriptor=wide))
    if changes["flags"] == 0x808:
        archive = _each(archive, lambda m: m if m.data else replace(m, flags=0x800))
    if changes["align"] == 0 and chance.random() < 0.3:
        folder = archive.members[0].name.partition(b"/")[0]
        entry = Member(folder + b"/", flags=0, align=0, central={"external": 0x10})
        archive = archive.but(members=(entry, *archive.members))
    if chance.random() < 0.1:
        archive = archive.but(comment=chance.choice((b"saved by hand", b"3f2a1c a commit")))
    return archive


def _unsummed(member: Member) -> Member:
    size = len(member.data)
    return replace(member, central={"crc": 0}, descriptor=struct.pack("<4sIII", b"PK\7\x08", 0, size, size))


def _each(archive: Archive, change: Callable[[Member], Member]) -> Archive:
    return archive.but(members=tuple(map(change, archive.members)))


def make(seed: int, number: int) -> Case:
    """Case `number` of `seed`: none to five tricks in the fields, and now and then one around the whole archive."""
    # Here and not above: both take their chances and checkpoints from this file.
    from tests.differential.archive_heads import TRICKS
    from tests.differential.archive_wraps import WRAPS

    chance = Chance(seed, number)
    archive = honest(chance)
    count = chance.choices((0, 1, 2, 3, 4, 5), (8, 42, 26, 13, 7, 4))[0]
    played = []
    for name in chance.choices(tuple(TRICKS), k=count):
        archive = TRICKS[name](chance, archive)
        played.append(name)
    data = archive.build()
    for name in chance.choices(tuple(WRAPS), k=chance.choices((0, 1, 2), (75, 20, 5))[0] if count else 0):
        data = WRAPS[name](chance, data)
        played.append(name)
    return Case(number, data, tuple(played))
