"""JPEG (ITU-T T.81): segments and entropy-coded data up to EOI; several pictures one behind the other (CIPA DC-007)."""

from __future__ import annotations

import re

from safeload.containers.whole.interface import IMAGE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_START = b"\xff\xd8\xff"
# In coded data 0xFF is followed by 0 (stuffing), a restart marker or another 0xFF (fill); else a marker begins.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_FILL = re.compile(rb"[^\xff]")

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF})
# Frames, Huffman and arithmetic tables, then quantization to expansion, applications, comment.
_SEGMENTS = _FRAMES | {0xC4, 0xCC} | frozenset(range(0xDB, 0xE0)) | frozenset(range(0xE0, 0xF0)) | {0xFE}


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    at = _picture(view, 0)
    # A writer may fill up to a multiple of four; that is no part of a picture, and nothing but zeros.
    while at < view.size and not (view.size % 4 == 0 and view.size - at < 4 and view.zeros(at, view.size)):
        at = _picture(view, at)
    return Whole(IMAGE, "JPEG image")


def _picture(view: FileView, at: int) -> int:
    """Where the picture at `at` ends."""
    need(view.get(at, 2) == b"\xff\xd8", at)
    at += 2
    frame = scan = False
    while True:
        view.step()
        need(view.get(at, 1) == b"\xff", at)
        at = view.search(_FILL, 1, at)
        need(at >= 0, view.size)
        code = view.get(at, 1)[0]
        at += 1
        if code == _EOI:
            need(frame and scan, at)
            return at
        need(code == _SOS or code in _SEGMENTS, at)
        length = view.number(at, 2)
        need(length >= 2 and at + length <= view.size, at)
        if code in _FRAMES:
            need(length == 8 + 3 * view.get(at + 7, 1)[0], at)
            frame = True
        start, at = at, at + length
        if code == _SOS:
            need(frame and length == 6 + 2 * view.get(start + 2, 1)[0], at)
            scan = True
            at = view.search(_MARKER, 2, at)
            need(at >= 0, view.size)


FORMS = (WholeFormat(((0, _START),), holds),)
