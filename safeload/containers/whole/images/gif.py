"""GIF 87a and 89a: blocks of sub-blocks up to the trailer."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import IMAGE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_SCREEN = Struct("<6sHHBBB")
_PLACE = Struct("<HHHHB")
# Graphic control, comment, plain text, application: only these extensions are in the specification.
_EXTENSIONS = frozenset({0xF9, 0xFE, 0x01, 0xFF})


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    magic, _, _, packed, _, _ = view.unpack(_SCREEN, 0)
    need(magic in (b"GIF87a", b"GIF89a"), 0)
    at, pictures = 13 + _colours(packed), 0
    while True:
        kind = view.get(at, 1)[0]
        at += 1
        if kind == 0x3B:
            break
        if kind == 0x21:
            need(view.get(at, 1)[0] in _EXTENSIONS, at)
            at = _blocks(view, at + 1)
        else:
            need(kind == 0x2C, at)
            packed = view.unpack(_PLACE, at)[4]
            at += 9 + _colours(packed)
            need(1 <= view.get(at, 1)[0] <= 11, at)
            at = _blocks(view, at + 1)
            pictures += 1
    need(at == view.size and pictures > 0, at)
    return Whole(IMAGE, "GIF image")


def _colours(packed: int) -> int:
    """Bytes of the colour table that these flags announce."""
    return 3 << (packed & 7) + 1 if packed & 0x80 else 0


def _blocks(view: FileView, at: int) -> int:
    """Where the run of sub-blocks at `at` ends."""
    while True:
        view.step()
        length = view.get(at, 1)[0]
        at += 1 + length
        if not length:
            return at


FORMS = (WholeFormat(((0, b"GIF87a"), (0, b"GIF89a")), holds),)
