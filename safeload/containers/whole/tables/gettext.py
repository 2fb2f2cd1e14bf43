"""Compiled message catalogs (GNU gettext manual, The Format of GNU MO Files): tables and strings that cover it."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import DATA, Spans, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_LITTLE, _BIG = b"\xde\x12\x04\x95", b"\x95\x04\x12\xde"
_HEADER = 28
_MORE = 20
_LAST = 0xFFFFFFFF


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    order = "<" if view.get(0, 4) == _LITTLE else ">"
    revision, count, originals, translations, slots, hashes = view.unpack(Struct(order + "6I"), 4)
    need(revision in (0, 1, 1 << 16, 1 << 16 | 1), 4)
    spans = Spans(view)
    spans.add(0, _HEADER)
    if slots:
        spans.add(hashes, 4 * slots)
    for table in (originals, translations):
        _strings(view, spans, table, count, order)
    if revision & 1:
        _by_system(view, spans, order)
    # Equal strings may be stored once, and as the end of one another.
    spans.tile(gap=7, overlap=True)
    return Whole(DATA, "message catalog")


def _strings(view: FileView, spans: Spans, table: int, count: int, order: str) -> None:
    """Take a table of lengths and offsets, and what it names: text that a zero byte ends."""
    pair = Struct(order + "II")
    spans.add(table, 8 * count)
    for number in range(count):
        length, offset = view.unpack(pair, table + 8 * number)
        spans.add(offset, length + 1)
        need(view.get(offset + length, 1) == b"\0", offset)


def _by_system(view: FileView, spans: Spans, order: str) -> None:
    """Take the strings that are put together from pieces and from words of the system (minor revision 1)."""
    segments, table, strings, *tables = view.unpack(Struct(order + "5I"), _HEADER)
    spans.add(_HEADER, _MORE)
    spans.add(table, 8 * segments)
    pair, one = Struct(order + "II"), Struct(order + "I")
    for number in range(segments):
        length, offset = view.unpack(pair, table + 8 * number)
        spans.add(offset, length)
    for table in tables:
        spans.add(table, 4 * strings)
        for number in range(strings):
            (start,) = view.unpack(one, table + 4 * number)
            (text,) = view.unpack(one, start)
            at, total, word = start + 4, 0, 0
            while word != _LAST:
                view.step()
                length, word = view.unpack(pair, at)
                need(word == _LAST or word < segments, at)
                at, total = at + 8, total + length
            spans.add(start, at - start)
            spans.add(text, total)


FORMS = (WholeFormat(((0, _LITTLE), (0, _BIG)), holds),)
