"""Storages out of the judged file: mapped privately where that is possible, copied where it is not.

A map is copy-on-write: writing a tensor never changes the file. What is mapped is the file that was judged (its open
descriptor, not its path). SECURITY: bytes of a map can still change when somebody writes into the file; nothing whose
value decides validity is read from here (see `document.SparseSpec.checked`).
"""

from __future__ import annotations

import mmap
import os
import platform
import sys

import torch

from safeload.containers.storage_bytes import storage_bytes
from safeload.document.document import Document, Extent, StorageSpec
from safeload.document.dtypes import itemsize
from safeload.errors import InputError, LoadFailed, Malformed
from safeload.inputs import FileSource
from safeload.loading.placement import CallersError, Placement
from safeload.source import Source

# torch aligns storages to 64 in files; kernels need the size of the largest element, complex128.
_UNTYPED_ALIGNMENT = 16
# What `Storages.first` makes: dtypes for which torch knows as_strided_ whatever its age.
_ROWS = frozenset(
    {torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128}
    | {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
)
# Python names it since 3.13; the number is that of Linux on these processors.
_UNRESERVED: int = getattr(
    mmap,
    "MAP_NORESERVE",
    0x4000 if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64", "riscv64") else 0,
)


class Storages:
    """The storages of one Document (and of those enclosed in it), each made once."""

    def __init__(self, document: Document, placement: Placement, *, use_mmap: bool | None) -> None:
        self._document = document
        self._placement = placement
        self._use_mmap = use_mmap is not False
        # The storage, or the tensor that has it.
        self._made: dict[tuple[int, str], torch.UntypedStorage | torch.Tensor] = {}
        self._views: dict[tuple[int, str, tuple[int, int]], torch.UntypedStorage] = {}
        self._maps: dict[int, tuple[torch.UntypedStorage, mmap.mmap] | None] = {}
        self._native = document.big_endian == (sys.byteorder == "big")

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
        elif isinstance(found, torch.Tensor):
            found = self._made[place] = found.untyped_storage()
        if spec.view is None:
            return found
        window = (*place, spec.view)
        part = self._views.get(window)
        if part is None:
            start, length = spec.view
            part = self._views[window] = _part(found, start, length)
        return part

    def first(self, spec: StorageSpec, dtype: torch.dtype) -> torch.Tensor | None:
        """All of a mapped storage as one row of `dtype`, when it is the first to be made of it and stays on the CPU.

        None where any of that does not hold, and `get` is to be asked. It gives what `get` and `Tensor.set_` give
        together in a third of the time, and to most tensors that is all of it.
        """
        if not self._native or spec.home is not None or spec.view is not None or dtype not in _ROWS:
            return None
        place = (id(self._document), spec.key)
        source = self._document.source
        if place in self._made or not self._placement.stays(spec.location) or not isinstance(source, FileSource):
            return None
        count, rest = divmod(spec.nbytes, dtype.itemsize)
        if rest or not count:
            return None
        extent = _extent(spec, self._document)
        if not self._mappable(spec, extent) or (found := self._map(source)) is None:
            return None
        row = self._made[place] = torch.frombuffer(found[1], dtype=dtype, count=count, offset=extent.offset)
        return row

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
        if not isinstance(source, FileSource) or not self._mappable(spec, extent):
            return None
        found = self._map(source)
        return None if found is None else _part(found[0], extent.offset, extent.size)

    def _mappable(self, spec: StorageSpec, extent: Extent) -> bool:
        if not self._use_mmap or not extent.stored:
            return False
        # Bytes may be shown as a wider type by another tensor over them.
        alignment = _UNTYPED_ALIGNMENT if spec.dtype in (None, "uint8") else itemsize(spec.dtype)
        return extent.offset % alignment == 0

    def _map(self, source: FileSource) -> tuple[torch.UntypedStorage, mmap.mmap] | None:
        key = id(source)
        if key not in self._maps:
            try:
                mapped = _private_map(source)
            except (OSError, ValueError):
                # A file system without maps, or an address space that is used up: copying still works.
                self._maps[key] = None
            else:
                if source.changed() and not _unlinked(source):
                    raise InputError(
                        5, "the file changed between the scan and the load; nothing was loaded", source.name
                    )
                self._maps[key] = (torch.frombuffer(mapped, dtype=torch.uint8).untyped_storage(), mapped)
        return self._maps[key]


def _unlinked(source: FileSource) -> bool:
    """Whether all that changed is that no path leads to the file any more: it was deleted, or replaced by another."""
    status = os.fstat(source.fileno())
    now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return status.st_nlink == 0 and now == source.identity[:4]


def _private_map(source: FileSource) -> mmap.mmap:
    """A copy-on-write map of the whole file."""
    if not _UNRESERVED:
        return mmap.mmap(source.fileno(), source.size, access=mmap.ACCESS_COPY)
    # Linux would set memory aside for every page that could be written, and refuse to map a file larger than it has.
    return mmap.mmap(
        source.fileno(),
        source.size,
        flags=mmap.MAP_PRIVATE | _UNRESERVED,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
    )


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
