"""PNG and APNG (W3C, Portable Network Graphics, third edition): chunks with CRC, and a picture of the size told."""

from __future__ import annotations

import re
from struct import Struct

from safeload.containers.whole.inflated import ZlibStream
from safeload.containers.whole.interface import IMAGE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEAD = Struct(">I4s")
_SIZES = Struct(">IIBBBBB")
_TYPE = re.compile(rb"[A-Za-z]{2}[A-Z][A-Za-z]")

# Bit depths that a colour type may have, and its samples for each pixel.
_COLOURS = {
    0: ((1, 2, 4, 8, 16), 1),
    2: ((8, 16), 3),
    3: ((1, 2, 4, 8), 1),
    4: ((8, 16), 2),
    6: ((8, 16), 4),
}
# Adam7: first column, first row, columns between, rows between.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(view.get(0, 8) == SIGNATURE, 0)
    pixels = ZlibStream(view, _raw_size(view, 8))
    at, number, data_ended, data_began = 8, 0, False, False
    while True:
        view.step()
        length, name = view.unpack(_HEAD, at)
        end = at + 8 + length
        need(bool(_TYPE.fullmatch(name)) and (number == 0) == (name == b"IHDR"), at)
        need(view.crc32(at + 4, end) == view.number(end, 4), end)
        if name == b"IDAT":
            need(not data_ended, at)
            data_began = True
            for _, piece in view.runs(at + 8, end):
                pixels.feed(piece, at)
        elif data_began:
            data_ended = True
        at, number = end + 4, number + 1
        if name == b"IEND":
            break
    need(length == 0 and at == view.size and data_began, at)
    pixels.close(at)
    return Whole(IMAGE, "PNG image")


def _raw_size(view: FileView, at: int) -> int:
    """How many bytes the picture has once it is inflated."""
    need(view.number(at, 4) == 13, at)
    width, height, depth, colour, method, filters, interlace = view.unpack(_SIZES, at + 8)
    depths, samples = _COLOURS.get(colour, ((), 0))
    need(0 < width < 1 << 31 and 0 < height < 1 << 31 and depth in depths, at)
    need(method == 0 and filters == 0 and interlace in (0, 1), at)
    total = 0
    for column, row, across, down in _PASSES if interlace else ((0, 0, 1, 1),):
        columns, rows = -(-(width - column) // across), -(-(height - row) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + (columns * samples * depth + 7) // 8)
    return total


FORMS = (WholeFormat(((0, SIGNATURE),), holds),)
