"""TrueType, OpenType and collections (ISO/IEC 14496-22), WOFF and WOFF 2 (W3C): tables that cover the file."""

from __future__ import annotations

import sys
from array import array
from struct import Struct

from safeload.containers.whole.inflated import ZlibStream
from safeload.containers.whole.interface import FONT, Spans, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

_RECORD = Struct(">4sIII")
_WOFF = Struct(">4s4sIHHIHHIIIII")
_WOFF_RECORD = Struct(">4sIIII")
_WOFF2 = Struct(">4s4sIHHIIHHIIIII")

_FLAVOURS = (b"\0\1\0\0", b"OTTO", b"true", b"typ1")
# WOFF 2, section 5: tables without a name of their own are numbered, and these two are stored in another form.
_GLYF, _LOCA, _NAMED = 10, 11, 63
_FEWEST = 3


def sfnt(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    spans = Spans(view)
    sums: dict[tuple[int, int], int] = {}
    if view.get(0, 4) == b"ttcf":
        version, count = view.number(4, 4), view.number(8, 4)
        need(version in (0x10000, 0x20000) and 0 < count < 65536, 4)
        spans.add(0, 12 + 4 * count)
        for number in range(count):
            _tables(view, view.number(12 + 4 * number, 4), spans, sums)
        if version == 0x20000:
            spans.add(12 + 4 * count, 12)
            if view.get(12 + 4 * count, 4) == b"DSIG":
                spans.add(view.number(20 + 4 * count, 4), view.number(16 + 4 * count, 4))
        what = "font collection"
    else:
        _tables(view, 0, spans, sums)
        what = "OpenType font" if view.get(0, 4) == b"OTTO" else "TrueType font"
    # Tables begin at offsets that are multiples of four; the file may end with the last one, or with its padding.
    spans.tile(gap=3, last=-spans.end() % 4)
    return Whole(FONT, what)


def _tables(view: FileView, at: int, spans: Spans, sums: dict[tuple[int, int], int]) -> None:
    """Take the table directory at `at` and its tables. `sums` are those of tables that another directory named."""
    need(view.get(at, 4) in _FLAVOURS, at)
    count = view.number(at + 4, 2)
    need(count >= _FEWEST, at)
    spans.add(at, 12 + 16 * count)
    names = set()
    for number in range(count):
        name, checksum, offset, length = view.unpack(_RECORD, at + 12 + 16 * number)
        need(name not in names and name.isascii() and min(name) >= 0x20, at)
        names.add(name)
        spans.add(offset, length)
        if (offset, length) not in sums:
            sums[offset, length] = _sum(view, offset, length)
        total = sums[offset, length]
        if name == b"head" and length >= 12:
            # The sum is taken before the adjustment is written, which makes up for that of the whole font.
            total = (total - view.number(offset + 8, 4)) & 0xFFFFFFFF
        need(total == checksum, offset)
    need({b"head", b"name"} <= names or {b"head", b"cmap"} <= names, at)


def _sum(view: FileView, offset: int, length: int) -> int:
    """The sum of the 32-bit words of a table, with zeros behind."""
    total, kept = 0, b""
    for _, piece in view.runs(offset, offset + length):
        data = kept + piece
        cut = len(data) & ~3
        total += _words(data[:cut])
        kept = data[cut:]
    if kept:
        total += _words(kept.ljust(4, b"\0"))
    return total & 0xFFFFFFFF


def _words(data: bytes) -> int:
    words = array("I", data)
    if sys.byteorder == "little":
        words.byteswap()
    return sum(words)


def woff(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    fields = view.unpack(_WOFF, 0)
    _, flavour, length, count, reserved, total, _, _, meta, meta_length, _, private, private_length = fields
    need(flavour in _FLAVOURS and length == view.size and reserved == 0 and count >= _FEWEST, 0)
    spans = Spans(view)
    spans.add(0, 44 + 20 * count)
    original = 12 + 16 * count
    for number in range(count):
        _, offset, stored, real, _ = view.unpack(_WOFF_RECORD, 44 + 20 * number)
        need(stored <= real, offset)
        spans.add(offset, stored)
        original += real + 3 & ~3
        need(original <= total, offset)
        if stored < real:
            table = ZlibStream(view, real)
            for at, piece in view.runs(offset, offset + stored):
                table.feed(piece, at)
            table.close(offset)
    need(original == total, 16)
    if meta:
        spans.add(meta, meta_length)
    if private:
        spans.add(private, private_length)
    need(bool(meta) == bool(meta_length) and bool(private) == bool(private_length), 24)
    spans.tile(gap=3, last=-spans.end() % 4)
    return Whole(FONT, "WOFF font")


def woff2(view: FileView) -> Whole:
    """See `WholeFormat.holds`. The tables are one Brotli stream, which is not inflated here."""
    fields = view.unpack(_WOFF2, 0)
    _, flavour, length, count, reserved, _, stored, _, _, meta, meta_length, _, private, private_length = fields
    need(flavour in (*_FLAVOURS, b"ttcf") and length == view.size and reserved == 0 and count >= _FEWEST, 0)
    at = 48
    for _ in range(count):
        view.step()
        flags = view.get(at, 1)[0]
        at += 1
        kind, form = flags & 63, flags >> 6
        name = b""
        if kind == _NAMED:
            name, at = view.get(at, 4), at + 4
        _, at = _base128(view, at)
        untouched = 3 if kind in (_GLYF, _LOCA) or name in (b"glyf", b"loca") else 0
        if form != untouched:
            _, at = _base128(view, at)
    if flavour == b"ttcf":
        at = _collection(view, at)
    spans = Spans(view)
    spans.add(0, at)
    spans.add(at, stored)
    if meta:
        spans.add(meta, meta_length)
    if private:
        spans.add(private, private_length)
    need(bool(meta) == bool(meta_length) and bool(private) == bool(private_length) and stored > 0, 24)
    spans.tile(gap=3, last=-spans.end() % 4)
    return Whole(FONT, "WOFF2 font")


def _collection(view: FileView, at: int) -> int:
    """Where the directory of a collection ends, which begins at `at`."""
    need(view.number(at, 4) in (0x10000, 0x20000), at)
    fonts, at = _short(view, at + 4)
    for _ in range(fonts):
        tables, at = _short(view, at)
        at += 4
        for _ in range(tables):
            view.step()
            _, at = _short(view, at)
    return at


def _short(view: FileView, at: int) -> tuple[int, int]:
    """A 255UInt16 and where it ends."""
    first = view.get(at, 1)[0]
    match first:
        case 253:
            return view.number(at + 1, 2), at + 3
        case 254:
            return view.get(at + 1, 1)[0] + 506, at + 2
        case 255:
            return view.get(at + 1, 1)[0] + 253, at + 2
    return first, at + 1


def _base128(view: FileView, at: int) -> tuple[int, int]:
    """A UIntBase128 and where it ends."""
    value = 0
    for number in range(5):
        byte = view.get(at + number, 1)[0]
        need((number > 0 or byte != 0x80) and value < 1 << 25, at)
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + number + 1
    raise Malformed("the structure does not hold", offset=at)


FORMS: tuple[WholeFormat, ...] = (
    WholeFormat(tuple((0, magic) for magic in (*_FLAVOURS, b"ttcf")), sfnt),
    WholeFormat(((0, b"wOFF"),), woff),
    WholeFormat(((0, b"wOF2"),), woff2),
)
