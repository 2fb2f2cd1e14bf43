"""Whether a file that has the mark of a zip's end in it could be a zip to anybody. Peeks only, reads no entry.

Programs that read zips have those marks in them as constants; so has what is compiled from them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from safeload.containers.zip.end import CENTRAL, END, LOCAL, LOCATOR
from safeload.source import Source

_PIECE = 1 << 20
_END = struct.Struct("<4sHHHHIIH")
_LOCATOR_BYTES = 20


def leads_to_a_member(source: Source) -> bool:
    """Whether any end record, taken by any reader, leads to an entry of a directory; errs towards True.

    SECURITY: every mark counts, not the last one, and both places that readers work out: the one that the record names,
    and the one that lies as far in front of it as it says. A record of zip64 names a third: that is not told apart.
    """
    if source.peek(0, 4) == LOCAL:
        return True
    for at in _marks(source):
        record = source.peek(at, _END.size)
        if len(record) < _END.size:
            continue
        if at >= _LOCATOR_BYTES and source.peek(at - _LOCATOR_BYTES, 4) == LOCATOR:
            return True
        size, named = _END.unpack(record)[5:7]
        if any(source.peek(place, 4) == CENTRAL for place in (at - size, named) if place >= 0):
            return True
    return False


def _marks(source: Source) -> Iterator[int]:
    """Where the signature of an end record stands."""
    for start in range(0, source.size, _PIECE):
        piece = source.peek(start, _PIECE + len(END) - 1)
        at = piece.find(END)
        while at >= 0:
            yield start + at
            at = piece.find(END, at + 1)
