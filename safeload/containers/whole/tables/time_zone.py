"""Time zones (RFC 8536, TZif): one block of data, in later versions a second one and a rule in text."""

from __future__ import annotations

import re
from struct import Struct

from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_HEADER = Struct(">4sc15sIIIIII")
_RULE = re.compile(rb"\n[!-~]{0,256}\n")


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    version = view.get(4, 1)
    need(version in (b"\0", b"2", b"3", b"4"), 4)
    at = _block(view, 0, 4)
    if version != b"\0":
        need(view.get(at + 4, 1) == version, at)
        at = _block(view, at, 8)
        need(view.size - at <= 258 and bool(_RULE.fullmatch(view.get(at, view.size - at))), at)
        at = view.size
    need(at == view.size, at)
    return Whole(DATA, "time zone")


def _block(view: FileView, at: int, width: int) -> int:
    """Where the block at `at` ends, whose times have `width` bytes."""
    magic, _, zeros, utc, standard, leaps, times, types, letters = view.unpack(_HEADER, at)
    need(magic == b"TZif" and zeros == bytes(15) and 0 < types <= 256, at)
    need(utc in (0, types) and standard in (0, types), at)
    end: int = at + _HEADER.size + times * (width + 1) + types * 6 + letters + leaps * (width + 4) + standard + utc
    need(end <= view.size, at)
    return end


FORMS = (WholeFormat(((0, b"TZif"),), holds),)
