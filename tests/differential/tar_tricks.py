"""Odd tars by a seed, and whether our reader sees in each what `tarfile` sees, or says that it does not.

A case is built header by header: two names for one member, long names, folders of before ustar, links, sizes in pax
headers, numbers in every spelling, damaged sums, zeros in the middle, texts behind the end of a header's. The oracle is
`tarfile` itself: the names, kinds, sizes and bytes of all members, of links too. `archive_campaign` runs many of them.
"""

from __future__ import annotations

import io
import pickle
import random
import tarfile
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from safeload.containers.interface import ContainerLayout, Nested, Pickle
from safeload.containers.tar.archive import TarArchive
from safeload.containers.tar.directory import TarEntry, entries
from safeload.containers.tar.torch_tar import TorchTar
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits

NAMES = (
    b"a", b"b", b"a/b", b"pickle", b"storages", b"tensors", b"sys_info", b"a/", b"pickle/", b"./a", b"./pickle", b"",
    b"a//b", b"../a", b"/a", b"a/../b", b"a\\b", b"c:\\a", b"x" * 100, b"d/" * 45 + b"e", b"\xff\xfe", b"\xc3\xa9",
    b"a\0b", b"pickle\0z", b"A", b".", b"./", b"..", b"a b", b"model_config.yaml",
)  # fmt: skip
KINDS = (b"0", b"0", b"0", b"0", b"\0", b"\0", b"7", b"1", b"2", b"5", b"3", b"6", b"A", b"Z", b"V", b"S", b"D", b"N")
MAGICS = (b"ustar\x0000", b"ustar\x0000", b"ustar\x0000", b"ustar  \0", bytes(8), b"ustar\x00\x20\x20", b"USTAR\x0000")

BROKEN = object()


def pad(data: bytes, fill: bytes = b"\0") -> bytes:
    return data + fill * (-len(data) % 512)


def header(name: bytes, kind: bytes = b"0", size: int = 0, **fields: bytes) -> bytes:
    """A header block; `fields` replace parts of it by their names, and `chksum` the sum that would be right."""
    block = bytearray(512)
    given = {
        "name": name, "mode": b"0000644\0", "uid": b"0000000\0", "gid": b"0000000\0", "digits": b"%011o\0" % size,
        "mtime": b"00000000000\0", "type": kind, "linkname": b"", "magic": MAGICS[0], **fields,
    }  # fmt: skip
    for field, (start, end) in PLACES.items():
        value = given.get(field, b"")[: end - start]
        block[start : start + len(value)] = value
    block[148:156] = b" " * 8
    total = sum(block)
    block[148:156] = given.get("chksum", b"%06o\0 " % total)
    return bytes(block)


PLACES = {
    "name": (0, 100), "mode": (100, 108), "uid": (108, 116), "gid": (116, 124), "digits": (124, 136),
    "mtime": (136, 148), "type": (156, 157), "linkname": (157, 257), "magic": (257, 265), "uname": (265, 297),
    "devmajor": (329, 337), "devminor": (337, 345), "prefix": (345, 500), "end": (500, 512),
}  # fmt: skip


def record(key: bytes, value: bytes) -> bytes:
    """One record of a pax header."""
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def extension(kind: bytes, text: bytes, *, padding: bytes = b"\0", **fields: bytes) -> bytes:
    """An extension header of the type `kind` that says `text`."""
    return header(b"././@LongLink" if kind in b"LK" else b"PaxHeader", kind, len(text), **fields) + pad(text, padding)


