"""AIFF, AIFF-C and 8SVX (EA IFF 85): chunks that tile the file. Sun audio: a header that says how long the sound is."""

from __future__ import annotations

import re

from safeload.containers.whole.interface import AUDIO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_NAME = re.compile(rb"[A-Za-z0-9(][A-Za-z0-9 ().]{3}")
_KINDS = {b"AIFF": {b"COMM", b"SSND"}, b"AIFC": {b"COMM", b"SSND"}, b"8SVX": {b"VHDR", b"BODY"}}


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    form = view.get(8, 4)
    need(form in _KINDS and view.number(4, 4) == view.size - 8, 4)
    at, found = 12, set[bytes]()
    while at < view.size:
        view.step()
        name = view.get(at, 4)
        need(bool(_NAME.fullmatch(name)), at)
        found.add(name)
        at += 8 + view.number(at + 4, 4)
        # Chunks begin at even offsets. The last one may lack the byte that makes it even.
        if at & 1 and at < view.size:
            need(view.get(at, 1) == b"\0", at)
            at += 1
    need(at == view.size and _KINDS[form] <= found, at)
    return Whole(AUDIO, "AIFF audio" if form != b"8SVX" else "8SVX audio")


def sun(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    start, length = view.number(4, 4), view.number(8, 4)
    # SECURITY: a header without a length means "up to the end of the file": anything could be appended.
    need(start >= 24 and start + length == view.size and 0 < view.number(12, 4) <= 27, 4)
    need(view.number(16, 4) > 0 and view.number(20, 4) > 0, 16)
    return Whole(AUDIO, "Sun audio")


FORMS = (
    WholeFormat(((0, b"FORM"),), holds),
    WholeFormat(((0, b".snd"),), sun),
)
