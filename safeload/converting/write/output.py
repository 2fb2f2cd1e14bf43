"""A file that appears under its name whole or not at all.

On Linux it has no name until it is finished (O_TMPFILE), so that not even a kill leaves anything behind; elsewhere it
has a temporary one beside its destination. Never writes through an existing file. Knows no format.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from types import TracebackType
from typing import Self

from safeload.converting.write import system
from safeload.errors import InputIsDirectory, OutputError, OutputExists
from safeload.inputs import FileSource
from safeload.source import Source

_FLAGS = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOINHERIT", 0)
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


class Output:
    """A file on its way to `path`; a context manager that leaves nothing when it was not published.

    source   what it is made from, which `path` must not be
    needs    bytes it will take, for a look at the free space
    """

    def __init__(
        self, path: str | os.PathLike[str], *, force: bool, needs: int = 0, source: Source | None = None
    ) -> None:
        self.shown = os.fspath(path)
        # A link stays a link, and what it leads to is replaced.
        try:
            self.path = os.path.realpath(self.shown)
        except ValueError as error:  # a NUL in the path
            raise output_error(error, self.shown) from error
        self.folder = os.path.dirname(self.path)
        self.force = force
        self.fd = -1
        self._temporary = ""
        self._check(source)
        self._space(needs)
        try:
            self._open()
        except OSError as error:
            raise output_error(error, self.shown) from error

    def _check(self, source: Source | None) -> None:
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise output_error(error, self.shown) from error
        # SECURITY: by device and number, for links of both kinds lead to the source under other names.
        files = source.files() if isinstance(source, FileSource) else ()
        if any((status.st_dev, status.st_ino) == file.identity[:2] for file in files):
            raise OutputError(errno.EINVAL, "is the source itself: give another name", self.shown)
        if not stat.S_ISREG(status.st_mode):
            raise OutputError(errno.EINVAL, "exists and is no regular file", self.shown)
        if not self.force:
            raise OutputExists(errno.EEXIST, "exists already: --force replaces it", self.shown)

    def _space(self, needs: int) -> None:
        if not hasattr(os, "statvfs"):
            return
        try:
            found = os.statvfs(self.folder)
        except OSError:
            return
        free = found.f_bavail * found.f_frsize
        if found.f_blocks and free < needs:
            raise OutputError(errno.ENOSPC, f"needs {needs} bytes, and {free} are free", self.shown)

    def _open(self) -> None:
        unnamed = getattr(os, "O_TMPFILE", 0)
        if unnamed:
            # Refused by file systems that know no such thing, in ways of their own: the named form then says why.
            with suppress(OSError):
                self.fd = os.open(self.folder, unnamed | _FLAGS, 0o666)
                if os.path.exists(f"/proc/self/fd/{self.fd}"):
                    return
                os.close(self.fd)
        self.fd = -1
        name = self._beside()
        self.fd = os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666)
        self._temporary = name

    def _beside(self) -> str:
        name = os.path.basename(self.path)[:100]
        return os.path.join(self.folder, f".{name}.{os.urandom(8).hex()}.part")

    @property
    def readable(self) -> str:
        """A path under which others in this process can open the unfinished file."""
        return self._temporary or f"/proc/self/fd/{self.fd}"

    def flush(self) -> None:
        """Have its bytes on the disk."""
        try:
            system.fsync(self.fd)
        except OSError as error:
            raise output_error(error, self.shown) from error

    def publish(self, *, sync: bool) -> None:
        """Show it under its name, in one step. Raises OutputExists when the name was taken meanwhile."""
        try:
            if self.force:
                self._replace()
            else:
                self._link()
            if sync:
                self._flush_folder()
        except FileExistsError as error:
            raise OutputExists(errno.EEXIST, "exists already: it was made meanwhile", self.shown) from error
        except OSError as error:
            raise output_error(error, self.shown) from error
        finally:
            self.close()

    def _replace(self) -> None:
        if not self._temporary:
            name = self._beside()
            self._name(name)
            self._temporary = name
        self._let_go()
        system.replace(self._temporary, self.path)
        self._temporary = ""

    def _link(self) -> None:
        if not self._temporary:
            self._name(self.path)
            return
        try:
            system.link(self._temporary, self.path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without hard links cannot say "only if it is new": looked at as late as possible.
            if os.path.lexists(self.path):
                raise FileExistsError(errno.EEXIST, "exists") from None
            self._let_go()
            system.replace(self._temporary, self.path)
            self._temporary = ""

    def _name(self, name: str) -> None:
        """Give the file that has none a name."""
        folder = os.open(self.folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            # Only with a folder's descriptor does Python ask the system to follow /proc's link to the file.
            system.link(f"/proc/self/fd/{self.fd}", os.path.basename(name), folder)
        finally:
            os.close(folder)

    def _flush_folder(self) -> None:
        if os.name != "posix":
            return
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            system.fsync(folder)
        except OSError as error:
            # Some network file systems cannot, and need not.
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                raise
        finally:
            os.close(folder)

    def _let_go(self) -> None:
        if os.name == "nt" and self.fd >= 0:  # an open file cannot be renamed there
            os.close(self.fd)
            self.fd = -1

    def close(self) -> None:
        """Let it go; without a `publish` before, nothing is left of it."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
        name, self._temporary = self._temporary, ""
        if name:
            with suppress(OSError):
                os.unlink(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def output_error(error: OSError | ValueError, path: object) -> OutputError:
    """The OutputError that stands for `error`, raised while writing `path`."""
    if isinstance(error, OutputError):
        return error
    if not isinstance(error, OSError) or isinstance(error, InputIsDirectory):
        return OutputError(errno.EINVAL, str(error), str(path))
    number = error.errno or errno.EIO
    kind = OutputExists if isinstance(error, FileExistsError) else OutputError
    return kind(number, error.strerror or os.strerror(number), str(path))
