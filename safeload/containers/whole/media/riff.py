"""RIFF (Microsoft, Multimedia Programming Interface 1.0): WAV, AVI, WebP, animated cursors. Chunks that tile it."""

from __future__ import annotations

import re
from typing import NamedTuple

from safeload.containers.whole.interface import AUDIO, IMAGE, VIDEO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_NAME = re.compile(rb"[A-Za-z0-9_\-]{1,4} {0,3}")
_WEBP = frozenset({b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "})


class _Kind(NamedTuple):
    """A form of RIFF: the chunks that it has to have, what it is, and the form that may follow it in one file."""

    needs: frozenset[bytes]
    whole: Whole
    then: bytes = b""


_KINDS = {
    b"WAVE": _Kind(frozenset({b"fmt ", b"data"}), Whole(AUDIO, "WAV audio")),
    b"AVI ": _Kind(frozenset({b"LIST"}), Whole(VIDEO, "AVI video"), b"AVIX"),
    b"AVIX": _Kind(frozenset({b"LIST"}), Whole(VIDEO, "AVI video"), b"AVIX"),
    b"WEBP": _Kind(frozenset(), Whole(IMAGE, "WebP image")),
    b"ACON": _Kind(frozenset({b"anih", b"LIST"}), Whole(IMAGE, "animated cursor")),
}


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    little = view.get(0, 4) == b"RIFF"
    form = view.get(8, 4)
    need(form in _KINDS and form != b"AVIX" and (little or form == b"WAVE"), 8)
    at = _form(view, 0, form, little)
    while at < view.size:
        need(bool(_KINDS[form].then) and view.get(at, 4) == b"RIFF", at)
        at = _form(view, at, _KINDS[form].then, little)
    return _KINDS[form].whole


def _form(view: FileView, at: int, form: bytes, little: bool) -> int:
    """Where the RIFF chunk at `at` ends."""
    need(view.get(at, 4) == (b"RIFF" if little else b"RIFX") and view.get(at + 8, 4) == form, at)
    end = at + 8 + view.number(at + 4, 4, little=little)
    need(end <= view.size, at)
    found: set[bytes] = set()
    place, lists = at + 12, [end]
    while True:
        while lists and place == lists[-1]:
            lists.pop()
        if not lists:
            break
        view.step()
        name = view.get(place, 4)
        need(place + 8 <= lists[-1] and bool(_NAME.fullmatch(name)), place)
        need(form != b"WEBP" or name in _WEBP, place)
        stop = place + 8 + view.number(place + 4, 4, little=little)
        need(stop <= lists[-1], place)
        found.add(name)
        # Chunks begin at even offsets. The byte before the next one belongs to neither; the last one may lack it.
        padded = stop
        if (stop - place) & 1 and stop < lists[-1]:
            padded += 1
            need(view.get(stop, 1) == b"\0", stop)
        if name == b"LIST" and form != b"WEBP" and padded == stop and stop - place >= 12:
            lists.append(stop)
            place += 12
            need(len(lists) <= 16, place)
        else:
            place = padded
    need(_KINDS[form].needs <= found and bool(found), at)
    if end < view.size and (end - at) & 1 and view.size == end + 1:
        need(view.get(end, 1) == b"\0", end)
        end += 1
    return end


FORMS = (
    WholeFormat(((0, b"RIFF"),), holds),
    WholeFormat(((0, b"RIFX"),), holds),
)
