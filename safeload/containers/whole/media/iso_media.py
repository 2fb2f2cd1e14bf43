"""ISO base media (ISO/IEC 14496-12) and its kin, MP4, MOV, M4A, AVIF, HEIC, JPEG 2000, JPEG XL: boxes that tile."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import AUDIO, IMAGE, VIDEO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_HEAD = Struct(">I4s")
_TOP = frozenset(
    b"ftyp moov mdat free skip wide meta moof mfra sidx ssix styp uuid pdin emsg prft pnot PICT udta".split()
)
_CODED = frozenset(b"ftyp free uuid jp2h jp2c jxlc jxlp jxll jxli jbrd brob jumb Exif".split()) | {
    b"jP  ",
    b"JXL ",
    b"xml ",
}
# Boxes that hold boxes and nothing else.
_INNER = frozenset(b"moov trak mdia minf stbl dinf edts mvex moof traf mfra jp2h iprp ipco".split())
_PICTURES = frozenset(b"avif avis heic heix heim heis hevc hevx mif1 msf1 mif2 crx jxl".split()) | {
    b"jp2 ",
    b"jpx ",
    b"jxl ",
}
_SOUND = frozenset({b"M4A ", b"M4B ", b"M4P ", b"F4A "})


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    coded = view.get(4, 4) in (b"jP  ", b"JXL ")
    known = _CODED if coded else _TOP
    found: set[bytes] = set()
    brand = b""
    at = 0
    while at < view.size:
        name, start, end = _box(view, at, view.size)
        need(name in known, at)
        # The brand is in the first box; films older than brands begin with anything, and have a moov.
        if name == b"ftyp":
            need(not brand and end - start >= 8 and (end - start) % 4 == 0, at)
            brand = view.get(start, 4)
        found.add(name)
        if name in _INNER:
            _inside(view, start, end)
        at = end
    if coded:
        need(bool(found & {b"jp2c", b"jxlc", b"jxlp"}) and bool(brand), 0)
        return Whole(IMAGE, "JPEG XL image" if brand == b"jxl " else "JPEG 2000 image")
    need(bool(found & {b"moov", b"moof", b"meta"}) and b"mdat" in found, 0)
    if brand in _PICTURES:
        return Whole(IMAGE, "AVIF image" if brand in (b"avif", b"avis") else "HEIF image")
    return Whole(AUDIO, "MPEG-4 audio") if brand in _SOUND else Whole(VIDEO, "MPEG-4 or QuickTime video")


def _box(view: FileView, at: int, limit: int) -> tuple[bytes, int, int]:
    """Name of the box at `at`, where its content begins and where it ends: inside `limit`."""
    view.step()
    size, name = view.unpack(_HEAD, at)
    start = at + 8
    if size == 1:
        size, start = view.number(start, 8), start + 8
    # SECURITY: a size of 0 means "up to the end of the file", and anything could be appended.
    end = at + size
    need(size >= start - at and end <= limit, at)
    return name, start, end


def _inside(view: FileView, start: int, end: int) -> None:
    """Raise Malformed unless boxes tile [start, end), and those that they hold tile them."""
    waiting = [(start, end)]
    while waiting:
        at, end = waiting.pop()
        while at < end:
            name, start, stop = _box(view, at, end)
            if name in _INNER:
                waiting.append((start, stop))
            at = stop


FORMS = (
    WholeFormat(
        (
            *((4, name) for name in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")),
            (0, b"\0\0\0\x0cjP  \r\n\x87\n"),
            (0, b"\0\0\0\x0cJXL \r\n\x87\n"),
        ),
        holds,
    ),
)
