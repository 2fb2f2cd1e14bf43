"""Storages out of the judged file: mapped privately where that is possible, copied where it is not.

A map is copy-on-write: writing a tensor never changes the file. What is mapped is the file that was judged (its open
descriptor, not its path). SECURITY: bytes of a map can still change when somebody writes into the file; nothing whose
value decides validity is read from here (see `document.SparseSpec.checked`).
"""

from __future__ import annotations

import mmap
import sys
from typing import Any

import torch

from safeload.containers.storage_bytes import storage_bytes
from safeload.document import Document, Extent, StorageSpec
from safeload.dtypes import itemsize
from safeload.errors import InputError, LoadFailed, Malformed
from safeload.inputs import FileSource
from safeload.loading.placement import CallersError, Placement
from safeload.source import Source

# torch aligns storages to 64 in files; kernels need the size of the largest element, complex128.
_UNTYPED_ALIGNMENT = 16


class Storages:
    """The storages of one Document (and of those enclosed in it), each made once."""

    def __init__(self, document: Document, placement: Placement, *, use_mmap: bool | None) -> None:
        self._document = document
        self._placement = placement
        self._use_mmap = use_mmap is not False
        self._made: dict[tuple[int, str], torch.UntypedStorage] = {}
        self._views: dict[tuple[int, str, tuple[int, int]], torch.UntypedStorage] = {}
        self._maps: dict[int, tuple[torch.UntypedStorage, Any] | None] = {}

    def within(self, document: Document) -> Storages:
        """The same storages, seen from a document enclosed in this one."""
        inner = Storages(document, self._placement, use_mmap=self._use_mmap)
        inner._made, inner._views, inner._maps = self._made, self._views, self._maps
        return inner

    def get(self, spec: StorageSpec) -> torch.UntypedStorage:
        """The storage that `spec` denotes, the same object for the same key (and view)."""
        document = self._document if spec.home is None else spec.home
        place = (id(document), spec.key)
        found = self._made.get(place)
        if found is None:
            found = self._made[place] = self._make(spec, document)
        if spec.view is None:
            return found
        window = (*place, spec.view)
        part = self._views.get(window)
        if part is None:
            start, length = spec.view
            part = self._views[window] = _part(found, start, length)
        return part

    def span(self, spec: StorageSpec, start: int, length: int) -> torch.UntypedStorage:
        """`length` bytes of the storage (of its view) from `start`, on the CPU, made anew: mapped or read alone.

        Start and length are multiples of the size of the elements. Compressed storages are inflated whole.
        """
        document = self._document if spec.home is None else spec.home
        if length == 0:
            return torch.UntypedStorage(0)
        start += 0 if spec.view is None else spec.view[0]
        whole = _extent(spec, document)
        if start < 0 or start + length > whole.size:
            raise Malformed(f"storage {spec.key} is shorter than a tensor in it")
        if not whole.stored:
            return _part(self._read(spec, whole, document), start, length)
        return self._read(spec, Extent(whole.offset + start, length, length), document)

    def fresh(self) -> Storages:
        """The same file and map, with nothing made yet: what is made through it does not stay in memory here."""
        again = Storages(self._document, self._placement, use_mmap=self._use_mmap)
        again._maps = self._maps
        return again

    def _make(self, spec: StorageSpec, document: Document) -> torch.UntypedStorage:
        if spec.nbytes == 0:
            return self._placement.place(torch.UntypedStorage(0), spec.location)
        return self._placement.place(self._read(spec, _extent(spec, document), document), spec.location)

    def _read(self, spec: StorageSpec, extent: Extent, document: Document) -> torch.UntypedStorage:
        swap = document.big_endian != (sys.byteorder == "big")
        storage = None if swap else self._mapped(spec, extent, document.source)
        if storage is None:
            storage = _copied(document.source, extent)
            if swap and spec.dtype is not None:
                _swap(storage, spec.dtype)
        return storage

    def _mapped(self, spec: StorageSpec, extent: Extent, source: Source) -> torch.UntypedStorage | None:
        if not self._use_mmap or not extent.stored or not isinstance(source, FileSource):
            return None
        # Bytes may be shown as a wider type by another tensor over them.
        alignment = _UNTYPED_ALIGNMENT if spec.dtype in (None, "uint8") else itemsize(spec.dtype)
        if extent.offset % alignment:
            return None
        whole = self._map(source)
        return None if whole is None else _part(whole, extent.offset, extent.size)

    def _map(self, source: FileSource) -> torch.UntypedStorage | None:
        key = id(source)
        if key not in self._maps:
            try:
                mapped = mmap.mmap(source.fileno(), source.size, access=mmap.ACCESS_COPY)
            except (OSError, ValueError):
                # A file system without maps, or an address space that is used up: copying still works.
                self._maps[key] = None
            else:
                if source.changed():
                    raise InputError(
                        5, "the file changed between the scan and the load; nothing was loaded", source.name
                    )
                self._maps[key] = (torch.frombuffer(mapped, dtype=torch.uint8).untyped_storage(), mapped)
        found = self._maps[key]
        return None if found is None else found[0]


def _extent(spec: StorageSpec, document: Document) -> Extent:
    extent = document.storages.get(spec.key)
    if extent is None or extent.size != spec.nbytes:
        # The judge has refused this; a Document that gets here otherwise is refused again.
        raise Malformed(f"storage {spec.key} is not in the file as it was declared")
    return extent


def _part(storage: torch.UntypedStorage, start: int, length: int) -> torch.UntypedStorage:
    """A storage over some of the bytes of another, which it keeps alive."""
    part = storage[start : start + length]
    if not isinstance(part, torch.UntypedStorage) or part.nbytes() != length:
        raise LoadFailed(f"torch gave no storage of {length} bytes")
    return part


def _copied(source: Source, extent: Extent) -> torch.UntypedStorage:
    """A private copy, read (and inflated) once."""
    if extent.stored and isinstance(source, FileSource):
        data = bytearray(extent.size)
        source.read_into(extent.offset, data)
    elif extent.stored:
        try:
            data = bytearray(source.peek(extent.offset, extent.length))
        except MemoryError:
            raise
        except Exception as error:
            # Bytes in memory cannot fail: what does is the caller's own file object.
            raise CallersError(error) from error
        if len(data) != extent.size:
            raise Malformed("the input got shorter between the scan and the load", offset=extent.offset)
    else:
        data = bytearray(storage_bytes(source, extent, extent.size))
    return torch.frombuffer(data, dtype=torch.uint8).untyped_storage()


def _swap(storage: torch.UntypedStorage, dtype: str) -> None:
    """Reverse the bytes of each element in place."""
    if itemsize(dtype) > 1:
        storage.byteswap(getattr(torch, dtype))
