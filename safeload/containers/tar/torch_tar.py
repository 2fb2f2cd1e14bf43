"""torch's file format up to 0.1.11: a tar of many pickles.

It has three members. `storages` holds a count; for each storage a pickle of (key, location, type), the number of
elements and the bytes; then a pickle of views. `tensors` holds a count, and for each tensor a pickle of (key, storage
key, type) and its geometry. `pickle` is the object; its persistent ids are those keys. Mirrors torch/serialization.py
`legacy_load`, which in torch 2.13 still runs every one of these pickles. Reads counts and geometry, never the bytes of
a storage.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from typing import Any, NamedTuple

from safeload.containers.interface import (
    Answer,
    ContainerLayout,
    Naming,
    Nested,
    Part,
    Pickle,
    Reading,
    Tensor,
)
from safeload.containers.remarks import trailing_bytes
from safeload.containers.sniff import is_tar_header
from safeload.containers.tar.directory import BLOCK, TarEntry, entries
from safeload.containers.tar.places import doubts_of
from safeload.document.document import Extent, StorageSpec
from safeload.document.dtypes import itemsize
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

REQUIRED = frozenset({"storages", "tensors", "pickle"})

_TYPES = {
    f"torch.{prefix}{name}Storage": dtype
    for prefix in ("", "cuda.")
    for name, dtype in {
        "Double": "float64", "Float": "float32", "Half": "float16", "BFloat16": "bfloat16", "Bool": "bool",
        "Long": "int64", "Int": "int32", "Short": "int16", "Char": "int8", "Byte": "uint8",
    }.items()
}  # fmt: skip

# Dimensions of a tensor; torch allows no more.
_RANK = 64


class _NotUnderstood(Exception):
    """The scanner did not understand a stream, and has reported it. Nobody knows where the next part begins."""


class _Storage(NamedTuple):
    """A storage, or a view of one.

    root            key of the storage that holds the bytes
    first, length   the elements of it that this one covers
    """

    root: int
    dtype: str
    first: int
    length: int


class _Contents:
    """What the streams have declared so far, by the keys that later streams use."""

    __slots__ = ("extents", "objects", "storages")

    def __init__(self) -> None:
        self.storages: dict[int, _Storage] = {}
        self.extents: dict[str, Extent] = {}
        self.objects: dict[object, object] = {}


class TorchTar:
    """See the module."""

    name = "torch-tar"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. A tar that has the members of a checkpoint, by the names that tarfile gives."""
        if not is_tar_header(source.peek(0, BLOCK)):
            return False
        names: set[str] = set()
        try:
            for entry in entries(source.peek, source.size, Limits().members):
                names.add(entry.name)
                if names >= REQUIRED:
                    return True
        except (Malformed, LimitExceeded):
            return False
        return False

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`. Returns an empty ContainerLayout when the scanner does not understand a stream."""
        members: dict[str, TarEntry] = {}
        for entry in entries(source.read, source.size, limits.members):
            # SECURITY: tarfile takes the last of two members with one name, other programs take the first.
            if entry.name in members:
                raise Malformed(f"two members of the tar are named {entry.name[:80]!r}", offset=entry.header)
            # A program that reads another name here may find another `pickle` than we do.
            if entry.doubts:
                raise Malformed(
                    f"programs differ about the member {entry.name[:80]!r} of the tar: {entry.doubts[0]}",
                    offset=entry.header,
                )
            members[entry.name] = entry
        for name in sorted(REQUIRED - members.keys()):
            raise Malformed(f"the tar has no member {name!r}", offset=0)
        contents = _Contents()
        try:
            if "sys_info" in members:
                yield from _plain(members["sys_info"], "system info")
            yield from _storages(source, limits, members["storages"], contents)
            yield from _tensors(source, limits, members["tensors"], contents)
            yield from _object(members["pickle"], contents)
        except _NotUnderstood:
            return ContainerLayout()
        for entry in members.values():
            if entry.name not in REQUIRED | {"sys_info"}:
                yield from _extra(entry)
        return ContainerLayout(contents.extents)


def _pickle(member: TarEntry, role: str, at: int) -> Generator[Part, Answer | None, tuple[object, int]]:
    """Yield the pickle at `at`; return its plain value, and where it ends."""
    if member.kind != "file":
        raise Malformed(f"the member {member.name!r} is a {member.kind}", offset=member.header)
    end = member.offset + member.size
    answer = yield Pickle(role, at, end, member.name, base=member.offset, encoding="utf-8")
    if answer is None or answer.end is None:
        raise _NotUnderstood
    return answer.value, answer.end


def _plain(member: TarEntry, role: str) -> Generator[Part, Answer | None, None]:
    """Yield a member that is one pickle, whose value nobody needs."""
    _, at = yield from _pickle(member, role, member.offset)
    yield from _want_end(member, at)


def _want_end(member: TarEntry, at: int) -> Generator[Part, Answer | None, None]:
    left = member.offset + member.size - at
    if left:
        yield trailing_bytes(at - member.offset, left, "its last record", member.name)


def _count(value: object, member: TarEntry, limits: Limits) -> int:
    if type(value) is not int or value < 0:
        raise Malformed(f"the member {member.name!r} must start with a count", offset=member.offset)
    if value > limits.tensors:
        raise LimitExceeded(f"{member.name} counts {value}", limit="tensors", offset=member.offset)
    return value


def _key(value: object, contents: _Contents, at: int) -> int:
    if type(value) is not int or value in contents.objects:
        raise Malformed("a storage or tensor has no key of its own", offset=at)
    return value


def _fields(value: object, count: int, complaint: str, at: int) -> list[Any]:
    """The `count` fields of a tuple or list that a pickle left. Raises Malformed with `complaint`."""
    if not isinstance(value, tuple | list) or len(value) != count:
        raise Malformed(complaint, offset=at)
    return list(value)


def _storages(
    source: Source, limits: Limits, member: TarEntry, contents: _Contents
) -> Generator[Part, Answer | None, None]:
    end = member.offset + member.size
    value, at = yield from _pickle(member, "storage count", member.offset)
    for _ in range(_count(value, member, limits)):
        start = at
        value, at = yield from _pickle(member, "storage", at)
        first, _, kind = _fields(value, 3, "a storage must be described by its key, location and type", start)
        key = _key(first, contents, start)
        dtype = _TYPES.get(kind) if type(kind) is str else None
        if dtype is None:
            raise Malformed(f"storage {key} has a type that is none of torch's", offset=start)
        if end - at < 8:
            raise Malformed(f"truncated: storage {key} has no length", offset=at)
        count = int.from_bytes(source.read(at, 8), "little", signed=True)
        at += 8
        size = count * itemsize(dtype)
        if not 0 <= size <= end - at:
            raise Malformed(f"truncated: storage {key} needs {size} bytes and {end - at} are left", offset=at)
        contents.storages[key] = _Storage(key, dtype, 0, count)
        contents.extents[str(key)] = Extent(at, size, size)
        contents.objects[key] = StorageSpec(str(key), dtype, size)
        at += size
    start = at
    value, at = yield from _pickle(member, "storage views", at)
    if type(value) is not list:
        raise Malformed("the views of the storages must be a list", offset=start)
    for view in value:
        _add_view(view, contents, start)
    yield from _want_end(member, at)


def _add_view(view: object, contents: _Contents, at: int) -> None:
    """Add a view: later streams use it like a storage, over the bytes of another one."""
    fields = _fields(view, 4, "a view of a storage must be four numbers", at)
    if not all(type(n) is int for n in fields):
        raise Malformed("a view of a storage must be four numbers", offset=at)
    target, base, first, count = fields
    key = _key(target, contents, at)
    root = contents.storages.get(base)
    if root is None or first < 0 or count < 0 or first + count > root.length:
        raise Malformed(f"view {key} does not lie inside a storage", offset=at)
    size = itemsize(root.dtype)
    whole = contents.extents[str(base)]
    contents.storages[key] = _Storage(root.root, root.dtype, root.first + first, count)
    contents.extents[str(key)] = Extent(whole.offset + first * size, count * size, count * size)
    contents.objects[key] = StorageSpec(str(key), root.dtype, count * size)


def _tensors(
    source: Source, limits: Limits, member: TarEntry, contents: _Contents
) -> Generator[Part, Answer | None, None]:
    value, at = yield from _pickle(member, "tensor count", member.offset)
    for _ in range(_count(value, member, limits)):
        start = at
        value, at = yield from _pickle(member, "tensor", at)
        first, owner, _ = _fields(value, 3, "a tensor must be described by its key, storage and type", start)
        key = _key(first, contents, start)
        storage = contents.storages.get(owner) if type(owner) is int else None
        if storage is None:
            raise Malformed(f"tensor {key} names no storage of this file", offset=start)
        shape, stride, offset, at = _geometry(source, at, member)
        if not _inside(shape, stride, offset, storage.length):
            raise Malformed(f"tensor {key} does not lie inside its storage", offset=at)
        # The tensor refers to the storage that holds the bytes, not to a view: so tensors share memory as they did.
        contents.objects[key] = Tensor(
            str(key), storage.dtype, shape, str(storage.root), stride, storage.first + offset
        )
    yield from _want_end(member, at)


def _geometry(source: Source, at: int, member: TarEntry) -> tuple[tuple[int, ...], tuple[int, ...], int, int]:
    """Shape, stride and offset at `at`, and where they end. torch ignores the four bytes after the rank."""
    end = member.offset + member.size
    if end - at < 8:
        raise Malformed("truncated: a tensor has no geometry", offset=at)
    (rank,) = struct.unpack("<i", source.read(at, 8)[:4])
    if not 0 <= rank <= _RANK:
        raise Malformed(f"a tensor of {rank} dimensions", offset=at)
    length = 16 * rank + 8
    if end - at - 8 < length:
        raise Malformed("truncated: the geometry of a tensor goes on behind the end", offset=at)
    numbers = struct.unpack(f"<{2 * rank + 1}q", source.read(at + 8, length))
    return numbers[:rank], numbers[rank:-1], numbers[-1], at + 8 + length


def _inside(shape: tuple[int, ...], stride: tuple[int, ...], offset: int, count: int) -> bool:
    """Whether every element lies in a storage of `count` elements."""
    if offset < 0 or min(shape, default=0) < 0 or min(stride, default=0) < 0:
        return False
    if 0 in shape:
        return offset <= count
    return offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True)) < count


def _object(member: TarEntry, contents: _Contents) -> Generator[Part, Answer | None, None]:
    end = member.offset + member.size
    if member.kind != "file":
        raise Malformed(f"the member {member.name!r} is a {member.kind}", offset=member.header)
    answer = yield Pickle(
        "object", member.offset, end, member.name, base=member.offset, main=True,
        naming=Naming.OBJECTS, objects=contents.objects, encoding="utf-8",
    )  # fmt: skip
    if answer is None or answer.end is None:
        raise _NotUnderstood
    yield from _want_end(member, answer.end)


def _extra(entry: TarEntry) -> Generator[Part, Answer | None, None]:
    """Yield a member that torch does not write: as a file met in a folder, or a finding when it is no file."""
    yield from doubts_of(entry, frozenset())
    if entry.kind == "file":
        yield Nested(entry.name, Extent(entry.offset, entry.size, entry.size), skippable=True)
    elif entry.kind != "directory":
        yield Finding(
            "tar-member", Verdict.UNJUDGED, Severity.MEDIUM,
            f"a {entry.kind} in an archive: it points outside of what was read",
            "make the archive again from plain files",
            member=entry.name, offset=entry.header,
        )  # fmt: skip
