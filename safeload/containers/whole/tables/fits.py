"""FITS (IAU, Flexible Image Transport System 4.0): blocks of 2880 bytes, headers of text and the numbers they tell."""

from __future__ import annotations

import math
import re

from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_BLOCK, _CARD = 2880, 80
_FIRST, _NEXT = b"SIMPLE  =                    T", b"XTENSION= '"
_TEXT = re.compile(rb"[ -~]*")
_NUMBER = re.compile(rb"(BITPIX|NAXIS|NAXIS[1-9][0-9]{0,2}|PCOUNT|GCOUNT) *= +(-?[0-9]{1,18}) *(/.*)?")
_END = b"END".ljust(_CARD)
_BITS = (8, 16, 32, 64, -32, -64)


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    at = 0
    need(view.size % _BLOCK == 0, view.size)
    while at < view.size:
        start = at
        need(view.get(at, len(_NEXT)).startswith(_NEXT if at else _FIRST[: len(_NEXT)]), at)
        numbers: dict[bytes, int] = {}
        blank = b" " if at and view.get(at + len(_NEXT), 8) == b"TABLE   " else b"\0"
        groups = False
        while True:
            view.step()
            card = view.get(at, _CARD)
            need(bool(_TEXT.fullmatch(card)), at)
            at += _CARD
            if card == _END:
                break
            found = _NUMBER.fullmatch(card)
            if found:
                numbers.setdefault(found[1], int(found[2]))
            groups = groups or card.startswith(b"GROUPS  =                    T")
        padded = -(-at // _BLOCK) * _BLOCK
        need(view.get(at, padded - at).count(b" ") == padded - at, at)
        at = padded + _length(numbers, groups, start)
        padded = -(-at // _BLOCK) * _BLOCK
        need(padded <= view.size and view.get(at, padded - at).count(blank) == padded - at, at)
        at = padded
    return Whole(DATA, "FITS data")


def _length(numbers: dict[bytes, int], groups: bool, at: int) -> int:
    """How many bytes of numbers follow a header."""
    axes = numbers.get(b"NAXIS", -1)
    need(numbers.get(b"BITPIX", 0) in _BITS and 0 <= axes <= 999, at)
    lengths = [numbers.get(b"NAXIS%d" % number, -1) for number in range(1, axes + 1)]
    need(all(length >= 0 for length in lengths), at)
    if groups and lengths[:1] == [0]:
        del lengths[0]
    many, more = numbers.get(b"GCOUNT", 1), numbers.get(b"PCOUNT", 0)
    need(many >= 0 and more >= 0, at)
    values = many * (more + math.prod(lengths)) if axes else 0
    return values * abs(numbers[b"BITPIX"]) // 8


FORMS = (WholeFormat(((0, _FIRST),), holds),)
