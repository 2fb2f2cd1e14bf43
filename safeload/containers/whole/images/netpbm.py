"""Portable bitmaps, graymaps and pixmaps in their binary forms (Netpbm): sizes in text, and one raster of that size."""

from __future__ import annotations

import re

from safeload.containers.whole.interface import IMAGE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

_GAP = rb"(?:[ \t\r\n\v\f]|#[^\r\n]{0,200}[\r\n])+"
_SIZES = rb"%b([1-9][0-9]{0,6})%b([1-9][0-9]{0,6})" % (_GAP, _GAP)
_BITS = re.compile(rb"P4%b[ \t\r\n\v\f]" % _SIZES)
_SAMPLES = re.compile(rb"P([56])%b%b([1-9][0-9]{0,4})[ \t\r\n\v\f]" % (_SIZES, _GAP))
_HEAD = 1024


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    head = view.get(0, min(_HEAD, view.size))
    bits, samples = _BITS.match(head), _SAMPLES.match(head)
    if bits:
        end, raster = bits.end(), (int(bits[1]) + 7) // 8 * int(bits[2])
    elif samples:
        most = int(samples[4])
        need(most < 65536, 0)
        end = samples.end()
        raster = int(samples[2]) * int(samples[3]) * (3 if samples[1] == b"6" else 1) * (2 if most > 255 else 1)
    else:
        raise Malformed("the structure does not hold", offset=0)
    need(end + raster == view.size, end)
    return Whole(IMAGE, "Netpbm image")


FORMS = (WholeFormat(((0, b"P4"), (0, b"P5"), (0, b"P6")), holds),)
