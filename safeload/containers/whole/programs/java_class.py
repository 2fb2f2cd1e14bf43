"""Java classes (The Java Virtual Machine Specification, chapter 4): constants, fields, methods, attributes."""

from __future__ import annotations

from safeload.containers.whole.interface import CODE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

# Bytes of a constant behind its tag; text has its length.
_CONSTANTS = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
_TEXT, _WIDE = 1, (5, 6)


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(45 <= view.number(6, 2) <= 80, 6)
    at, left = 10, view.number(8, 2) - 1
    while left > 0:
        view.step()
        tag = view.get(at, 1)[0]
        if tag == _TEXT:
            at += 3 + view.number(at + 1, 2)
        else:
            need(tag in _CONSTANTS, at)
            at += 1 + _CONSTANTS[tag]
        left -= 2 if tag in _WIDE else 1
    need(left == 0, at)
    at += 6
    at += 2 + 2 * view.number(at, 2)
    for _ in ("fields", "methods"):
        count = view.number(at, 2)
        at += 2
        for _ in range(count):
            at = _attributes(view, at + 6)
    at = _attributes(view, at)
    need(at == view.size, at)
    return Whole(CODE, "Java class")


def _attributes(view: FileView, at: int) -> int:
    """Where the attributes end whose count is at `at`."""
    count = view.number(at, 2)
    at += 2
    for _ in range(count):
        view.step()
        at += 6 + view.number(at + 2, 4)
    return at


FORMS = (WholeFormat(((0, b"\xca\xfe\xba\xbe"),), holds),)
