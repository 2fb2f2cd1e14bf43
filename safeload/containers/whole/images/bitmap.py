"""Windows bitmaps, and the icons and cursors made of them: sizes that say where every byte belongs."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.images import png
from safeload.containers.whole.interface import IMAGE, Spans, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_FILE = Struct("<2sIHHI")
_OLD = Struct("<IHHHH")
_INFO = Struct("<IiiHHIIiiII")
_PROFILE = Struct("<II")
_LIST = Struct("<HHH")
_ENTRY = Struct("<BBBBHHII")

_SIZES = frozenset({12, 40, 52, 56, 64, 108, 124})
_BITS = frozenset({1, 2, 4, 8, 16, 24, 32})
# Compressions: none, two kinds of run length, bit fields, bit fields with alpha.
_NONE, _RLE8, _RLE4, _FIELDS, _ALPHA = 0, 1, 2, 3, 6


def bmp(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    magic, size, first, second, pixels = view.unpack(_FILE, 0)
    need(magic == b"BM" and size == view.size and first == 0 and second == 0, 0)
    header = view.number(14, 4, little=True)
    need(header in _SIZES, 14)
    spans = Spans(view)
    spans.add(0, 14)
    if header == 12:
        _, width, height, planes, bits = view.unpack(_OLD, 14)
        compression, stored, used, entry = _NONE, 0, 0, 3
    else:
        _, width, height, planes, bits, compression, stored, _, _, used, _ = view.unpack(_INFO, 14)
        entry = 4
    need(planes == 1 and bits in _BITS and width > 0 and height != 0, 14)
    masks = {_FIELDS: 12, _ALPHA: 16}.get(compression, 0) if header == 40 else 0
    # A true-colour bitmap may carry a palette as well: a hint for old displays.
    colours = used or (1 << bits if bits <= 8 else 0)
    spans.add(14, header + masks + colours * entry)
    if compression in (_NONE, _FIELDS, _ALPHA):
        length = _row(width, bits) * abs(height)
        need(stored in (0, length), 14)
    else:
        need((compression, bits) in ((_RLE8, 8), (_RLE4, 4)) and stored > 0, 14)
        length = stored
    spans.add(pixels, length)
    if header == 124:
        offset, profile = view.unpack(_PROFILE, 14 + 112)
        if profile:
            spans.add(14 + offset, profile)
    spans.tile(gap=3, last=0)
    return Whole(IMAGE, "BMP image")


def _row(width: int, bits: int) -> int:
    return (width * bits + 31) // 32 * 4


def icon(view: FileView) -> Whole:
    """See `WholeFormat.holds`: icons and cursors."""
    zero, kind, count = view.unpack(_LIST, 0)
    # SECURITY: with 256 pictures these bytes are the beginning of an LZMA stream as well.
    need(zero == 0 and kind in (1, 2) and 0 < count < 256, 0)
    spans = Spans(view)
    spans.add(0, 6 + 16 * count)
    for number in range(count):
        _, _, _, reserved, _, _, length, offset = view.unpack(_ENTRY, 6 + 16 * number)
        need(reserved in (0, 255), offset)
        spans.add(offset, length)
        part = view.part(offset, length)
        if part.get(0, min(8, length)) == png.SIGNATURE:
            png.holds(part)
        else:
            _without_file_header(part)
    spans.tile(gap=0)
    return Whole(IMAGE, "Windows icon" if kind == 1 else "Windows cursor")


def _without_file_header(view: FileView) -> None:
    """The bitmap of an icon. Its header states twice the height, because the mask follows the picture."""
    header, width, height, planes, bits, compression, _, _, _, used, _ = view.unpack(_INFO, 0)
    need(header == 40 and planes == 1 and bits in _BITS and compression == _NONE, 0)
    need(width > 0 and height > 0 and height % 2 == 0, 0)
    colours = used or (1 << bits if bits <= 8 else 0)
    rows = height // 2
    expected = 40 + colours * 4 + rows * _row(width, bits)
    # The mask of a picture with alpha is left out by some programs.
    need(view.size == expected + rows * _row(width, 1) or (bits == 32 and view.size == expected), view.size)


FORMS = (
    WholeFormat(((0, b"BM"),), bmp),
    WholeFormat(((0, b"\0\0\1\0"), (0, b"\0\0\2\0")), icon),
)
