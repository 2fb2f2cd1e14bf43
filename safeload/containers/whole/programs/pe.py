"""Windows programs (Microsoft, PE Format): the file ends where the last section, symbol or certificate does."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import CODE, Spans, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_COFF = Struct("<HHIIIHH")
_SECTION = Struct("<8sIIIIIIHHI")
_DIRECTORY = Struct("<II")
_SYMBOL, _CERTIFICATES, _LIBRARY = 18, 4, 0x2000
# Where the count of data directories is, for 32 and 64 bits; SizeOfHeaders is at 60 in both.
_COUNTS = {0x10B: 92, 0x20B: 108}


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    at = view.number(60, 4, little=True)
    need(at >= 64 and view.get(0, 2) == b"MZ" and view.get(at, 4) == b"PE\0\0", 60)
    _, count, _, symbols, symbol_count, optional, flags = view.unpack(_COFF, at + 4)
    start = at + 24
    magic = view.number(start, 2, little=True)
    need(magic in _COUNTS and optional >= _COUNTS[magic] + 4 and 0 < count <= 96, start)
    spans = Spans(view)
    table = start + optional
    headers = view.number(start + 60, 4, little=True)
    need(headers >= table + count * _SECTION.size, start)
    spans.add(0, table + count * _SECTION.size)
    for number in range(count):
        fields = view.unpack(_SECTION, table + number * _SECTION.size)
        length, offset = fields[3], fields[4]
        if offset and length:
            spans.add(offset, length)
    if symbols:
        names = symbols + symbol_count * _SYMBOL
        spans.add(symbols, symbol_count * _SYMBOL)
        spans.add(names, view.number(names, 4, little=True))
    directories = view.number(start + _COUNTS[magic], 4, little=True)
    if directories > _CERTIFICATES:
        # The only directory whose address is an offset in the file: it lies outside of all sections.
        place = start + _COUNTS[magic] + 4 + 8 * _CERTIFICATES
        need(place + 8 <= table, place)
        offset, length = view.unpack(_DIRECTORY, place)
        if offset or length:
            _certificates(view, offset, length)
            spans.add(offset, length)
    # SECURITY: sections may not overlap, and nothing may follow: installers and self-extracting archives put it there.
    spans.tile(gap=None)
    return Whole(CODE, "Windows library" if flags & _LIBRARY else "Windows program")


def _certificates(view: FileView, at: int, length: int) -> None:
    """Raise Malformed unless certificates, each padded to eight bytes, tile the table."""
    end = at + length
    need(end <= view.size and length >= 8, at)
    while at < end:
        view.step()
        size = view.number(at, 4, little=True)
        need(size >= 8 and view.number(at + 4, 2, little=True) in (0x100, 0x200), at)
        stop = at + (size + 7 & ~7)
        need(stop <= end or at + size == end, at)
        at = min(stop, end)


FORMS = (WholeFormat(((0, b"MZ"),), holds),)
