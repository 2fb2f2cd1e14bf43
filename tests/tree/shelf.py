"""A writer of small safetensors files with trees: what a converter does, in the simplest way.

`shelf(document)` stores each storage whole, so that every stride, view and tie comes back as it was.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from safeload.containers.safetensors_file import DTYPES
from safeload.containers.storage_bytes import storage_bytes
from safeload.document.document import Document, StorageSpec, TensorSpec
from safeload.document.dtypes import itemsize
from safeload.document.record import Record
from safeload.tree.encode import contents, encode
from safeload.tree.interface import DIGEST_KEY, KEY, Kept, Placed
from safeload.tree.sidecar import binding, sidecar_path

CODES = {dtype: code for code, dtype in DTYPES.items() if code != "F4"}


class Shelf:
    """A plan, and the tensors that it puts into the file: name -> (safetensors type, shape, bytes)."""

    def __init__(self, document: Document, *, drop: bool = False) -> None:
        self.storages: dict[str, Kept] = {}
        self.aside: tuple[str, ...] = ()
        self.tensors: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
        self._drop = drop
        self._names: dict[tuple[int, str], str] = {}
        self._types: dict[str, str | None] = {}
        self._blobs: dict[tuple[int, str], str] = {}
        found = contents(document)
        for value, home in found.storages:
            self._store(value.storage, home, value.storage.dtype)
        for spec, home in found.tensors:
            assert spec.storage is not None
            self._store(spec.storage, home, spec.storage.dtype or spec.dtype)
        for number, blob in enumerate(found.blobs):
            name = self._blobs[id(blob.owner), blob.part] = f"blob.{number}"
            self.tensors[name] = (CODES[blob.dtype], blob.shape, bytes(blob.data))

    def _store(self, spec: StorageSpec, home: Document, dtype: str | None) -> None:
        place = (id(home), spec.key)
        if place in self._names:
            return
        name = self._names[place] = f"storage.{len(self._names)}"
        extent = home.storages[spec.key]
        data = storage_bytes(home.source, extent, 1 << 30)
        if home.big_endian and dtype is not None:
            from safeload.document.elements import byteswapped

            data = byteswapped(data, dtype)
        self._types[name] = dtype
        code = CODES.get(dtype or "uint8", "U8")
        if code == "U8" and dtype not in (None, "uint8"):
            self.storages[name] = Kept(dtype, spec.location)
        elif spec.location != "cpu":
            self.storages[name] = Kept(None, spec.location)
        self.tensors[name] = (code, (len(data) // itemsize(DTYPES[code]),), data)

    def tensor(self, spec: TensorSpec, home: Document) -> Placed:
        assert spec.storage is not None
        name = self.storage(spec.storage, home)
        kept = self._types[name] or "uint8"
        start = 0 if spec.storage.view is None else spec.storage.view[0] // itemsize(spec.dtype)
        other = None if spec.dtype == kept else spec.dtype
        whole = spec.shape == self.tensors[name][1] and spec.stride == (1,)
        if whole and not start and other is None and not spec.offset:
            return Placed(name)
        return Placed(name, spec.shape, spec.stride, spec.offset + start, other)

    def storage(self, spec: StorageSpec, home: Document) -> str:
        return self._names[id(home), spec.key]

    def blob(self, owner: object, part: str) -> str | None:
        return self._blobs[id(owner), part]

    def drops(self, record: Record) -> bool:
        return self._drop

    def text(self, document: Document) -> str:
        return encode(document, self)


class Inline:
    """A plan for Documents without tensors: everything is written into the tree."""

    storages: Mapping[str, Kept] = MappingProxyType({})
    aside: tuple[str, ...] = ()

    def tensor(self, spec: TensorSpec, home: Document) -> Placed:
        raise AssertionError("a tensor")

    def storage(self, spec: StorageSpec, home: Document) -> str:
        raise AssertionError("a storage")

    def blob(self, owner: object, part: str) -> str | None:
        return None

    def drops(self, record: Record) -> bool:
        return True


def pack(tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]], metadata: Mapping[str, str]) -> bytes:
    """A safetensors file."""
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    at = 0
    for name, (code, shape, data) in tensors.items():
        assert math.prod(shape) * itemsize(DTYPES[code]) == len(data), name
        header[name] = {"dtype": code, "shape": list(shape), "data_offsets": [at, at + len(data)]}
        at += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + b"".join(data for _, _, data in tensors.values())


def packed(document: Document, *, drop: bool = False) -> bytes:
    """`document` as a safetensors file with its tree."""
    plan = Shelf(document, drop=drop)
    return pack(plan.tensors, {KEY: plan.text(document)})


def beside(document: Document, path: Path) -> None:
    """`document` at `path`, its tree in a file beside it."""
    plan = Shelf(document)
    data = plan.text(document).encode()
    path.write_bytes(pack(plan.tensors, {DIGEST_KEY: binding(data)}))
    sidecar_path(path).write_bytes(data)
