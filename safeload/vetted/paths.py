"""pathlib paths. All of them denote pure paths: these exist for any system, and never touch the disk.

Semantics: CPython 3.11 and 3.14 Lib/pathlib `PurePath.__reduce__`: `(class, parts)`, parts a tuple of str.
"""

from __future__ import annotations

from safeload.document.document import Built, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call
from safeload.vetted.consumption import inert, spend
from safeload.vetted.interface import Constructor, Context, ShapeError, positional

PARTS = 4096
LENGTH = 65_536


def _parts(call: Call, ctx: Context) -> tuple[object, ...]:
    raw = positional(call, 0, PARTS)
    spend(ctx, len(raw), call.offset)
    parts: list[object] = []
    length = 0
    for item in raw:
        part = resolve(item)
        if inert(part):
            raise ShapeError("has a part that is outside the vetted table", Verdict.UNVETTED)
        if type(part) is not str or "\0" in part[:LENGTH]:
            raise ShapeError("the parts of a path are str without NUL")
        length += len(part)
        if length > LENGTH:
            raise ShapeError("is longer than any path", Verdict.UNJUDGED)
        parts.append(part)
    return tuple(parts)


def posix_path(call: Call, ctx: Context) -> Built:
    """`PosixPath(*parts)` or `PurePosixPath(*parts)`."""
    return Built("pathlib.PurePosixPath", _parts(call, ctx))


def windows_path(call: Call, ctx: Context) -> Built:
    """`WindowsPath(*parts)` or `PureWindowsPath(*parts)`."""
    return Built("pathlib.PureWindowsPath", _parts(call, ctx))


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("posix-path", posix_path),
    Constructor("windows-path", windows_path),
)
