"""Inputs: random-access bytes out of whatever the caller has. Knows no format."""

from __future__ import annotations

import os
from typing import Any

from safeload.errors import UsageError
from safeload.inputs.file import FileSource
from safeload.inputs.memory import MemorySource
from safeload.inputs.stream import SPOOL_BYTES, SpooledSource, StreamSource, can_seek
from safeload.source import Source

__all__ = ["FileSource", "MemorySource", "SpooledSource", "StreamSource", "open_source"]


def open_source(f: Any, *, name: str | None = None, spool_bytes: int = SPOOL_BYTES) -> Source:
    """The Source for `f`: a path (str or PathLike), the bytes themselves, or a binary file object.

    A file object is read from its current position; one that cannot seek is first read to its end, at most
    `spool_bytes`. `name` replaces the name in reports. Raises InputError when the operating system refuses and
    UsageError for anything else; what a file object itself raises passes through.
    """
    if isinstance(f, str | os.PathLike):
        source = FileSource(f)
        source.name = source.name if name is None else name
        return source
    if isinstance(f, bytes | bytearray | memoryview):
        return MemorySource(f, name or "<bytes>")
    if callable(getattr(f, "read", None)):
        name = name or "<file object>"
        return StreamSource(f, name) if can_seek(f) else SpooledSource(f, name, spool_bytes)
    raise UsageError(f"expected a path, bytes or a binary file object, not {type(f).__name__}")
