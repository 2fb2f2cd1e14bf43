"""Finds where one zip ends and the next begins in a file of several. Peeks only, and looks at no member."""

from __future__ import annotations

import struct
from typing import NamedTuple

from safeload.containers.zip.end import CENTRAL, END, LOCAL, LOCATOR, RECORD
from safeload.source import Source

# The most archives that a file may consist of; a shard of a distributed checkpoint has one for each of its tensors.
_MOST = 100_000


class ZipPiece(NamedTuple):
    """One archive of a file of several.

    start, end          [start, end) of the file
    directory, record   where its directory and its zip64 record lie in the file; `record` is -1 without zip64
    stated_*            the same as the archive says, whose writer counts from the start of the archive
    """

    start: int
    end: int
    directory: int
    record: int
    stated_record: int
    stated_directory: int


def last_piece(source: Source, end: int) -> ZipPiece | None:
    """The archive that ends at `end` and has no comment; None when there is none."""
    at = end - 22
    tail = source.peek(at, 22) if at >= 0 else b""
    if not tail.startswith(END) or tail[20:] != b"\0\0":
        return None
    size, stated = struct.unpack_from("<II", tail, 12)
    record = stated_record = -1
    stop = at
    locator = source.peek(at - 20, 20) if at >= 76 else b""
    if locator.startswith(LOCATOR):
        record = stop = at - 76
        stated_record = int.from_bytes(locator[8:16], "little")
        wide = source.peek(record, 56)
        if not wide.startswith(RECORD):
            return None
        size, stated = struct.unpack_from("<QQ", wide, 40)
    directory = stop - size
    start = directory - stated
    if not 0 <= start <= directory or source.peek(start, 4) != LOCAL or source.peek(directory, 4) != CENTRAL:
        return None
    return ZipPiece(start, end, directory, record, stated_record, stated)


def pieces(source: Source) -> tuple[ZipPiece, ...]:
    """The archives of `source`, in the order of the file; () unless it consists of two or more and nothing else."""
    found: list[ZipPiece] = []
    end = source.size
    while end:
        piece = last_piece(source, end)
        if piece is None or len(found) >= _MOST:
            return ()
        found.append(piece)
        end = piece.start
    return tuple(reversed(found)) if len(found) > 1 else ()