class Maker:
    """Makes one odd tar after the other from a seed."""

    def __init__(self, seed: int | str) -> None:
        self.chance = random.Random(seed)

    def one(self) -> bytes:
        chance = self.chance
        calm = chance.random() < 0.3
        parts = list(self._torch()) if chance.random() < 0.25 else []
        for _ in range(chance.randint(1, 3)):
            parts += self._member(calm)
        if chance.random() < 0.15:
            parts.insert(chance.randrange(len(parts) + 1), chance.choice([bytes(512), bytes(1024), b"n" * 512]))
        data = b"".join(parts)
        ending = chance.choice([b"", bytes(512), bytes(1024), bytes(10240)] + [bytes(1024) + b"late"] * (not calm))
        data += ending
        if chance.random() < 0.05:
            data = data[: chance.randrange(len(data) + 1)]
        return data

    def _torch(self) -> Iterator[bytes]:
        for name in (b"storages", b"tensors", b"pickle"):
            body = {
                b"storages": pickle.dumps(0, 2) + pickle.dumps([], 2),
                b"tensors": pickle.dumps(0, 2),
                b"pickle": pickle.dumps(self.chance.choice(["one", 2, [3]]), 2),
            }[name]
            if self.chance.random() < 0.15:
                yield from self._extensions(calm=False)
            yield header(name, size=len(body)) + pad(body)

    def _member(self, calm: bool) -> Iterator[bytes]:
        chance = self.chance
        yield from self._extensions(calm)
        kind = chance.choice(KINDS if not calm else (b"0", b"0", b"5", b"1", b"2"))
        holds = kind not in (b"1", b"2", b"3", b"5", b"6") or chance.random() < 0.05
        body = chance.choice([b"", b"x", pickle.dumps("other", 2), b"y" * 600]) if holds else b""
        fields: dict[str, bytes] = {"magic": chance.choice(MAGICS) if not calm else MAGICS[0]}
        if kind in (b"1", b"2"):
            fields["linkname"] = self._name(calm)
        if chance.random() < 0.2:
            fields["prefix"] = chance.choice([b"p", b"..", b"/", b"q" * 155, b"q" * 131, b"p\0junk"])
        if chance.random() < 0.05:
            fields["end"] = bytes(8) + b"tar\0"
        size = len(body)
        if not calm and chance.random() < 0.25:
            key, value = chance.choice(self._numbers(size))
            fields[key] = value
        yield header(self._name(calm), kind, size, **fields)
        yield pad(body, chance.choice([b"\0", b"\0", b"#"]))

    def _numbers(self, size: int) -> list[tuple[str, bytes]]:
        return [
            ("digits", b" %o " % size), ("digits", b"\0%010o\0" % size), ("digits", b"\x80" + size.to_bytes(11, "big")),
            ("digits", b"\xff" * 12), ("digits", b"-1\0"), ("digits", b"+%o\0" % size), ("digits", b"0o%o\0" % size),
            ("digits", b"\t%o\n\0" % size), ("digits", b"1_0\0"), ("digits", b"%o\0junk" % size),
            ("digits", b"%o 7\0" % size),
            ("mode", b"junk"), ("uid", b"\xff" * 8), ("gid", b"8\0"), ("mtime", b"\x80" + b"\xff" * 11),
            ("mtime", b"-7\0"), ("devmajor", b"x\0"), ("devminor", b"\xb0\0"), ("chksum", b"0\0"),
            ("chksum", b"\0" * 8), ("uname", b"\xff\0x"), ("digits", b"\x81" + size.to_bytes(11, "big")),
            ("digits", b""),
        ]  # fmt: skip

    def _extensions(self, calm: bool) -> Iterator[bytes]:
        chance = self.chance
        for _ in range(chance.choice([0, 0, 0, 1, 1, 2, 3]) if not calm else chance.choice([0, 0, 1])):
            kind = chance.choice([b"x", b"x", b"x", b"L", b"L", b"K", b"g"] + [b"X"] * (not calm))
            if kind in (b"L", b"K"):
                text = self._name(calm) + chance.choice([b"\0", b"\0", b"", b"\0junk"][: 4 if not calm else 2])
            else:
                count = chance.randint(0, 2)
                text = b"".join(self._record(kind, calm) for _ in range(count))
                if not calm and chance.random() < 0.1:
                    text += chance.choice([b"junk", b"0 path=a\n", b"9 path=a\n", b"12 path=pickle", b"\n", b"5 a=\n"])
            padding = b"\0" if calm or chance.random() < 0.9 else chance.choice([b"#", b"9 path=b\n"])
            yield (header(b"PaxHeader", kind, len(text)) + (text + padding * 512)[: -(-len(text) // 512) * 512])

    def _record(self, kind: bytes, calm: bool) -> bytes:
        chance = self.chance
        key = chance.choice([b"path", b"path", b"mtime", b"comment", b"linkpath", b"uname", b"vendor.key"])
        if not calm and chance.random() < 0.25:
            key = chance.choice([b"size", b"hdrcharset", b"GNU.sparse.name", b"GNU.sparse.realsize", b"GNU.sparse.map"])
        values = {
            b"path": self._name(calm), b"linkpath": self._name(calm), b"mtime": b"1.5", b"uname": b"me",
            b"size": chance.choice([b"0", b"1", b"600", b"-1", b" 1", b"1_0", b"x"]),
            b"hdrcharset": chance.choice([b"BINARY", b"ISO-IR 10646 2000 UTF-8", b"\xff"]),
            b"GNU.sparse.realsize": b"7", b"GNU.sparse.map": b"0,1", b"GNU.sparse.name": self._name(calm),
            b"comment": b"w" if calm else chance.choice([b"22 hdrcharset=BINARY\n9 path=b", b"\n9 path=b"]),
        }  # fmt: skip
        return record(key, values.get(key, b"v"))

    def _name(self, calm: bool) -> bytes:
        return self.chance.choice(NAMES[:7] if calm else NAMES)


class Member(NamedTuple):
    """A member as a program sees it: its kind is file, folder or other; bytes are those that it gives, of links too."""

    name: str
    kind: str
    content: bytes | None


def spelled(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def tarfile_sees(data: bytes) -> list[Member] | None:
    """What `tarfile` gives, None when it refuses. Nothing is unpacked."""
    found = []
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape") as archive:
            for info in archive.getmembers():
                try:
                    file = archive.extractfile(info)
                    content = None if file is None else file.read()
                except (KeyError, RecursionError):  # a link that leads nowhere, or to itself
                    content = None
                kind = "directory" if info.isdir() else "link" if info.issym() or info.islnk() else "file"
                found.append(Member(spelled(info.name), "other" if info.isdev() else kind, content))
    # What tarfile raises for what it cannot read is not only its own errors.
    except Exception:
        return None
    return found


def ours(data: bytes) -> tuple[list[Member], bool]:
    """The members that our reader sees, and whether it tells nothing that forbids "clean"."""
    source = MemorySource(data)
    members: list[Member] = []
    if not (TarArchive().recognise(source) or TorchTar().recognise(source)):
        return [], False
    try:
        found = list(entries(source.peek, source.size, Limits().members))
        parts = list(torch_parts(source) if TorchTar().recognise(source) else TarArchive().read(source, Limits()))
    except (Malformed, LimitExceeded):
        return [], False
    quiet = not any(isinstance(part, Finding) and part.verdict is not Verdict.CLEAN for part in parts)
    for entry in found:
        members.append(Member(entry.name, _kind(entry), _content(data, entry, found)))
    nested = [part.member for part in parts if isinstance(part, Nested)]
    if not TorchTar().recognise(source) and nested != [entry.name for entry in found if entry.kind == "file"]:
        raise AssertionError(f"the reader yields other members than the directory has: {nested}")
    return members, quiet


def torch_parts(source: MemorySource) -> Iterator[object]:
    """The parts of a checkpoint, answered by CPython's unpickler: these cases hold plain values only."""
    from tests.containers.driver import drive

    parts, layout = drive(TorchTar(), source)
    assert isinstance(layout, ContainerLayout)
    return iter(parts)


def _kind(entry: TarEntry) -> str:
    if entry.kind in ("hard link", "symbolic link"):
        return "link"
    return entry.kind if entry.kind in ("file", "directory") else "other"


def _content(data: bytes, entry: TarEntry, found: list[TarEntry]) -> bytes | None:
    if entry.kind == "file":
        return data[entry.offset : entry.offset + entry.size]
    if _kind(entry) == "link":
        # A quiet link stands for one file of the archive: by its place, for a hard link one before it.
        import posixpath

        before = found[: found.index(entry)] if entry.kind == "hard link" else found
        way = entry.target if entry.kind == "hard link" else posixpath.join(posixpath.dirname(entry.name), entry.target)
        for other in reversed(before):
            if posixpath.normpath(other.name) == posixpath.normpath(way):
                return data[other.offset : other.offset + other.size] if other.kind == "file" else None
    return None


def torch_object(data: bytes) -> object:
    """What torch's own reader of old tars returns, or the error that it raises. It takes files only."""
    import tempfile
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with tempfile.NamedTemporaryFile() as file:
                file.write(data)
                file.flush()
                return torch.load(file.name, weights_only=False)
        except Exception as error:
            return error


def our_object(data: bytes) -> object:
    """The plain value of what our reader calls the object; BROKEN where a scan says that it is not whole."""
    for part in torch_parts(MemorySource(data)):
        if isinstance(part, Pickle) and part.main:
            try:
                return pickle.loads(data[part.start : part.end])
            except Exception:
                return BROKEN
    return BROKEN


class Outcome(NamedTuple):
    """Counts over cases; `wrong` holds the numbers of cases that are quiet and read differently."""

    cases: int
    quiet: int
    refused: int
    torch: int
    wrong: tuple[tuple[int, str], ...]


class Compared(NamedTuple):
    """One case: whether our reader is quiet, `tarfile` refuses, torch's own reader was asked; and what is wrong."""

    quiet: bool
    refused: bool
    torch: bool
    wrong: str


def compare(data: bytes, *, torch: bool = True) -> Compared:
    """Hold what our reader sees against `tarfile` and, of a checkpoint, against torch."""
    theirs = tarfile_sees(data)
    members, quiet = ours(data)
    refused = theirs is None
    if not quiet:
        return Compared(False, refused, False, "")
    if members != theirs:
        return Compared(True, refused, False, f"{members!r} is not {theirs!r}")
    if not torch or not TorchTar().recognise(MemorySource(data)):
        return Compared(True, refused, False, "")
    mine = our_object(data)
    value = mine if mine is BROKEN else torch_object(data)
    return Compared(True, refused, True, "" if value == mine else f"torch loads {value!r}")


def campaign(count: int, seed: int, *, torch: bool = True) -> Outcome:
    """`count` cases by `seed`: each is seen as tarfile sees it, or told."""
    maker = Maker(seed)
    wrong: list[tuple[int, str]] = []
    counts: Counter[str] = Counter()
    for number in range(count):
        compared = compare(maker.one(), torch=torch)
        counts.update(name for name, value in compared._asdict().items() if value)
        if compared.wrong:
            wrong.append((number, compared.wrong))
    return Outcome(count, counts["quiet"], counts["refused"], counts["torch"], tuple(wrong))
