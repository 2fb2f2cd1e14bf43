"""RF64 (EBU Tech 3306): WAV audio whose sizes stand in a chunk of their own. Chunks that tile it."""

from __future__ import annotations

import re
from struct import Struct

from safeload.containers.whole.interface import AUDIO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

MAGIC = b"RF64\xff\xff\xff\xffWAVEds64"
_SIZES = Struct("<IQQQI")
_NAME = re.compile(rb"[A-Za-z0-9_\-]{1,4} {0,3}")
_ELSEWHERE = 0xFFFFFFFF


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    length, whole, data, _, more = view.unpack(_SIZES, len(MAGIC))
    # A table of more sizes is for chunks beyond 4 GB that are not the sound.
    need(length == _SIZES.size - 4 and more == 0 and whole + 8 == view.size, len(MAGIC))
    at, found = len(MAGIC) + _SIZES.size, set()
    while at < view.size:
        view.step()
        name, size = view.get(at, 4), view.number(at + 4, 4, little=True)
        need(bool(_NAME.fullmatch(name)), at)
        if name == b"data":
            need(size in (data, _ELSEWHERE), at)
            size = data
        found.add(name)
        end = at + 8 + size
        at = end + size % 2
        need(at <= view.size and view.zeros(end, at), end)
    need({b"fmt ", b"data"} <= found, at)
    return Whole(AUDIO, "WAV audio")


FORMS = (WholeFormat(((0, MAGIC),), holds),)
