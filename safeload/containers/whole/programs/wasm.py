"""WebAssembly modules (W3C, WebAssembly Core Specification): sections that tile the file, in their order."""

from __future__ import annotations

from safeload.containers.whole.interface import CODE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

# Order of the sections by number; number 0, custom, may stand anywhere. Tags (13) and data counts (12) came later.
_ORDER = {number: place for place, number in enumerate((1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11))}


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    at, last = 8, -1
    while at < view.size:
        view.step()
        number = view.get(at, 1)[0]
        length, at = _leb(view, at + 1)
        if number:
            need(_ORDER.get(number, -1) > last, at)
            last = _ORDER[number]
        else:
            name, start = _leb(view, at)
            need(start + name <= at + length, at)
        at += length
    need(at == view.size and last >= 0, at)
    return Whole(CODE, "WebAssembly module")


def _leb(view: FileView, at: int) -> tuple[int, int]:
    """An unsigned LEB128 of 32 bits and where it ends."""
    value = 0
    for number in range(5):
        byte = view.get(at + number, 1)[0]
        value |= (byte & 0x7F) << 7 * number
        if byte < 0x80:
            need(value < 1 << 32, at)
            return value, at + number + 1
    raise Malformed("the structure does not hold", offset=at)


FORMS = (WholeFormat(((0, b"\0asm\1\0\0\0"),), holds),)
