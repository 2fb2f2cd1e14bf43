"""Compiled descriptions of terminals (ncurses, term(5)): sizes in the header that add up to the file."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_NUMBER_BYTES = {0x011A: 2, 0x021E: 4}
_HEADER = Struct("<6H")
_MORE = Struct("<5H")
_LONGEST = 32768


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    magic, names, flags, numbers, strings, table = view.unpack(_HEADER, 0)
    width = _NUMBER_BYTES[magic]
    need(view.size <= _LONGEST and names > 0 and view.get(12 + names - 1, 1) == b"\0", 0)
    at = 12 + names + flags
    need(at % 2 == 0 or view.get(at, 1) == b"\0", at)
    at += at % 2 + numbers * width + strings * 2 + table
    if at < view.size:
        need(at % 2 == 0 or view.get(at, 1) == b"\0", at)
        at += at % 2
        flags, numbers, strings, _, table = view.unpack(_MORE, at)
        at += 10 + flags
        need(at % 2 == 0 or view.get(at, 1) == b"\0", at)
        # Offsets of the strings, then of the names of everything. The field that was left out counts those in use.
        at += at % 2 + numbers * width + (2 * strings + flags + numbers) * 2 + table
    need(at == view.size, at)
    return Whole(DATA, "terminal description")


FORMS = (WholeFormat(((0, b"\x1a\x01"), (0, b"\x1e\x02")), holds),)
