"""Tricks with names that loaders of another kind look for, and with heads that say nothing of what follows.

`TRICKS` here is all of them. A payload is a pickle that an unpickler would call a function for: it prints a line.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from tests.containers.zip_builder import Archive, Member
from tests.differential.archive_records import TRICKS
from tests.differential.archive_tricks import at, folder_of, on_one, other_case, pick, put, trick
from tests.differential.archive_wraps import legacy, tar
from tests.differential.archives import Chance

__all__ = ["HEADS", "PAYLOAD", "TRICKS"]

PAYLOAD = b"cposix\nsystem\n(S'echo safeload-sample'\ntR."
SOURCE = b"def handle(x):\n    return x\n"
_SCHEMA = b'{"__class__": "int", "__module__": "builtins", "__loader__": "JsonNode", "content": "1", "protocol": 2}'
_LAYER = b'{"module": "keras.layers", "class_name": "Dense", "config": {"units": 1}, "registered_name": null}'
_HANDLER = b'{"model": {"modelName": "m", "handler": "handler.py", "serializedFile": "m.pt"}}'

_ARRAY = b"\x93NUMPY\1\0v\0" + b"{'descr': '%3b', 'fortran_order': False, 'shape': (1,), }".ljust(117) + b"\n"

# What a loader of another kind looks for. The first half is found below the archive's folder, the others at the root.
BELOW: tuple[dict[bytes, bytes], ...] = (
    {b"constants.pkl": b"\x80\x02)."},
    {b"bytecode.pkl": b"\x80\x02).", b"constants.pkl": b"\x80\x02)."},
    {b"model.json": b"{}", b"code/x.py": SOURCE},
    {b".data/extern_modules": b"torch\n", b".data/python_version": b"3.11.7\n", b"mod.py": SOURCE},
    {b".data/extern_modules": b"", b"pkg/__init__.py": SOURCE, b"pkg/m.pkl": PAYLOAD},
    {b".data/python_version": b"3.11.7\n", b"mod.py": SOURCE},
    {b"archive_format": b"pt2", b"archive_version": b"0", b"models/model.json": b"{}"},
    {b"archive_format": b"pt2", b"data/sample_inputs/model.pt": PAYLOAD},
    {b"data/aotinductor/model/x.wrapper.so": b"\x7fELF" + bytes(60)},
    {b"data/aotinductor/model/x_compile_flags.json": b'{"compiler_flags": ["-O3 $(id)"]}'},
)
ROOT: tuple[dict[bytes, bytes], ...] = (
    {b"serialized_exported_program.json": b"{}", b"version": b"8.3"},
    {b"config.json": _LAYER, b"metadata.json": b"{}"},
    {b"config.json": _LAYER, b"model.weights.npz": b""},
    {b"config.json": _LAYER},
    {b"schema.json": _SCHEMA},
    {b"schema.json": _SCHEMA.replace(b'"int"', b'"system"').replace(b"builtins", b"os").replace(b"Json", b"Function")},
    {b"data": b'{"policy": {":serialized:": "gASVCAAAAAAAAACMBHRlc3SULg=="}}', b"_stable_baselines3_version": b"2.3.0"},
    {b"data": b'{"p": {":serialized:": "Y3Bvc2l4CnN5c3RlbQooUydlY2hvIDEnCnRSLg=="}}', b"policy.pth": b""},
    {b"MAR-INF/MANIFEST.json": _HANDLER, b"handler.py": SOURCE},
    {b"x.npy": _ARRAY % b"<i4" + b"\1\0\0\0"},
    {b"x.npy": _ARRAY % b"|O8" + PAYLOAD},
)  # fmt: skip

_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU"
_PNG += b"\0\0\0\nIDATx\x9cc`\0\0\0\2\0\1H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82"

HEADS: tuple[bytes, ...] = (
    b" " * 5000, b"\n" * 5000, bytes(5000), bytes(512), b"\t \r\n" * 1250,
    b'{"a": "' + b"x" * 5000 + b'"}', b'{"a": [' + b"1, " * 1700 + b"1]}\n", b"[" * 5000,
    b"Some words in a row.\n" * 250, b"# A title\n" * 500, b"V" + b"x" * 5000 + b"\n0", b"I1\n0" * 1300,
    b"X\x88\x13\0\0" + b"x" * 5000 + b"0", b"U\xffI1\n0" * 5, b"GIF89aXYZ0", b"MIT0", b"%PDF-1.7\n",
    _PNG, _PNG[:33], b"\x89PNG\n", b"GIF89a\1\0\1\0\0\0\0;", b"\xff\xd8\xff\xe0\0\x10JFIF", b"RIFF\4\0\0\0WAVE",
    b"wOF2\0\1\0\0", b"\0\0\0\x18ftypmp42", b"\x7fELF\2\1\1" + bytes(57), b"SQLite format 3\0" + bytes(84),
    b"\x93NUMPY\1\0", b"\2\0\0\0\0\0\0\0{}", b"\x1f\x8b\x08\0\0\0\0\0\0\3", b"PK\3\4", b"PK\5\6" + bytes(18),
    b"\x50\x2a\x4d\x18\4\0\0\0junk", b"\x5d\0\0\x80\0", b"x\x9c", b"BZh9", b"\x89HDF\r\n\x1a\n", b"version https://",
    b"\xef\xbb\xbf", b"\xff\xfe", b"#!/bin/sh\n", b"<!DOCTYPE html>", b"import os\n",
)  # fmt: skip
"""First bytes that have made readers call a file blank, text, a picture or another container."""

_FOREIGN = (b"/notes.txt", b"/labels.json", b"/cover.png", b"/x.bin", b"/.data/more", b"/data/7", b"/data/x", b"/extra")


@trick
def names_of_another_kind(chance: Chance, archive: Archive) -> Archive:
    """The members of another kind of archive beside the true ones, where its loader would look or elsewhere."""
    below = chance.random() < 0.6
    members = chance.choice(BELOW if below else ROOT)
    folder = folder_of(archive) + b"/" if below != (chance.random() < 0.1) else b""
    if chance.random() < 0.15:
        folder = chance.choice((b"b/", b"./", b"/", other_case(chance, folder)))
    odd = chance.random() < 0.25
    flags = chance.choice((0, 0x800))
    for name, data in members.items():
        spelled = other_case(chance, name) if odd and chance.random() < 0.7 else name
        archive = put(chance, archive, Member(folder + spelled, data, flags=flags, align=0))
    return archive


@trick
def second_root_folder(chance: Chance, archive: Archive) -> Archive:
    """The members of another kind in a folder of their own, which is the root to torch when its entry is the first."""
    members = chance.choice(BELOW)
    name = chance.choice((b"b", b"B", folder_of(archive) + b"2", b".", b"a b"))
    added = tuple(Member(name + b"/" + key, data, flags=0, align=0) for key, data in members.items())
    return archive.but(members=added + archive.members if chance.random() < 0.6 else archive.members + added)


@trick
def odd_head(chance: Chance, archive: Archive) -> Archive:
    """A member that begins like something harmless, or like another container, and goes on with a pickle or a file."""
    head = chance.choice(HEADS)
    if head.startswith(bytes(8)) and chance.random() < 0.3:
        head = b"x" * 257 + b"ustar\0" + bytes(249)
    inner = Archive((Member(b"a/data.pkl", PAYLOAD), Member(b"a/version", b"3\n"))).build()
    tail = chance.choice(
        (PAYLOAD, PAYLOAD, PAYLOAD, inner, legacy(chance), tar({"a.pkl": PAYLOAD}), b"\x89HDF\r\n\x1a\n")
    )
    data = head + tail
    if chance.random() < 0.2:
        data = head
    if chance.random() < 0.15 and (index := pick(chance, archive)) is not None:
        return at(archive, index, replace(archive.members[index], data=data))
    name = folder_of(archive) + chance.choice(_FOREIGN)
    return put(
        chance, archive, Member(name, data, flags=chance.choice((0, 0x808)), method=chance.choice((0, 8)), align=0)
    )


@on_one
def empty_blocks_first(chance: Chance, archive: Archive, member: Member) -> Member:
    """Compressed, and the stream begins with blocks of nothing: a short read of its head gives no byte at all."""
    content = chance.choice((member.data, member.data, PAYLOAD))
    empty = chance.choice((b"\0\0\0\xff\xff", b"\2\0", b"\0\0\0\xff\xff\2\0"))
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = empty * chance.choice((1, 3, 900, 5000)) + deflater.compress(content) + deflater.flush()
    crc = zlib.crc32(content)
    told = {"method": 8, "size": len(content), "crc": crc}
    shown = {"method": 8} if member.flags & 8 else {**told, "length": len(packed)}
    mark = struct.pack("<4sIII", b"PK\7\x08", crc, len(packed), len(content)) if member.flags & 8 else b""
    name = member.name if chance.random() < 0.6 else folder_of(archive) + chance.choice(_FOREIGN)
    return replace(member, name=name, data=packed, method=0, central=told, local=shown, descriptor=mark)


@trick
def foreign_members(chance: Chance, archive: Archive) -> Archive:
    """What the loader of a checkpoint knows nothing of, and is harmless in itself."""
    folder = folder_of(archive)
    name, data = chance.choice(
        ((b"/extra.pkl", chance.pickle()), (b"/README.md", b"# A model\n\nTrained for an hour.\n"))
    )
    return put(chance, archive, Member(folder + name, data, flags=chance.choice((0, 0x808)), align=0))
