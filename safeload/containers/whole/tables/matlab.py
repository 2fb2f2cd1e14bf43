"""MATLAB variables, level 5 (MathWorks, MAT-File Format, chapter 1): elements that tile it, compressed or not.

The HDF5 form of the same (level 7.3) begins with other bytes, and is for the reader of HDF5.
"""

from __future__ import annotations

import zlib
from struct import Struct

from safeload.containers.whole.inflated import ZlibStream
from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

MAGIC = b"MATLAB 5.0 MAT-file"
_HEADER, _TEXT = 128, 116
_ORDERS = {b"\0\1IM": "<", b"\1\0MI": ">"}
_MATRIX, _COMPRESSED = 14, 15
# Numbers, then text in UTF-8, -16 and -32.
_PLAIN = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18})
_FLAGS, _FLAGS_BYTES, _CLASSES = 6, 8, range(1, 19)
_DEEPEST = 64


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    order = _ORDERS.get(view.get(_HEADER - 4, 4), "")
    need(order != "" and b"\0" not in view.get(0, len(MAGIC)), _HEADER - 4)
    need(not any(byte < 32 and byte not in (0, 9, 10, 13) for byte in view.get(0, _TEXT)), 0)
    tag = Struct(order + "II")
    at = _HEADER
    need(at < view.size, at)
    while at < view.size:
        view.step()
        kind, length = view.unpack(tag, at)
        end = at + 8 + length
        need(kind in (_MATRIX, _COMPRESSED) and end <= view.size, at)
        if kind == _COMPRESSED:
            _compressed(view, at + 8, end, tag)
        else:
            _matrix(view.part(at + 8, length), tag)
        at = end
    return Whole(DATA, "MATLAB data")


def _compressed(view: FileView, at: int, end: int, tag: Struct) -> None:
    """Hold the stream in [at, end) to the one matrix that it says it is."""
    opened = zlib.decompressobj()
    try:
        kind, length = tag.unpack(opened.decompress(view.get(at, min(end - at, 256)), tag.size).ljust(tag.size, b"\0"))
    except zlib.error as error:
        raise Malformed(f"a stream does not inflate: {error}", offset=at) from error
    need(kind == _MATRIX, at)
    stream = ZlibStream(view, tag.size + length)
    for place, piece in view.runs(at, end):
        stream.feed(piece, place)
    stream.close(end)


def _matrix(view: FileView, tag: Struct) -> None:
    """Hold a matrix to its elements, and matrices in it to theirs."""
    waiting = [(view, 0)]
    while waiting:
        inner, depth = waiting.pop()
        at = 0
        while at < inner.size:
            inner.step()
            kind, length, start = _tag(inner, at, tag)
            first = at == 0
            # What a matrix is comes first; an empty one has nothing at all.
            need(not first or (kind, length) == (_FLAGS, _FLAGS_BYTES), at)
            need(not first or _class(inner, start, tag) in _CLASSES, at)
            at = start + length
            if kind == _MATRIX:
                need(start % 8 == 0 and depth < _DEEPEST, at)
                waiting.append((inner.part(start, length), depth + 1))
            else:
                need(kind in _PLAIN, at)
                # Padding up to the next multiple of eight belongs to nothing, so it has to be zeros.
                padded = min(-(-at // 8) * 8, inner.size)
                need(inner.zeros(at, padded), at)
                at = padded
        need(at == inner.size, at)


def _tag(view: FileView, at: int, tag: Struct) -> tuple[int, int, int]:
    """The kind of the element at `at`, its length, and where its data begins."""
    kind, length = view.unpack(tag, at)
    if kind >> 16:
        # A small one: both in one word, and the data in the other.
        kind, length = kind & 0xFFFF, kind >> 16
        need(length <= 4, at)
        return kind, length, at + 4
    need(length <= view.size - at - 8, at)
    return kind, length, at + 8


def _class(view: FileView, at: int, tag: Struct) -> int:
    flags: int = view.unpack(tag, at)[0]
    return flags & 0xFF


FORMS = (WholeFormat(((0, MAGIC),), holds),)
