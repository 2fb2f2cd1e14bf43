"""Ogg (RFC 3533): pages with a CRC, in sequence, each stream up to the page that says it is the last."""

from __future__ import annotations

import zlib
from struct import Struct

from safeload.containers.whole.interface import AUDIO, VIDEO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_PAGE = Struct("<4sBBqIIIB")
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes) -> int:
    """The CRC of RFC 3533: of the polynomial of zlib's, with bits in the other order and from zero."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_REVERSED), "big")


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    next_page: dict[int, int] = {}
    ended: set[int] = set()
    film = False
    at = 0
    while at < view.size:
        view.step()
        magic, version, flags, _, serial, number, crc, count = view.unpack(_PAGE, at)
        need(magic == b"OggS" and version == 0 and flags < 8, at)
        length = 27 + count + sum(view.get(at + 27, count))
        page = bytearray(view.get(at, length))
        page[22:26] = bytes(4)
        need(checksum(bytes(page)) == crc, at)
        if flags & _FIRST:
            need(serial not in next_page and number == 0, at)
            film = film or page[27 + count :].startswith((b"\x80theora", b"\x01video"))
        else:
            need(next_page.get(serial) == number and serial not in ended, at)
        next_page[serial] = number + 1
        if flags & _LAST:
            ended.add(serial)
        at += length
    need(ended == next_page.keys(), at)
    return Whole(VIDEO, "Ogg video") if film else Whole(AUDIO, "Ogg audio")


FORMS = (WholeFormat(((0, b"OggS"),), holds),)
