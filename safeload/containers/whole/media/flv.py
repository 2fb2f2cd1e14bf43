"""Flash video (Adobe, Video File Format Specification 10.1): tags, each followed by its length."""

from __future__ import annotations

from safeload.containers.whole.interface import VIDEO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_SOUND, _PICTURE, _SCRIPT = 8, 9, 18


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(view.get(0, 4) == b"FLV\1" and view.get(4, 1)[0] & 0xFA == 0 and view.number(5, 4) == 9, 0)
    need(view.number(9, 4) == 0, 9)
    at = 13
    while at < view.size:
        view.step()
        head = view.get(at, 11)
        length = 11 + int.from_bytes(head[1:4], "big")
        need(head[0] in (_SOUND, _PICTURE, _SCRIPT) and head[8:11] == bytes(3), at)
        need(view.number(at + length, 4) == length, at)
        at += length + 4
    need(at > 13, at)
    return Whole(VIDEO, "Flash video")


FORMS = (WholeFormat(((0, b"FLV\1"),), holds),)
