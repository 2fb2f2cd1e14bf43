"""Inputs: makes a Source, random-access bytes, out of whatever the caller has. Knows no format."""

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

    A file object is read from its current position. One that cannot seek is first read to its end, which may lie at
    most `spool_bytes` away. `name` is what reports call the input.

    Raises InputError when the operating system refuses, UsageError when `f` is nothing of these. Exceptions of the file
    object itself pass through.
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
