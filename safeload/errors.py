"""Every exception that leaves safeload, and nothing else.

    SafeloadError                     the root: catch this to catch all of ours
    ├── Malformed                     bytes that do not follow their format (also a ValueError)
    ├── LimitExceeded                 a limit of `limits.py` was reached (also a ValueError)
    ├── UsageError                    the caller asked for something that has no meaning (also a ValueError)
    │   └── WrongArgument             ... by passing an argument that is not taken (also a TypeError)
    ├── NotConvertible                the output format cannot hold what the file holds (also a ValueError)
    ├── NotEqual                      an output does not hold what its source holds (also a RuntimeError)
    ├── LoadFailed                    torch or numpy could not build what was judged (also a RuntimeError)
    ├── MissingExtra                  an optional part is not installed (also an ImportError)
    ├── EndOfInput                    there is no further pickle in the file (also an EOFError)
    ├── UnsafeCheckpoint              the verdict does not allow the load (also a pickle.UnpicklingError)
    ├── OutputError                   an output could not be written (also an OSError)
    │   └── OutputExists              ... because it exists already (also a FileExistsError)
    └── InputError                    the input could not be read (also an OSError)
        ├── InputNotFound             ... because it is not there (also a FileNotFoundError)
        ├── InputDenied               ... because permission is missing (also a PermissionError)
        └── InputIsDirectory          ... because it is a folder (also an IsADirectoryError)

Messages say what happened, where (member and byte offset), and what to do next. Knows no other file of safeload.
"""

from __future__ import annotations

import errno
import os
import pickle
from typing import Any


class SafeloadError(Exception):
    """Root of every exception that safeload raises on purpose."""


class Malformed(SafeloadError, ValueError):
    """Bytes do not follow their format.

    `offset` is the position in the parsed bytes, `partial` whatever was understood before the break
    (the machine puts a partial Program there), or None.
    """

    def __init__(self, message: str, *, offset: int | None = None, partial: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.partial = partial


class LimitExceeded(SafeloadError, ValueError):
    """A limit was reached before the input was understood. `limit` is its name in `limits.Limits`."""

    def __init__(self, message: str, *, limit: str, offset: int | None = None, partial: Any = None) -> None:
        super().__init__(f"{message}; raise it with --limit {limit}=VALUE if you trust the size")
        self.message = str(self)
        self.limit = limit
        self.offset = offset
        self.partial = partial


class UsageError(SafeloadError, ValueError):
    """The caller asked for something that has no meaning."""


class WrongArgument(UsageError, TypeError):
    """The caller passed an argument that safeload does not take."""


class NotConvertible(SafeloadError, ValueError):
    """The output format cannot hold what the file holds: colliding names, keys that are no text, a header too large."""


class NotEqual(SafeloadError, RuntimeError):
    """A converted file does not hold what its source holds."""


class LoadFailed(SafeloadError, RuntimeError):
    """What was judged could not be built: no memory, no device, or a form this torch does not know."""


class MissingExtra(SafeloadError, ImportError):
    """An optional part of safeload is not installed; the message holds the install line."""


class EndOfInput(SafeloadError, EOFError):
    """A file of pickles is read to its end: as pickle.load says it."""


class UnsafeCheckpoint(SafeloadError, pickle.UnpicklingError):
    """The verdict of a checkpoint does not allow what was asked. `report` is the scan report."""

    def __init__(self, message: str, *, report: Any = None) -> None:
        super().__init__(message)
        self.report = report


class OutputError(SafeloadError, OSError):
    """An output could not be written; what was at its place before is as it was."""


class OutputExists(OutputError, FileExistsError):
    """The output exists already."""


class InputError(SafeloadError, OSError):
    """The input could not be read."""


class InputNotFound(InputError, FileNotFoundError):
    """The input does not exist."""


class InputDenied(InputError, PermissionError):
    """The input may not be read by this user."""


class InputIsDirectory(InputError, IsADirectoryError):
    """The input is a folder where a file was expected."""


def input_error(error: OSError, path: object) -> InputError:
    """The InputError that stands for `error`, raised while reading `path`."""
    kind: type[InputError] = InputError
    if isinstance(error, FileNotFoundError):
        kind = InputNotFound
    elif isinstance(error, PermissionError):
        kind = InputDenied
    elif isinstance(error, IsADirectoryError):
        kind = InputIsDirectory
    number = error.errno if error.errno is not None else errno.EIO
    return kind(
        number,
        error.strerror or os.strerror(number),
        os.fsdecode(os.fspath(path)) if isinstance(path, str | bytes | os.PathLike) else str(path),
    )
