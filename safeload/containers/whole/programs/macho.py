"""Mach-O and universal binaries (Apple, mach-o/loader.h and fat.h): load commands explain every byte."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import CODE, Spans, Whole, WholeFormat, need
from safeload.containers.whole.programs import ar
from safeload.containers.whole.view import FileView

_WORDS = {
    1: "object file",
    2: "program",
    6: "shared library",
    7: "dynamic linker",
    8: "shared library",
    10: "debug symbols",
}
_SEGMENT, _SYMTAB, _DYSYMTAB, _SEGMENT_64 = 0x1, 0x2, 0xB, 0x19
_INFO = frozenset({0x22, 0x80000022})
# Commands that name one range: signature, split info, function starts, code and linker hints, exports, fix-ups.
_DATA = frozenset({0x1D, 0x1E, 0x26, 0x29, 0x2B, 0x2E, 0x80000033, 0x80000034})
_MAGICS = {
    b"\xce\xfa\xed\xfe": ("<", 0),
    b"\xcf\xfa\xed\xfe": ("<", 1),
    b"\xfe\xed\xfa\xce": (">", 0),
    b"\xfe\xed\xfa\xcf": (">", 1),
}
_FAT = b"\xca\xfe\xba\xbe"
_FAT_64 = b"\xca\xfe\xba\xbf"
# A Java class has the same first bytes, and its version, 45 or more, where the count of architectures is.
_MOST_ARCHITECTURES = 30


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    magic = view.get(0, 4)
    need(magic in _MAGICS, 0)
    order, wide = _MAGICS[magic]
    _, _, kind, count, length, _ = view.unpack(Struct(order + "IIIIII"), 4)
    need(kind in _WORDS, 12)
    spans = Spans(view)
    at = 32 if wide else 28
    end = at + length
    spans.add(0, end)
    command = Struct(order + "II")
    for _ in range(count):
        name, size = view.unpack(command, at)
        need(size >= 8 and size % 4 == 0 and at + size <= end, at)
        _command(view, view.part(at, size), name, order, spans)
        at += size
    need(at == end, at)
    # Link information lies in a segment of its own, in object files it does not.
    spans.tile(gap=None, overlap=True)
    return Whole(CODE, _WORDS[kind])


def _command(view: FileView, part: FileView, name: int, order: str, spans: Spans) -> None:
    """Take what one load command names."""
    if name in (_SEGMENT, _SEGMENT_64):
        wide = name == _SEGMENT_64
        head = Struct(order + ("16sQQQQIIII" if wide else "16sIIIIIIII"))
        fields = part.unpack(head, 8)
        offset, length, count = fields[3], fields[4], fields[7]
        spans.add(offset, length)
        section = Struct(order + ("16s16sQQIIIIIIII" if wide else "16s16sIIIIIIIII"))
        need(8 + head.size + count * section.size == part.size, 0)
        for number in range(count):
            fields = part.unpack(section, 8 + head.size + number * section.size)
            spans.add(fields[6], 8 * fields[7])
    elif name == _SYMTAB:
        symbols, count, names, length = part.unpack(Struct(order + "IIII"), 8)
        spans.add(symbols, count * (16 if view.get(0, 1) == b"\xcf" or view.get(3, 1) == b"\xcf" else 12))
        spans.add(names, length)
    elif name == _DYSYMTAB:
        fields = part.unpack(Struct(order + "18I"), 8)
        spans.add(fields[12], 4 * fields[13])
        for index, size in ((14, 8), (16, 8)):
            spans.add(fields[index], size * fields[index + 1])
    elif name in _INFO:
        fields = part.unpack(Struct(order + "10I"), 8)
        for index in range(0, 10, 2):
            spans.add(fields[index], fields[index + 1])
    elif name in _DATA:
        spans.add(*part.unpack(Struct(order + "II"), 8))


def fat(view: FileView) -> Whole:
    """See `WholeFormat.holds`: several programs in one file, each for another processor."""
    wide = view.get(0, 4) == _FAT_64
    count = view.number(4, 4)
    need(0 < count <= _MOST_ARCHITECTURES, 4)
    record = Struct(">IIQQII" if wide else ">IIIII")
    spans = Spans(view)
    spans.add(0, 8 + count * record.size)
    what = set()
    for number in range(count):
        fields = view.unpack(record, 8 + number * record.size)
        spans.add(fields[2], fields[3])
        part = view.part(fields[2], fields[3])
        what.add((ar.holds if part.get(0, 8) == ar.MAGIC else holds)(part).what)
    spans.tile(gap=None)
    return Whole(CODE, what.pop() if len(what) == 1 else "program")


FORMS = (
    WholeFormat(tuple((0, magic) for magic in _MAGICS), holds),
    WholeFormat(((0, _FAT + b"\0\0\0"), (0, _FAT_64 + b"\0\0\0")), fat),
)
