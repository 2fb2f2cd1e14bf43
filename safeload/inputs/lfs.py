"""Git LFS pointers, and the objects they stand for in the store of a clone.

A pointer is a few lines of text in place of a file: the sha256 and the size of the file. Only the canonical form
counts, byte for byte. An object gives only bytes that were hashed: every later read is compared with the digests of the
first pass. A file that changed in between is an error, and is never judged under the pointer's name. Knows no git.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from typing import NamedTuple

from safeload.errors import InputError, input_error
from safeload.inputs.cached import CachedSource

LONGEST = 200
"""No canonical pointer is longer than this many bytes."""

# Git LFS, docs/spec.md: version first, then the keys in their order, one blank between, every line ended by a newline.
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize (0|[1-9][0-9]{0,18})\n"
)
_CHUNK = 16 << 10
_READ = 64 * _CHUNK
_DIGEST = 32
_FLAGS = os.O_RDONLY
for _flag in ("O_CLOEXEC", "O_NONBLOCK", "O_NOCTTY", "O_BINARY", "O_NOINHERIT", "O_NOFOLLOW"):
    _FLAGS |= getattr(os, _flag, 0)


class Pointer(NamedTuple):
    """What a pointer file says: the sha256 of the file it stands for, in hex, and its length."""

    oid: str
    size: int

    def place(self) -> tuple[str, ...]:
        """The way to its object in a git folder, one name for each step."""
        return "lfs", "objects", self.oid[:2], self.oid[2:4], self.oid


def pointer_of(data: bytes) -> Pointer | None:
    """The pointer that `data`, a whole file, is; None for anything but the canonical form."""
    found = _POINTER.fullmatch(data)
    return None if found is None else Pointer(found[1].decode("ascii"), int(found[2]))


class LfsObject(CachedSource):
    """The object of `pointer` in `git_folder`, the folder that all worktrees of a clone share.

    Raises InputError when it is not there, when it or a folder on its way is a link, or when size or sha256 differ.
    """

    def __init__(self, git_folder: str, pointer: Pointer) -> None:
        self.path = os.path.join(git_folder, *pointer.place())
        self._descriptor = -1
        try:
            self._descriptor = _open_below(git_folder, pointer.place())
            status = os.fstat(self._descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise InputError(errno.EINVAL, "is no regular file", self.path)
            if status.st_size != pointer.size:
                raise InputError(
                    errno.EIO, f"has {status.st_size} bytes where the pointer says {pointer.size}", self.path
                )
            super().__init__(self.path, pointer.size)
            whole, self._digests = self._hash()
        except OSError as error:
            self.close()
            raise error if isinstance(error, InputError) else input_error(error, self.path) from error
        if whole != pointer.oid:
            self.close()
            raise InputError(errno.EIO, "has another sha256 than the pointer says", self.path)

    def _hash(self) -> tuple[str, bytes]:
        """The sha256 of the whole, and the digest of each chunk, in one pass."""
        whole, chunks = hashlib.sha256(), bytearray()
        at = 0
        while at < self.size:
            data = self._exactly(at, min(_READ, self.size - at))
            whole.update(data)
            view = memoryview(data)
            for start in range(0, len(data), _CHUNK):
                chunks += _digest(view[start : start + _CHUNK])
            at += len(data)
        return whole.hexdigest(), bytes(chunks)

    def fetch(self, offset: int, length: int) -> bytes:
        """See `CachedSource.fetch`. SECURITY: gives no byte that was not hashed as part of the object."""
        first = offset // _CHUNK
        start = first * _CHUNK
        end = min(self.size, -(-(offset + length) // _CHUNK) * _CHUNK)
        data = self._exactly(start, end - start)
        view = memoryview(data)
        for number, at in enumerate(range(0, len(data), _CHUNK), first):
            if _digest(view[at : at + _CHUNK]) != self._digests[number * _DIGEST : (number + 1) * _DIGEST]:
                raise InputError(errno.EIO, f"was changed while it was read (offset {start + at})", self.path)
        return data[offset - start : offset - start + length]

    def _exactly(self, offset: int, length: int) -> bytes:
        parts: list[bytes] = []
        got = 0
        while got < length:
            data = _read_at(self._descriptor, offset + got, min(length - got, 1 << 30))
            if not data:
                raise InputError(errno.EIO, f"got shorter while it was read (offset {offset + got})", self.path)
            parts.append(data)
            got += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """See `Source.close`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()


def _digest(data: memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def _read_at(descriptor: int, offset: int, length: int) -> bytes:
    if hasattr(os, "pread"):
        return os.pread(descriptor, length, offset)
    os.lseek(descriptor, offset, os.SEEK_SET)
    return os.read(descriptor, length)


def _open_below(folder: str, names: tuple[str, ...]) -> int:
    """A descriptor of the file at `names` below `folder`, without following a link on the way from there."""
    if os.open not in os.supports_dir_fd or not hasattr(os, "O_NOFOLLOW"):
        return _open_looking(folder, names)
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=held)
            os.close(held)
            held = inner
        # Looked at before it is opened: opening a device can have effects of its own.
        _want_regular(os.stat(names[-1], dir_fd=held, follow_symlinks=False).st_mode, names[-1])
        return os.open(names[-1], _FLAGS, dir_fd=held)
    finally:
        os.close(held)


def _open_looking(folder: str, names: tuple[str, ...]) -> int:
    """The same where the system opens nothing relative to a folder (Windows): each step is looked at first."""
    path = folder
    for name in names[:-1]:
        path = os.path.join(path, name)
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise InputError(errno.ENOTDIR, "a folder on the way to it is a link", path)
    path = os.path.join(path, names[-1])
    _want_regular(os.lstat(path).st_mode, path)
    return os.open(path, _FLAGS)


def _want_regular(mode: int, name: str) -> None:
    if not stat.S_ISREG(mode):
        raise InputError(errno.EINVAL, "is a link or no regular file", name)
