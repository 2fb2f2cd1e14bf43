"""X.509 certificates, keys and the like in DER (ITU-T X.690): one sequence, tiled by its values, that is the file."""

from __future__ import annotations

from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_SEQUENCE, _CONSTRUCTED = 0x30, 0x20
# Boolean to sequence and set, without the reserved ones; then what is specific to its context.
_UNIVERSAL = frozenset({1, 2, 3, 4, 5, 6, 10, 12, 16, 17, 18, 19, 20, 22, 23, 24, 26, 27, 28, 30})
_FEWEST = 8


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    waiting, values, names = [(0, view.size)], 0, 0
    while waiting:
        at, end = waiting.pop()
        while at < end:
            view.step()
            tag = view.get(at, 1)[0]
            need(tag >> 6 in (0, 2) and tag & 31 != 31 and (tag >> 6 == 2 or tag & 31 in _UNIVERSAL), at)
            need(tag >> 6 == 2 or (tag & 31 in (16, 17)) == bool(tag & _CONSTRUCTED), at)
            start, stop = _content(view, at + 1)
            need(stop <= end and (values > 0 or (tag == _SEQUENCE and stop == view.size)), at)
            values += 1
            names += tag == 6
            if tag & _CONSTRUCTED:
                waiting.append((start, stop))
            at = stop
    # SECURITY: any bytes could hold a few such values by chance. A certificate has more, and names its algorithm.
    need(values >= _FEWEST and names > 0, 0)
    return Whole(DATA, "certificate")


def _content(view: FileView, at: int) -> tuple[int, int]:
    """Where the content begins and ends whose length is at `at`, in the shortest form."""
    first = view.get(at, 1)[0]
    if first < 0x80:
        return at + 1, at + 1 + first
    many = first & 0x7F
    need(1 <= many <= 4, at)
    length = view.number(at + 1, many)
    need(length >= 0x80 and length >> 8 * (many - 1) > 0, at)
    return at + 1 + many, at + 1 + many + length


FORMS = (WholeFormat(tuple((0, bytes((_SEQUENCE, 0x80 | many))) for many in (1, 2, 3)), holds),)
