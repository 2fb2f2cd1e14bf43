"""TIFF 6.0 and BigTIFF: every byte belongs to the header, a directory, a value, a strip or a tile."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import IMAGE, Spans, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

# Bytes of one value, by the number of its type.
_TYPES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_WHOLE = frozenset({3, 4, 13, 16, 18})
# Tags whose values are offsets, with the tag of the lengths: strips, free ranges, tiles, an old JPEG stream.
_RANGES = {273: 279, 288: 289, 324: 325, 513: 514}
# Tags whose values are offsets of further directories: parts of a picture, EXIF, GPS, EXIF's own.
_DIRECTORIES = (330, 34665, 34853, 40965)


class _Tiff:
    """One file: its byte order, the sizes of its numbers, and the parts found."""

    def __init__(self, view: FileView) -> None:
        self.view = view
        order = {b"II": "<", b"MM": ">"}.get(view.get(0, 2), "")
        need(bool(order), 0)
        self.little = order == "<"
        version = self.number(2, 2)
        need(version in (42, 43), 2)
        self.big = version == 43
        self.wide = 8 if self.big else 4
        self.entry = Struct(order + ("HHQ" if self.big else "HHI"))
        self.spans = Spans(view)
        self.spans.add(0, 16 if self.big else 8)
        if self.big:
            need(self.number(4, 2) == 8 and self.number(6, 2) == 0, 4)
        self.first = self.number(8 if self.big else 4, self.wide)

    def number(self, offset: int, length: int) -> int:
        return self.view.number(offset, length, little=self.little)

    def value(self, data: bytes) -> int:
        return int.from_bytes(data, "little" if self.little else "big")

    def directory(self, at: int) -> list[int]:
        """Take the directory at `at`; returns the offsets of those that it names."""
        view, wide = self.view, self.wide
        count_bytes = 8 if self.big else 2
        count = self.number(at, count_bytes)
        record = self.entry.size + wide
        need(0 < count <= 65535, at)
        self.spans.add(at, count_bytes + count * record + wide)
        values: dict[int, list[int]] = {}
        place = at + count_bytes
        for number in range(count):
            where = place + number * record
            tag, kind, many = view.unpack(self.entry, where)
            need(kind in _TYPES, where)
            length = _TYPES[kind] * many
            start = where + self.entry.size
            if length > wide:
                start = self.number(start, wide)
                self.spans.add(start, length)
            if tag in _RANGES or tag in _RANGES.values() or tag in _DIRECTORIES:
                need(kind in _WHOLE and tag not in values, where)
                view.step(many)
                size = _TYPES[kind]
                data = view.get(start, length)
                values[tag] = [self.value(data[i : i + size]) for i in range(0, length, size)]
        for offsets, lengths in _RANGES.items():
            need((offsets in values) == (lengths in values), at)
            if offsets in values:
                need(len(values[offsets]) == len(values[lengths]), at)
                for start, length in zip(values[offsets], values[lengths], strict=True):
                    self.spans.add(start, length)
        follow = [offset for tag in _DIRECTORIES for offset in values.get(tag, ())]
        return [*follow, self.number(place + count * record, wide)]


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    tiff = _Tiff(view)
    waiting, done = [tiff.first], set[int]()
    need(tiff.first != 0, 4)
    while waiting:
        at = waiting.pop()
        if at and at not in done:
            done.add(at)
            waiting += tiff.directory(at)
    # Offsets are even: a zero byte may stand before any part; larger words are aligned to four.
    tiff.spans.tile(gap=3)
    return Whole(IMAGE, "TIFF image")


FORMS = (WholeFormat(((0, b"II\x2a\0"), (0, b"MM\0\x2a"), (0, b"II\x2b\0"), (0, b"MM\0\x2b")), holds),)
