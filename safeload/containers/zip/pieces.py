"""Where one zip ends and the next begins in a file of several. Peeks only; says nothing about what is in them."""

from __future__ import annotations

import struct
from typing import NamedTuple

from safeload.containers.zip.end import CENTRAL, END, LOCAL, LOCATOR, RECORD
from safeload.source import Source

# Archives in one file; a shard has one for each tensor in it.
_MOST = 100_000


class Piece(NamedTuple):
    """One archive: [start, end) of the file, and where its own records lie (`record` is -1 without zip64).

    told_record, told_directory   what it says of itself, counted from its start by a writer that knows of nothing else
    """

    start: int
    end: int
    directory: int
    record: int
    told_record: int
    told_directory: int


def last_piece(source: Source, end: int) -> Piece | None:
    """The archive without comment that ends at `end`, None when there is none."""
    at = end - 22
    tail = source.peek(at, 22) if at >= 0 else b""
    if not tail.startswith(END) or tail[20:] != b"\0\0":
        return None
    size, told = struct.unpack_from("<II", tail, 12)
    record = told_record = -1
    stop = at
    locator = source.peek(at - 20, 20) if at >= 76 else b""
    if locator.startswith(LOCATOR):
        record = stop = at - 76
        told_record = int.from_bytes(locator[8:16], "little")
        wide = source.peek(record, 56)
        if not wide.startswith(RECORD):
            return None
        size, told = struct.unpack_from("<QQ", wide, 40)
    directory = stop - size
    start = directory - told
    if not 0 <= start <= directory or source.peek(start, 4) != LOCAL or source.peek(directory, 4) != CENTRAL:
        return None
    return Piece(start, end, directory, record, told_record, told)


def pieces(source: Source) -> tuple[Piece, ...]:
    """The archives that `source` is made of, in the order of the file; () unless two or more tile it."""
    found: list[Piece] = []
    end = source.size
    while end:
        piece = last_piece(source, end)
        if piece is None or len(found) >= _MOST:
            return ()
        found.append(piece)
        end = piece.start
    return tuple(reversed(found)) if len(found) > 1 else ()
