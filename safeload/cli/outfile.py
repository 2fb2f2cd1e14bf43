"""`-o FILE`: writes a report file, as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat

from safeload.errors import UsageError, input_error


def check(path: str, sources: tuple[str, ...], option: str = "-o") -> None:
    """Raises UsageError, before any work is done, for a place where no report can be written.

    sources   what is scanned: a forgotten file name after -o must not replace a checkpoint by its report
    """
    folder = os.path.dirname(path) or os.curdir
    if os.path.isdir(path):
        raise UsageError(f"{option} needs a file, and {path!r} is a folder")
    if not os.path.isdir(folder):
        raise UsageError(f"{option} {path!r}: there is no folder {folder!r}")
    real = os.path.normcase(os.path.realpath(path))
    if os.path.exists(path) and any(os.path.normcase(os.path.realpath(source)) == real for source in sources):
        raise UsageError(f"{option} {path!r} is one of the files to scan: name another")


def write(path: str, text: str) -> None:
    """Writes `text` beside `path` and puts it in its place in one step. Raises InputError.

    A link is followed; a device or a pipe is written to as it is.
    """
    try:
        place = os.path.realpath(path)
        mode = None
        with contextlib.suppress(FileNotFoundError):
            mode = os.stat(place).st_mode
        if mode is not None and not stat.S_ISREG(mode):
            with open(path, "w", encoding="utf-8", newline="\n") as device:
                device.write(text)
            return
        _replace(place, text, None if mode is None else stat.S_IMODE(mode))
    except OSError as error:
        raise input_error(error, path) from error


def _replace(place: str, text: str, mode: int | None) -> None:
    beside = f"{place}.{os.urandom(6).hex()}.tmp"
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, place)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
