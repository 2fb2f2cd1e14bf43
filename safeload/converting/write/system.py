"""The calls by which an output comes to be, in one place: every step at which a conversion can be stopped or refused.

Moves bytes by the kernel (copy_file_range, sendfile) or through a buffer, see `Mover`. Knows no format and no tensor.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from safeload.errors import input_error

_CHUNK = 32 << 20
_TIMED = 512 << 10
_ENOUGH = 16 << 20
_UNABLE = frozenset(
    {
        errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EBADF,
        errno.ETXTBSY, errno.EOVERFLOW,
    }
)  # fmt: skip
"""What the kernel says of a pair of files between which it moves nothing by itself."""


def write_at(fd: int, data: bytes | bytearray | memoryview, offset: int) -> None:
    """Write all of `data` at `offset`."""
    view = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while view:
        if hasattr(os, "pwrite"):
            count = os.pwrite(fd, view, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            count = os.write(fd, view)
        view = view[count:]
        offset += count


@contextmanager
def reading(name: str) -> Iterator[None]:
    """What the system refuses while the source called `name` is read, as an InputError."""
    try:
        yield
    except OSError as error:
        raise input_error(error, name) from error


def read_at(fd: int, offset: int, length: int) -> bytes:
    """Up to `length` bytes at `offset`; fewer only at the end of the file."""
    parts: list[bytes] = []
    while length:
        if hasattr(os, "pread"):
            data = os.pread(fd, length, offset)
        else:
            os.lseek(fd, offset, os.SEEK_SET)
            data = os.read(fd, length)
        if not data:
            break
        parts.append(data)
        offset += len(data)
        length -= len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_into(fd: int, offset: int, buffer: memoryview) -> int:
    """Fill `buffer` from `offset`; how many bytes, fewer only at the end of the file."""
    got = 0
    while got < len(buffer):
        if hasattr(os, "preadv"):
            count = os.preadv(fd, [buffer[got:]], offset + got)
        else:
            data = read_at(fd, offset + got, len(buffer) - got)
            count = len(data)
            buffer[got : got + count] = data
        if not count:
            break
        got += count
    return got


def write_parts(fd: int, parts: list[memoryview], offset: int) -> None:
    """Write all of `parts`, one behind the other, at `offset`. At most 1024 of them."""
    done = os.pwritev(fd, parts, offset) if hasattr(os, "pwritev") else 0
    for part in parts:
        if done < len(part):
            write_at(fd, part[done:], offset + done)
        offset += len(part)
        done = max(done - len(part), 0)


def start_flush(fd: int, offset: int, length: int) -> None:
    """Let the system begin to put a range that was just written on the disk, and do not wait for it.

    Said by way of POSIX_FADV_DONTNEED, at which Linux starts to write what is dirty and keeps it; elsewhere it may mean
    nothing. What becomes of it, the fsync at the end says.
    """
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)


def resize(fd: int, size: int) -> None:
    """Give a new file its length; the bytes come later."""
    os.ftruncate(fd, size)


def fsync(fd: int) -> None:
    """Have the bytes of a file, or the names in a folder, on the disk."""
    os.fsync(fd)


def link(old: str, new: str, folder: int | None = None) -> None:
    """Give a file a further name, which must be free. With `folder`, `new` is in it and links in `old` are followed."""
    if folder is None:
        os.link(old, new)
    else:
        os.link(old, new, dst_dir_fd=folder, follow_symlinks=True)


def replace(old: str, new: str) -> None:
    """Rename a file, over another if there is one."""
    os.replace(old, new)


class Mover:
    """Moves ranges of bytes from one file to another: by the kernel, or through a buffer where that is faster.

    The kernel shares blocks where a file system can, and lets a server copy what it holds. Elsewhere, where source and
    output lie differently in their pages, it copies page by page, and a buffer takes less time. So large ranges are
    moved in both ways at first, and then in the faster one.

    For one thread. `turn` is shared by all that move to one output, for sendfile writes where its position is. `name`
    is the source's, for the InputError when it cannot be read.
    """

    def __init__(self, source: int, output: int, turn: threading.Lock, name: str) -> None:
        self._source = source
        self._name = name
        self._output = output
        self._turn = turn
        self.means = [name for name in ("copy_file_range", "sendfile") if hasattr(os, name)]
        # Of the kernel and of the buffer: bytes, and seconds for them.
        self._moved = [0, 0]
        self._spent = [0.0, 0.0]

    def move(self, start: int, at: int, length: int, buffer: memoryview) -> int:
        """Some of `length` bytes from `start` of the source to `at` of the output; how many, 0 at the source's end."""
        timed = length >= _TIMED
        trial = timed and min(self._moved) < _ENOUGH
        if trial:
            buffered = self._moved[0] > self._moved[1]
            length = min(length, len(buffer))
        else:
            buffered = timed and self._spent[1] * self._moved[0] < self._spent[0] * self._moved[1]
        begin = time.perf_counter()
        count = 0 if buffered else self._by_kernel(start, at, length)
        count = count or self._buffered(start, at, length, buffer)
        if trial:
            self._spent[buffered] += time.perf_counter() - begin
            self._moved[buffered] += count
        return count

    def _by_kernel(self, start: int, at: int, length: int) -> int:
        """See `move`; 0 where the kernel cannot, either."""
        while self.means:
            try:
                if self.means[0] == "copy_file_range":
                    count = copy_file_range(self._source, self._output, min(length, _CHUNK), start, at)
                else:
                    with self._turn:
                        os.lseek(self._output, at, os.SEEK_SET)
                        count = sendfile(self._output, self._source, start, min(length, _CHUNK))
            except OSError as error:
                if error.errno not in _UNABLE:
                    raise
                count = 0
            if count:
                return count
            # Some file systems give 0 where they mean that they cannot.
            del self.means[0]
        return 0

    def _buffered(self, start: int, at: int, length: int, buffer: memoryview) -> int:
        with reading(self._name):
            count = read_into(self._source, start, buffer[:length])
        write_at(self._output, buffer[:count], at)
        return count


def copy_file_range(source: int, output: int, length: int, start: int, at: int) -> int:
    """See os.copy_file_range."""
    return os.copy_file_range(source, output, length, start, at)


def sendfile(output: int, source: int, start: int, length: int) -> int:
    """See os.sendfile."""
    return os.sendfile(output, source, start, length)
