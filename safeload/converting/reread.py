"""Bytes for verification, by position: of a file, of a part of one, or of a compressed storage laid open again.

Shares nothing with the writer's side. Reads exactly what is asked for, or raises.
"""

from __future__ import annotations

import errno
import os
import tempfile
import zlib
from contextlib import ExitStack
from typing import Protocol

from safeload.document import Extent
from safeload.errors import InputError, NotEqual
from safeload.inputs import FileSource
from safeload.source import Source

_CHUNK = 256 << 10


class Bytes(Protocol):
    """Random access, counted from the start of the storage (of the file, for an output)."""

    def fill(self, offset: int, buffer: memoryview) -> None:
        """Fill all of `buffer` from `offset`."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`."""


class _OfFile:
    """A range of an open file."""

    def __init__(self, fd: int, start: int, name: str) -> None:
        self._fd = fd
        self._start = start
        self._name = name

    def fill(self, offset: int, buffer: memoryview) -> None:
        """See `Bytes.fill`."""
        got = 0
        if hasattr(os, "preadv"):
            got = os.preadv(self._fd, [buffer], self._start + offset)
        while got < len(buffer):
            data = self._some(offset + got, len(buffer) - got)
            buffer[got : got + len(data)] = data
            got += len(data)

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        data = self._some(offset, length)
        while len(data) < length:
            data += self._some(offset + len(data), length - len(data))
        return data

    def _some(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            data = os.pread(self._fd, length, self._start + offset)
        else:
            os.lseek(self._fd, self._start + offset, os.SEEK_SET)
            data = os.read(self._fd, length)
        if not data and length:
            raise InputError(errno.EIO, "got shorter while being verified", self._name)
        return data


class _OfSource:
    """A range of an input that has no descriptor of its own: bytes in memory, a file inside a file."""

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self._start = start

    def fill(self, offset: int, buffer: memoryview) -> None:
        """See `Bytes.fill`."""
        buffer[:] = self.read(offset, len(buffer))

    def read(self, offset: int, length: int) -> bytes:
        """See `Bytes.read`."""
        data = self._source.peek(self._start + offset, length)
        if len(data) != length:
            raise InputError(errno.EIO, "got shorter while being verified", self._source.name)
        return data


def bytes_of(source: Source, extent: Extent | None, folder: str, stack: ExitStack) -> Bytes:
    """The bytes of `extent` (of all of `source` for None). What has to be closed is left to `stack`."""
    start = 0 if extent is None else extent.offset
    if extent is not None and not extent.stored:
        spool = tempfile.TemporaryFile(dir=folder, prefix=".safeload.")  # noqa: SIM115 - closed with the stack
        stack.callback(spool.close)
        inflater = zlib.decompressobj(-15)
        wrapped = _OfSource(source, extent.offset)
        size = at = 0
        while not inflater.eof and size <= extent.size:
            given = inflater.unconsumed_tail
            if not given and at < extent.length:
                given = wrapped.read(at, min(_CHUNK, extent.length - at))
                at += len(given)
            data = inflater.decompress(given, 4 * _CHUNK)
            if not data and not given:
                break
            size += len(data)
            spool.write(data)
        spool.flush()
        if size != extent.size or not inflater.eof:
            raise NotEqual(f"a compressed storage gave {size} bytes where {extent.size} were judged")
        return _OfFile(spool.fileno(), 0, source.name)
    if isinstance(source, FileSource):
        return _OfFile(source.fileno(), start, source.name)
    return _OfSource(source, start)
