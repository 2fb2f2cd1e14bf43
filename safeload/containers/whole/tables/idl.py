"""What IDL saved: records, compressed or not, each of which says where the next one is, up to the mark of the end.

Not documented by its maker; the records are as its readers found them. One that holds compiled routines is not taken.
"""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.inflated import ZlibStream
from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

MAGIC, _PACKED = b"SR\0\4", b"SR\0\6"
_HEAD = Struct(">IIII")
_TIME, _END = 10, 6
_DATA_KINDS = frozenset({1, 2, 3, 10, 13, 14, 15, 16, 17, 19, 20})


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    packed = view.get(0, 4) == _PACKED
    at = 4
    while True:
        view.step()
        kind, low, high, _ = view.unpack(_HEAD, at)
        start, end = at + _HEAD.size, high << 32 | low
        if kind == _END:
            break
        need(kind in _DATA_KINDS and (kind == _TIME or at > 4), at)
        need(start <= end <= view.size, at)
        if packed:
            stream = ZlibStream(view, None)
            for place, piece in view.runs(start, end):
                stream.feed(piece, place)
            stream.close(end)
        at = end
    need(at > 4 and start == view.size, at)
    return Whole(DATA, "IDL data")


FORMS = (WholeFormat(((0, MAGIC), (0, _PACKED)), holds),)
