"""Compiled Python modules of CPython 3.8 to 3.14 (Lib/importlib/_bootstrap_external.py): a header and one code object.

The marshal stream is walked here and never loaded: what matters is where it ends.
"""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import CODE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

# MAGIC_NUMBER of the last release of each version, with its minor number.
_MAGICS = {3413: 8, 3425: 9, 3439: 10, 3495: 11, 3531: 12, 3571: 13, 3627: 14}
# Invalidated by time, by hash, by hash that is compared with the source.
_FLAGS = (0, 1, 3)
_HEADER = 16


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(view.number(4, 4, little=True) in _FLAGS, 4)
    data = view.get(0, view.size)
    need(len(data) > _HEADER and data[_HEADER] & 0x7F == ord("c"), _HEADER)
    end = walk(view, data, _HEADER, _MAGICS[view.number(0, 2, little=True)])
    need(end == view.size, end)
    return Whole(CODE, "compiled Python module")


# Python/marshal.c. Bytes behind the type: of a fixed count, with a length of 4 bytes or 1 before them.
_FIXED = {ord("i"): 4, ord("g"): 8, ord("y"): 16}
_LONG = frozenset(b"sutaA")
_SHORT = frozenset(b"zZf")
_SINGLE = frozenset(b"NFTS.")
_ROWS = frozenset(b"([<>")
_REF, _TUPLE, _DICT, _CODE, _INTEGER, _COMPLEX, _SLICE, _NULL = b"r){clx:0"
_UINT = Struct("<I")
_INT = Struct("<i")

# What waits on the stack is a count of objects, or one of these.
_NUMBER, _KEY, _VALUE = -1, -2, -3
# marshal.c stops at 2000 containers; a code object takes three places here.
_DEPTH = 6000
_TURNS = 1 << 16


def walk(view: FileView, data: bytes, at: int, minor: int) -> int:
    """Where the object at `at` of a marshal stream of Python 3.`minor` ends. Raises Malformed."""
    try:
        return _walk(view, data, at, minor)
    except (IndexError, OverflowError) as error:
        # `data[at]` behind the end: Struct has its own exception, and every length is compared first.
        raise Malformed("the stream ends inside an object", offset=len(data)) from error


def _walk(view: FileView, data: bytes, at: int, minor: int) -> int:
    waiting, references, turns, size = [1], 0, 0, len(data)
    numbers, tail = (24, 1) if minor < 11 else (20, 2)
    while waiting:
        turns += 1
        if not turns & _TURNS - 1:
            view.step(_TURNS)
        top = waiting[-1]
        if top > 0:
            waiting[-1] = top - 1
        elif top < _NUMBER:
            waiting[-1] = _KEY + _VALUE - top
        else:
            at += 4 if top else 0
            waiting.pop()
            continue
        kind = data[at]
        at += 1
        if kind == _REF:
            need(_u32(data, at) < references, at)
            at += 4
            continue
        if kind & 0x80:
            kind &= 0x7F
            references += 1
            need(kind not in _SINGLE and kind != _REF, at)
        if kind in _SHORT:
            at += 1 + data[at]
        elif kind in _LONG:
            at += 4 + _u32(data, at)
        elif kind == _TUPLE:
            waiting.append(data[at])
            at += 1
        elif kind in _SINGLE:
            continue
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind == _CODE:
            at += numbers
            waiting += (tail, _NUMBER, 8)
        elif kind in _ROWS:
            waiting.append(_u32(data, at))
            at += 4
        elif kind in (_INTEGER, _COMPLEX):
            at = _number(data, at, kind)
        elif kind == _DICT:
            waiting.append(_KEY)
        elif kind == _NULL:
            # In place of a key it ends a dict; it stands nowhere else.
            need(top == _KEY, at)
            waiting.pop()
        else:
            need(kind == _SLICE and minor >= 14, at)
            waiting.append(3)
        if len(waiting) > _DEPTH:
            raise Malformed("the structure does not hold", offset=at)
    # Behind the end of the data no byte was looked at: `data[at]` raises there.
    need(at <= size, at)
    view.step(turns & _TURNS - 1)
    return at


def _number(data: bytes, at: int, kind: int) -> int:
    """Where a whole number of any size, or a complex one in text, ends."""
    if kind == _COMPLEX:
        at += 1 + data[at]
        return at + 1 + data[at]
    need(at + 4 <= len(data), at)
    digits: int = _INT.unpack_from(data, at)[0]
    return at + 4 + 2 * abs(digits)


def _u32(data: bytes, at: int) -> int:
    need(at + 4 <= len(data), at)
    value: int = _UINT.unpack_from(data, at)[0]
    # Lengths and counts are signed; so is the number of a reference.
    need(value < 1 << 31, at)
    return value


FORMS = (WholeFormat(tuple((0, magic.to_bytes(2, "little") + b"\r\n") for magic in _MAGICS), holds),)
