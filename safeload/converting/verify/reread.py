"""Bytes for verification, by position: of a file, of a part of one, or of a compressed storage laid open again.

Shares nothing with the writer's side. Reads exactly what is asked for, or raises.
"""

from __future__ import annotations

import errno
import os
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

from safeload.document.document import Extent
from safeload.errors import InputError, NotEqual, OutputError, input_error
from safeload.inputs import FileSource
from safeload.source import Source

_CHUNK = 256 << 10


class Bytes(Protocol):
    """Random access, counted from the start of the file, or of a storage that was compressed. Any thread may ask."""

    def fill(self, offset: int, buffer: memoryview) -> None:
        """Fill all of `buffer` from `offset`."""

    def scatter(self, offset: int, parts: list[memoryview]) -> None:
        """Fill all of `parts`, one behind the other, from `offset`; at most 1024 of them."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`."""


class _OfFile:
    """An open file."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name

    def fill(self, offset: int, buffer: memoryview) -> None:
        """See `Bytes.fill`."""
        got = self._read([buffer], offset)
        while got < len(buffer):
            data = self._some(offset + got, len(buffer) - got)
            buffer[got : got + len(data)] = data
            got += len(data)

    def scatter(self, offset: int, parts: list[memoryview]) -> None:
        """See `Bytes.scatter`."""
        done = self._read(parts, offset)
        for part in parts:
            if done < len(part):
                self.fill(offset + done, part[done:])
            offset += len(part)
            done = max(done - len(part), 0)

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        data = self._some(offset, length)
        while len(data) < length:
            data += self._some(offset + len(data), length - len(data))
        return data

    def _read(self, parts: list[memoryview], offset: int) -> int:
        try:
            return os.preadv(self._fd, parts, offset) if hasattr(os, "preadv") else 0
        except OSError as error:
            raise input_error(error, self._name) from error

    def _some(self, offset: int, length: int) -> bytes:
        try:
            if hasattr(os, "pread"):
                data = os.pread(self._fd, length, offset)
            else:
                os.lseek(self._fd, offset, os.SEEK_SET)
                data = os.read(self._fd, length)
        except OSError as error:
            raise input_error(error, self._name) from error
        if not data and length:
            raise InputError(errno.EIO, "got shorter while being verified", self._name)
        return data


class _OfSource:
    """An input that has no descriptor of its own: bytes in memory, a file inside a file."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def fill(self, offset: int, buffer: memoryview) -> None:
        """See `Bytes.fill`."""
        buffer[:] = self.read(offset, len(buffer))

    def scatter(self, offset: int, parts: list[memoryview]) -> None:
        """See `Bytes.scatter`."""
        for part in parts:
            self.fill(offset, part)
            offset += len(part)

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        data = self._source.peek(offset, length)
        if len(data) != length:
            raise InputError(errno.EIO, "got shorter while being verified", self._source.name)
        return data


def whole(source: Source) -> Bytes:
    """All bytes of a source, as they lie there."""
    return _OfFile(source.fileno(), source.name) if isinstance(source, FileSource) else _OfSource(source)


def laid_open(source: Source, extent: Extent, folder: str, stack: ExitStack) -> Bytes:
    """The bytes of a compressed storage, in a nameless file in `folder` that is closed with `stack`."""
    try:
        # Without a buffer: closing one that the disk had no room for would be refused a second time.
        spool = tempfile.TemporaryFile(dir=folder, prefix=".safeload.", buffering=0)  # noqa: SIM115 - see `stack`
        stack.callback(spool.close)
        for data in _inflated(source, extent):
            view = memoryview(data)
            while view:
                view = view[spool.write(view) :]
    except InputError:
        raise
    except OSError as error:
        raise OutputError(error.errno or errno.EIO, error.strerror or str(error), folder) from error
    return _OfFile(spool.fileno(), source.name)


def _inflated(source: Source, extent: Extent) -> Iterator[bytes]:
    """The content of a compressed storage, in pieces. Raises NotEqual unless it has the size that was judged."""
    inflater = zlib.decompressobj(-15)
    wrapped = _OfSource(source)
    size = at = 0
    try:
        while not inflater.eof and size <= extent.size:
            given = inflater.unconsumed_tail
            if not given and at < extent.length:
                given = wrapped.read(extent.offset + at, min(_CHUNK, extent.length - at))
                at += len(given)
            data = inflater.decompress(given, 4 * _CHUNK)
            if not data and not given:
                break
            size += len(data)
            yield data
    except zlib.error as error:
        raise NotEqual(f"a compressed storage does not inflate any more: {error}") from error
    if size != extent.size or not inflater.eof:
        raise NotEqual(f"a compressed storage gave {size} bytes where {extent.size} were judged")
