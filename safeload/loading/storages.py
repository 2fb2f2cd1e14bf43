"""Makes the storages of the judged file: maps them privately where possible, and copies them otherwise.

A map is copy-on-write: writing to a tensor never changes the file. The map is of the judged file itself: of its open
descriptor, not of its path. SECURITY: another program that writes into the file can still change bytes of the map. So
no value that decides whether a tensor is valid is read from here (see `document.SparseSpec.checked`).
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

# Alignment of a mapped storage of unknown type: kernels need that of the largest element, complex128. torch aligns
# storages in files to 64.
_UNTYPED_ALIGNMENT = 16
# The dtypes that `TorchStorages.first` makes: every version of torch has as_strided_ for them.
_ROWS = frozenset(
    {torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.complex64, torch.complex128}
    | {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.bool}
)
# MAP_NORESERVE, which Python has since 3.13; before that the number that Linux has on these processors.
_UNRESERVED: int = getattr(
    mmap,
    "MAP_NORESERVE",
    0x4000 if sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64", "riscv64") else 0,
)


class TorchStorages:
    """Makes the storages of one Document, and of files enclosed in it, each once."""

    def __init__(self, document: Document, placement: Placement, *, use_mmap: bool | None) -> None:
        self._document = document
        self._placement = placement
        self._use_mmap = use_mmap is not False
        # The storage, or the tensor that has it.
        self._made: dict[tuple[int, str], torch.UntypedStorage | torch.Tensor] = {}
        self._views: dict[tuple[int, str, tuple[int, int]], torch.UntypedStorage] = {}
        self._maps: dict[int, tuple[torch.UntypedStorage, mmap.mmap] | None] = {}
        self._native = document.big_endian == (sys.byteorder == "big")

    def within(self, document: Document) -> TorchStorages:
        """The same storages, for a document that is enclosed in this one."""
        inner = TorchStorages(document, self._placement, use_mmap=self._use_mmap)
        inner._made, inner._views, inner._maps = self._made, self._views, self._maps
        return inner

    def get(self, spec: StorageSpec) -> torch.UntypedStorage:
        """The storage that `spec` denotes: the same object for the same key (and view)."""
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
        """A flat tensor of `dtype` over all of a mapped storage, if nothing was made of it yet and it stays on the CPU.

        Otherwise None, and the caller uses `get`. This is a shortcut for `get` and `Tensor.set_`, in a third of their
        time, and most tensors need nothing else.
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
        """A new storage on the CPU of only `length` bytes from `start` of the storage (of its view), mapped or read.

        Start and length are multiples of the size of an element. A compressed storage is inflated as a whole.
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

    def fresh(self) -> TorchStorages:
        """The same file and map, with no storage made yet: this object does not keep what the new one makes."""
        again = TorchStorages(self._document, self._placement, use_mmap=self._use_mmap)
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
        # Another tensor may show the same bytes as a wider type.
        alignment = _UNTYPED_ALIGNMENT if spec.dtype in (None, "uint8") else itemsize(spec.dtype)
        return extent.offset % alignment == 0

    def _map(self, source: FileSource) -> tuple[torch.UntypedStorage, mmap.mmap] | None:
        key = id(source)
        if key not in self._maps:
            try:
                mapped = _private_map(source)
            except (OSError, ValueError):
                # The file system has no maps, or the address space is used up: copying still works.
                self._maps[key] = None
            else:
                if source.changed() and not _unlinked(source):
                    raise InputError(
                        5, "the file changed between the scan and the load; nothing was loaded", source.name
                    )
                self._maps[key] = (torch.frombuffer(mapped, dtype=torch.uint8).untyped_storage(), mapped)
        return self._maps[key]


def _unlinked(source: FileSource) -> bool:
    """Whether the only change of the file is that its path is gone: it was deleted, or replaced by another file."""
    status = os.fstat(source.fileno())
    now = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    return status.st_nlink == 0 and now == source.identity[:4]


def _private_map(source: FileSource) -> mmap.mmap:
    """A copy-on-write map of the whole file."""
    if not _UNRESERVED:
        return mmap.mmap(source.fileno(), source.size, access=mmap.ACCESS_COPY)
    # Without the flag, Linux reserves memory for every page that could be written, and refuses to map a file that is
    # larger than the memory.
    return mmap.mmap(
        source.fileno(),
        source.size,
        flags=mmap.MAP_PRIVATE | _UNRESERVED,
        prot=mmap.PROT_READ | mmap.PROT_WRITE,
    )


def _extent(spec: StorageSpec, document: Document) -> Extent:
    extent = document.storages.get(spec.key)
    if extent is None or extent.size != spec.nbytes:
        # The judge refuses such a file. This is for a Document that did not come from the judge.
        raise Malformed(f"storage {spec.key} is not in the file as it was declared")
    return extent


def _part(storage: torch.UntypedStorage, start: int, length: int) -> torch.UntypedStorage:
    """A storage over some bytes of another one, which it keeps alive."""
    part = storage[start : start + length]
    if not isinstance(part, torch.UntypedStorage) or part.nbytes() != length:
        raise LoadFailed(f"torch gave no storage of {length} bytes")
    return part


def _copied(source: Source, extent: Extent) -> torch.UntypedStorage:
    """A private copy of the bytes, read (and inflated) once."""
    if extent.stored and isinstance(source, FileSource):
        data = bytearray(extent.size)
        source.read_into(extent.offset, data)
    elif extent.stored:
        try:
            data = bytearray(source.peek(extent.offset, extent.length))
        except MemoryError:
            raise
        except Exception as error:
            # Bytes in memory do not fail: this is an error of the caller's own file object.
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
