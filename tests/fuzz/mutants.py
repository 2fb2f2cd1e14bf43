"""Damaged files, by number: `Mutants(seeds, seed).case(n)` is the same file wherever it is asked for.

Most damage knows the format it does it to. A member of an archive is damaged and the archive built again around it,
with checksums and lengths that fit: a reader that stops at the first wrong checksum shows nothing of what is behind it.
The rest hits any byte. Formats are told apart by their first bytes, as loosely as can be: this file judges nothing.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from tests.containers.zip_builder import Archive, Member
from tests.fuzz.damage import number, some_bytes, some_json, some_opcodes, some_text
from tests.fuzz.seeds import Seed, tar_of

LONGEST = 200_000
"""Bytes of a mutant: doubling what was doubled gets nowhere."""

_TREE = "safeload.tree"
# (magic, its fields as offset and size): local header, central header, end, zip64 end, zip64 locator.
_FIELDS: tuple[tuple[bytes, tuple[tuple[int, int], ...]], ...] = (
    (b"PK\3\4", ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))),
    (b"PK\1\2", ((6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4), (28, 2), (30, 2), (32, 2), (34, 2), (38, 4),
                  (42, 4))),
    (b"PK\5\6", ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))),
    (b"PK\6\6", ((4, 8), (16, 4), (20, 4), (24, 8), (32, 8), (40, 8), (48, 8))),
    (b"PK\6\7", ((4, 4), (8, 8), (16, 4))),
)  # fmt: skip
# Name, mode, size (twice: it leads furthest), type, link, magic, prefix.
_TAR_FIELDS = ((0, 100), (100, 108), (124, 136), (124, 136), (156, 157), (157, 257), (257, 265), (345, 500))


class Case(NamedTuple):
    """One damaged file. `beside`: the tree beside it, None for none; `recipe`: the seed and what was done to it."""

    data: bytes
    beside: bytes | None
    recipe: str


class Mutants:
    """Every case of one campaign."""

    def __init__(self, seeds: list[Seed], seed: int) -> None:
        self.seeds = seeds
        self.seed = seed

    def case(self, index: int) -> Case:
        """The file of this number."""
        rng = random.Random(f"{self.seed}/{index}")
        chosen = rng.choice(self.seeds)
        steps: list[str] = [chosen.name]
        if chosen.beside is not None and rng.random() < 0.7:
            return self._beside(rng, chosen, steps)
        data = chosen.data
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            data = self.damaged(rng, data, steps, 0)
        return Case(data[:LONGEST], chosen.beside, " ".join(steps))

    def _beside(self, rng: random.Random, chosen: Seed, steps: list[str]) -> Case:
        """The tree beside a file damaged, and most of the time bound to it again."""
        import hashlib

        old = chosen.beside or b""
        new = some_json(rng, old) if rng.random() < 0.9 else some_bytes(rng, old, self._other(rng))
        data = chosen.data
        if rng.random() < 0.9:
            bound = [f"{hashlib.sha256(text).hexdigest()} {len(text)}".encode() for text in (old, new)]
            data = _retell(data, lambda text: text.replace(*bound))
        steps.append("tree-beside")
        return Case(data, new, " ".join(steps))

    def _other(self, rng: random.Random) -> bytes:
        return rng.choice(self.seeds).data

    def damaged(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        """`data` with one change, written down in `steps`. Raises nothing for any data."""
        kind = _kind(data)
        ways = _WAYS.get(kind, ())
        if ways and rng.random() < 0.8:
            way = rng.choice(ways)
            try:
                found = way(self, rng, data, steps, depth)
            except Exception:
                # What reads the seeds here are other people's readers, and the second change meets a broken file.
                found = data
            if found != data:
                steps.append(f"{kind}:{way.__name__.lstrip('_')}")
                return found
        if rng.random() < 0.05:
            steps.append("joined")
            other = self._other(rng)
            return data + other if rng.random() < 0.5 else data[: rng.randrange(len(data) + 1)] + other
        steps.append("bytes")
        head = 64 if rng.random() < 0.2 else None
        return some_bytes(rng, data, self._other(rng), 0, head)

    def _opcodes(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        return some_opcodes(rng, data, self._other(rng))

    def _zip_field(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        magic, fields = rng.choice(_FIELDS)
        spots = []
        at = data.find(magic)
        while at >= 0 and len(spots) < 50:
            spots.append(at)
            at = data.find(magic, at + 1)
        if not spots:
            return data
        offset, size = rng.choice(fields)
        at = rng.choice(spots) + offset
        return data[:at] + number(rng, size, int.from_bytes(data[at : at + size], "little")) + data[at + size :]

    def _zip_member(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        """The archive built again around one damaged member."""
        archive, at = _opened(rng, data)
        members = list(archive.members)
        members[at] = replace(members[at], data=self._inner(rng, members[at].data, steps, depth))
        return replace(archive, members=tuple(members)).build()

    def _zip_shape(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        """Members taken out, doubled, renamed, packed otherwise, hidden, from elsewhere."""
        archive, at = _opened(rng, data)
        members = list(archive.members)
        one = members[at]
        names = [m.name for m in members]
        match rng.randrange(8):
            case 0:
                del members[at]
            case 1:
                members.append(one)
            case 2:
                members[at] = replace(one, name=rng.choice([*names, one.name.upper(), b"../x", b"", one.name + b"\0x"]))
            case 3:
                members[at] = replace(one, method=8 - one.method if one.method in (0, 8) else 0)
            case 4:
                members[at] = replace(one, hidden=True)
            case 5:
                folder = one.name.rpartition(b"/")[0]
                name = rng.choice(
                    (b"x.pkl", b"data/9", b"constants.pkl", b"byteorder", b"version", b".data/extern_modules")
                )
                members.append(Member(folder + b"/" + name, rng.choice((b"big", b"\x80\x02N.", self._other(rng)))))
            case 6:
                rng.shuffle(members)
            case _:
                side = rng.choice(("local", "central"))
                field = rng.choice(("crc", "length", "size", "flags", "method"))
                members[at] = replace(one, **{side: {field: int.from_bytes(number(rng, 2), "little")}})
        return replace(archive, members=tuple(members), zip64=rng.random() < 0.8).build()

    def _inner(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        if depth > 2:
            return some_bytes(rng, data, self._other(rng))
        return self.damaged(rng, data, steps, depth + 1)

    def _tar_member(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            members = {info.name: tar.extractfile(info).read() for info in tar if info.isfile()}  # type: ignore[union-attr]
        name = rng.choice(list(members))
        members[name] = self._inner(rng, members[name], steps, depth)
        return tar_of(members)

    def _tar_header(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        """One field of a header, most of the time with its checksum made to fit."""
        at = rng.randrange(len(data) // 512) * 512
        head = bytearray(data[at : at + 512])
        start, end = rng.choice(_TAR_FIELDS)
        octal = b"%0*o\0" % (end - start - 1, rng.choice((0, 1, 511, 512, 513, 1 << 20, (1 << 33) - 1)))
        kind = b"KLSxgDV12530"[rng.randrange(12) :][:1]
        binary = b"\x80" + rng.randbytes(end - start - 1)
        text = rng.choice((octal, binary, b"../x", kind, rng.randbytes(end - start)))[: end - start]
        head[start : start + len(text)] = text
        if rng.random() < 0.9:
            head[148:156] = b" " * 8
            head[148:156] = b"%06o\0 " % sum(head)
        return data[:at] + head + data[at + 512 :]

    def _header_json(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        return _retell(data, lambda text: some_json(rng, text), rng.random() < 0.9)

    def _tree(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        """The tree in the metadata of a safetensors file."""

        def change(text: bytes) -> bytes:
            header = json.loads(text)
            tree = header["__metadata__"][_TREE].encode()
            header["__metadata__"][_TREE] = some_json(rng, tree).decode("utf-8", "surrogatepass")
            return json.dumps(header).encode()

        return _retell(data, change)

    def _npy_header(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        width = 2 if data[6] == 1 else 4
        start = 8 + width
        length = int.from_bytes(data[8:start], "little")
        text = some_text(rng, data[start : start + length])
        told = len(text) if rng.random() < 0.9 else length
        return data[:8] + told.to_bytes(width, "little") + text + data[start + length :]

    def _npy_body(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        start = 10 + int.from_bytes(data[8:10], "little")
        return data[:start] + self._inner(rng, data[start:], steps, depth)

    def _inflated(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        kind = _kind(data)
        unpack, pack = _PACKERS[kind]
        return pack(self._inner(rng, unpack(data), steps, depth))

    def _text(self, rng: random.Random, data: bytes, steps: list[str], depth: int) -> bytes:
        return some_json(rng, data)


def _retell(data: bytes, change: Callable[[bytes], bytes], honest: bool = True) -> bytes:
    """A safetensors file with another header. Not `honest`: the length of the old one stays."""
    length = int.from_bytes(data[:8], "little")
    text = change(data[8 : 8 + length])
    return struct.pack("<Q", len(text) if honest else length) + text + data[8 + length :]


def _opened(rng: random.Random, data: bytes) -> tuple[Archive, int]:
    """The members of a zip, and which of them to damage: the pickle of the checkpoint more often than others."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()[:60]
        members = tuple(
            Member(i.orig_filename.encode("utf-8", "surrogateescape"), archive.read(i), i.compress_type) for i in infos
        )
    pickles = [n for n, m in enumerate(members) if m.name.endswith((b".pkl", b".npy", b".pt"))]
    at = rng.choice(pickles) if pickles and rng.random() < 0.7 else rng.randrange(len(members))
    return Archive(members), at


