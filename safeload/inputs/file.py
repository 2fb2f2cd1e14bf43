"""A regular file as a Source, read by position.

The file is never mapped: when a mapped file is truncated, the system kills the process. Only regular files are opened:
reading a FIFO or a terminal can wait for ever, and opening a device can have effects of its own.
"""

from __future__ import annotations

import errno
import os
import stat
import threading

from safeload.errors import InputError, InputIsDirectory, input_error
from safeload.inputs.cached import CachedSource

_FLAGS = os.O_RDONLY
for _flag in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_NOINHERIT"):
    _FLAGS |= getattr(os, _flag, 0)

# Linux reads at most 2 GiB - 4 KiB in one call.
_CHUNK = 1 << 30


class FileSource(CachedSource):
    """The file at `path`.

    Raises InputError (InputNotFound, InputDenied, InputIsDirectory) when the file cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fsdecode(path)
        self._held: list[FileSource] = []
        self._descriptor = _open(self.path)
        self._seek_lock = threading.Lock()
        # (device, inode, size, modified, changed) at the time of opening: what a loader compares before it maps.
        self.identity = self._identity()
        super().__init__(self.path, self.identity[2])
        # A file that the kernel makes up while it is read (/proc) says that its size is 0. Taken at its word, it would
        # be passed over unread.
        if not self.size and self.gives_bytes():
            self.close()
            raise InputError(
                errno.EINVAL, "says that it is empty, and gives bytes: pipe its bytes in instead", self.path
            )

    def fileno(self) -> int:
        """The descriptor, -1 once the file is closed. Nothing here uses its file position."""
        return self._descriptor

    def hold(self, other: FileSource) -> None:
        """Hold `other`, which was opened because of this file: `close` closes both, `changed` asks both."""
        self._held.append(other)

    def files(self) -> tuple[FileSource, ...]:
        """This file, and the files that it holds."""
        return self, *self._held

    def changed(self) -> bool:
        """Whether size or times of the open file differ from those at opening. Raises InputError once it is closed."""
        return self._identity() != self.identity or any(other.changed() for other in self._held)

    def still_judged(self) -> bool:
        """See `CachedSource.still_judged`."""
        return super().still_judged() and all(other.still_judged() for other in self._held)

    def gives_bytes(self) -> bool:
        """Whether the file has a first byte, whatever its size says. Raises InputError when it cannot be read."""
        try:
            return bool(self._read_at(0, 1))
        except OSError as error:
            raise input_error(error, self.path) from error

    def _identity(self) -> tuple[int, int, int, int, int]:
        try:
            status = os.fstat(self._descriptor)
        except OSError as error:
            raise input_error(error, self.path) from error
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns

    def fetch(self, offset: int, length: int) -> bytes:
        """See `CachedSource.fetch`."""
        if self._descriptor < 0:
            raise InputError(errno.EBADF, "was closed before this part of it was read", self.path)
        try:
            data = self._read_at(offset, min(length, _CHUNK))
            if len(data) == length:
                return data
            parts = [data]
            got = len(data)
            while got < length and data:
                data = self._read_at(offset + got, min(length - got, _CHUNK))
                parts.append(data)
                got += len(data)
        except OSError as error:
            raise input_error(error, self.path) from error
        if got < length:
            raise InputError(
                errno.EIO, f"got shorter while being read (offset {offset + got} of {self.size} bytes)", self.path
            )
        return b"".join(parts)

    def read_into(self, offset: int, buffer: bytearray) -> None:
        """Fill `buffer` from `offset`. The bytes do not stay in memory here: nothing judges them (storages).

        Raises InputError when the operating system refuses, or the file got shorter.
        """
        view, got = memoryview(buffer), 0
        while got < len(buffer):
            chunk = self._fill(offset + got, view[got : got + _CHUNK])
            if chunk == 0:
                raise InputError(errno.EIO, f"got shorter while being read (offset {offset + got})", self.path)
            got += chunk

    def _fill(self, offset: int, view: memoryview) -> int:
        try:
            if hasattr(os, "preadv"):
                return os.preadv(self._descriptor, [view], offset)
            data = self._read_at(offset, len(view))
        except OSError as error:
            raise input_error(error, self.path) from error
        view[: len(data)] = data
        return len(data)

    def _read_at(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._descriptor, length, offset)
        with self._seek_lock:
            os.lseek(self._descriptor, offset, os.SEEK_SET)
            return os.read(self._descriptor, length)

    def close(self) -> None:
        """See `Source.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
        for other in self._held:
            other.close()

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()


def _open(path: str) -> int:
    """A descriptor of the regular file at `path`. Raises InputError."""
    try:
        # Before it is opened: opening a device can have effects.
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            raise _irregular(mode, path)
        descriptor = os.open(path, _FLAGS)
    except InputError:
        raise
    except OSError as error:
        raise input_error(error, path) from error
    except ValueError as error:  # a NUL in the path
        raise InputError(errno.EINVAL, str(error), path) from error
    try:
        # And again: another file may have taken its place in between.
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise _irregular(mode, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _irregular(mode: int, path: str) -> InputError:
    """The error for what is no regular file."""
    if stat.S_ISDIR(mode):
        return InputIsDirectory(errno.EISDIR, "is a folder, where a file was expected", path)
    word = "a device" if stat.S_ISCHR(mode) or stat.S_ISBLK(mode) else "no regular file"
    word = "a pipe" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else word
    return InputError(errno.EINVAL, f"is {word}, where a regular file was expected: pipe its bytes in instead", path)
