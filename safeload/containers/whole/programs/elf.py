"""ELF, 32 and 64 bits, both byte orders (System V ABI, chapter 4): segments and sections explain every byte."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import CODE, Spans, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_NOBITS, _NULL = 8, 0
_WORDS = {1: "object file", 2: "program", 3: "shared library", 4: "core dump"}


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    ident = view.get(0, 16)
    need(ident[4] in (1, 2) and ident[5] in (1, 2) and ident[6] == 1, 4)
    order, wide = "<" if ident[5] == 1 else ">", ident[4] == 2
    header = Struct(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"))
    kind, _, version, _, segments, sections, _, own, size, count, entry, number, _ = view.unpack(header, 16)
    need(kind in _WORDS and kind != 4 and version == 1 and own == 16 + header.size, 16)
    spans = Spans(view)
    spans.add(0, own)
    table_end = 0
    section = Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"))
    if sections:
        need(entry == section.size, sections)
        if not number:
            # More than fit into the header: the first section says how many.
            number = view.unpack(section, sections)[5]
        spans.add(sections, number * section.size)
        table_end = sections + number * section.size
        for index in range(number):
            fields = view.unpack(section, sections + index * section.size)
            if fields[1] not in (_NOBITS, _NULL):
                spans.add(fields[4], fields[5])
    segment = Struct(order + ("IIQQQQQQ" if wide else "IIIIIIII"))
    if segments:
        need(size == segment.size and 0 < count < 0xFFFF, segments)
        spans.add(segments, count * segment.size)
        for index in range(count):
            fields = view.unpack(segment, segments + index * segment.size)
            offset, length = (fields[2], fields[5]) if wide else (fields[1], fields[4])
            # What was split off as debug information keeps the segments of the program, and none of their bytes: its
            # sections explain it. Without sections every segment has to be there.
            if fields[0] != 0 and (offset + length <= view.size or not sections):
                spans.add(offset, length)
    need(bool(sections or segments), 16)
    for start, end in spans.holes():
        _left_behind(view, spans, start, end, section)
    # Segments contain sections. What no table names is padding; tools that move sections behind their table leave one
    # byte of it at the end.
    spans.tile(gap=None, overlap=True, last=int(spans.end() > table_end > 0))
    return Whole(CODE, _WORDS[kind])


def _left_behind(view: FileView, spans: Spans, start: int, end: int, section: Struct) -> None:
    """Take [start, end), which has to be a table of sections that was moved, with zeros around it.

    Tools that change the search path of a library write a new table at the end and leave the old one where it was.
    """
    wide = section.size == 64
    at = start + -start % (8 if wide else 4)
    need(view.zeros(start, at) and at + section.size <= end and view.zeros(at, at + section.size), start)
    first, at = at, at + section.size
    while at + section.size <= end:
        _, kind, flags, address, offset, length, link, info, align, entry = view.unpack(section, at)
        if kind == _NULL:
            break
        need(kind <= 0x7FFFFFFF and flags < 1 << 32 and address < 1 << 48 and link < 65536, at)
        need(kind == _NOBITS or offset + length <= view.size, at)
        need(not align & align - 1 and align <= 1 << 24 and entry <= 4096 and info < 1 << 31, at)
        at += section.size
    need(view.zeros(at, end), at)
    spans.add(first, at - first)


FORMS = (WholeFormat(((0, b"\x7fELF"),), holds),)
