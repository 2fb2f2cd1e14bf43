"""MATLAB variables, level 4 (MathWorks, MAT-File Format, chapter 2): matrices in a row, each with a name."""

from __future__ import annotations

import re
from struct import Struct

from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

# How a number is stored -> bytes; what a matrix is: numbers, text, or sparse.
_SIZES = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
_CLASSES = (0, 1, 2)
_LITTLE = {10 * stored + what: _SIZES[stored] for stored in _SIZES for what in _CLASSES}
_BIG = {1000 + kind: size for kind, size in _LITTLE.items()}
# SECURITY: the format has no magic number. Only the names of its matrices tell it from other bytes.
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]{0,62}\0")


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    little = view.number(0, 4, little=True) in _LITTLE
    kinds, head = (_LITTLE, Struct("<5I")) if little else (_BIG, Struct(">5I"))
    at = 0
    while at < view.size:
        view.step()
        kind, rows, columns, imaginary, length = view.unpack(head, at)
        need(kind in kinds and imaginary in (0, 1) and 2 <= length <= 64, at)
        at += head.size
        need(bool(_NAME.fullmatch(view.get(at, length))), at)
        at += length + rows * columns * kinds[kind] * (1 + imaginary)
        need(at <= view.size, at)
    return Whole(DATA, "MATLAB data")


FORMS = (
    WholeFormat(
        (
            *((0, kind.to_bytes(4, "little")) for kind in _LITTLE),
            *((0, kind.to_bytes(4, "big")) for kind in _BIG),
        ),
        holds,
    ),
)