def _kind(data: bytes) -> str:
    """What `data` looks like at its first bytes."""
    for magic, kind in _MAGICS:
        if data.startswith(magic):
            return kind
    if data[257:262] == b"ustar" or (len(data) >= 1536 and data[148:156].strip(b" \0").isdigit()):
        return "tar"
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") < len(data):
        return "safetensors"
    if data[:1] in (b"{", b"["):
        return "text"
    return "pickle"


def _lzma_alone(data: bytes) -> bytes:
    return lzma.compress(data, lzma.FORMAT_ALONE)


_MAGICS = ((b"PK", "zip"), (b"\x93NUMPY", "npy"), (b"\x1f\x8b", "gzip"), (b"BZh", "bz2"), (b"\xfd7zXZ", "xz"),
           (b"\x5d\x00\x00", "lzma"), (b"\x78\x9c", "zlib"))  # fmt: skip
_PACKERS: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
    "gzip": (gzip.decompress, lambda data: gzip.compress(data, mtime=0)),
    "bz2": (bz2.decompress, bz2.compress),
    "xz": (lzma.decompress, lzma.compress),
    "lzma": (lzma.decompress, _lzma_alone),
    "zlib": (zlib.decompress, zlib.compress),
}
Way = Callable[[Mutants, random.Random, bytes, list[str], int], bytes]
_PACKED: tuple[Way, ...] = (Mutants._inflated,)
_WAYS: dict[str, tuple[Way, ...]] = {
    "zip": (Mutants._zip_field, Mutants._zip_member, Mutants._zip_member, Mutants._zip_member, Mutants._zip_shape),
    "tar": (Mutants._tar_member, Mutants._tar_header),
    "npy": (Mutants._npy_header, Mutants._npy_header, Mutants._npy_body),
    "safetensors": (Mutants._header_json, Mutants._tree, Mutants._tree),
    "text": (Mutants._text,),
    "pickle": (Mutants._opcodes,),
    **dict.fromkeys(_PACKERS, _PACKED),
}
