"""Matroska and WebM (RFC 8794, RFC 9559): elements of known size that tile the file, the segment, and its clusters."""

from __future__ import annotations

from collections.abc import Iterator

from safeload.containers.whole.interface import VIDEO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_HEADER, _SEGMENT, _CLUSTER = 0x1A45DFA3, 0x18538067, 0x1F43B675
_DOCTYPE, _VOID, _CRC = 0x4282, 0xEC, 0xBF
_IN_HEADER = frozenset({0x4286, 0x42F7, 0x42F2, 0x42F3, _DOCTYPE, 0x4287, 0x4285, 0x4281, _VOID, _CRC})
# SeekHead, Info, Tracks, Cues, Attachments, Chapters, Tags.
_IN_SEGMENT = frozenset(
    {0x114D9B74, 0x1549A966, 0x1654AE6B, _CLUSTER, 0x1C53BB6B, 0x1941A469, 0x1043A770, 0x1254C367, _VOID, _CRC}
)
# Timestamp, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup, EncryptedBlock.
_IN_CLUSTER = frozenset({0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, _VOID, _CRC})


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    name, start, end = _element(view, 0, view.size)
    need(name == _HEADER, 0)
    doctype = b""
    for child, inner, stop in _children(view, start, end, _IN_HEADER):
        if child == _DOCTYPE:
            doctype = view.get(inner, min(16, stop - inner)).rstrip(b"\0")
    need(doctype in (b"matroska", b"webm"), start)
    segments, at = 0, end
    while at < view.size:
        name, start, at = _element(view, at, view.size)
        need(name in (_SEGMENT, _VOID), start)
        if name == _SEGMENT:
            segments += 1
            for child, inner, stop in _children(view, start, at, _IN_SEGMENT):
                if child == _CLUSTER:
                    need(sum(1 for _ in _children(view, inner, stop, _IN_CLUSTER)) > 0, inner)
    need(segments > 0, at)
    return Whole(VIDEO, "WebM video" if doctype == b"webm" else "Matroska video")


def _children(view: FileView, at: int, end: int, known: frozenset[int]) -> Iterator[tuple[int, int, int]]:
    """Name, start of the content and end of each element that tiles [at, end)."""
    while at < end:
        name, start, stop = _element(view, at, end)
        need(name in known, at)
        yield name, start, stop
        at = stop


def _element(view: FileView, at: int, limit: int) -> tuple[int, int, int]:
    """Name of the element at `at`, where its content begins and where it ends: inside `limit`."""
    view.step()
    length = 9 - view.number(at, 1).bit_length()
    need(length <= 4, at)
    name = view.number(at, length)
    at += length
    length = 9 - view.number(at, 1).bit_length()
    need(length <= 8, at)
    size = view.number(at, length) & (1 << 7 * length) - 1
    # SECURITY: all ones means that the size is unknown, and reaches to the end: anything could be appended.
    need(size != (1 << 7 * length) - 1, at)
    start = at + length
    need(start + size <= limit, at)
    return name, start, start + size


FORMS = (WholeFormat(((0, b"\x1a\x45\xdf\xa3"),), holds),)
