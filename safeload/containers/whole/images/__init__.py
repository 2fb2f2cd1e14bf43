"""Pictures, one format a file."""

from __future__ import annotations

from safeload.containers.whole.images import bitmap, gif, icns, jpeg, netpbm, png, tiff
from safeload.containers.whole.interface import WholeFormat

FORMS: tuple[WholeFormat, ...] = (
    *png.FORMS,
    *jpeg.FORMS,
    *gif.FORMS,
    *bitmap.FORMS,
    *tiff.FORMS,
    *icns.FORMS,
    *netpbm.FORMS,
)
