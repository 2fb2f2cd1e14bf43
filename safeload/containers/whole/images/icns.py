"""Apple icons: elements that tile the file, each a picture or a mask."""

from __future__ import annotations

from safeload.containers.whole.interface import IMAGE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

# Names of pictures and masks, then of what describes them.
_NAMES = frozenset(
    b"ICON ICN# icm# icm4 icm8 ics# ics4 ics8 icl4 icl8 ich# ich4 ich8 is32 s8mk il32 l8mk ih32 h8mk it32 t8mk "
    b"icp4 icp5 icp6 ic04 ic05 ic07 ic08 ic09 ic10 ic11 ic12 ic13 ic14 icsb icsB sb24 SB24 "
    b"icnV name info sbtp slct".split()
) | {b"TOC "}


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(view.number(4, 4) == view.size and view.size > 16, 4)
    at = 8
    while at < view.size:
        view.step()
        length = view.number(at + 4, 4)
        need(length >= 8 and view.get(at, 4) in _NAMES, at)
        at += length
    need(at == view.size, at)
    return Whole(IMAGE, "Apple icon")


FORMS = (WholeFormat(((0, b"icns"),), holds),)
