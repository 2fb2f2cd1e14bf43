"""FLAC (RFC 9639): metadata blocks, then as many frames as the first block says, numbered, each with its CRC-16.

A frame does not say its length: it ends where the next one begins, and its checksum has to hold up to there.
"""

from __future__ import annotations

import re
from array import array
from functools import cache

from safeload.containers.whole.interface import AUDIO, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView
from safeload.errors import Malformed

# Sync, then block size and rate, channels and sample size (last bit zero), then the coded number.
_SYNC = re.compile(rb"\xff[\xf8\xf9][\x10-\xff][\x00-\xaf]", re.DOTALL)
_LONGEST = 16
_STREAMINFO, _PICTURE, _INVALID = 0, 6, 127


@cache
def _eight() -> bytes:
    """The CRC-8 of each byte: polynomial 0x07."""
    table = bytearray(256)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc << 1 ^ (0x107 if crc & 0x80 else 0)
        table[byte] = crc
    return bytes(table)


@cache
def _sixteen() -> array[int]:
    """The CRC-16 of each two bytes: polynomial 0x8005. With it a Python loop takes two bytes a turn."""
    single = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = crc << 1 ^ (0x18005 if crc & 0x8000 else 0)
        single.append(crc)
    return array(
        "H", ((single[pair >> 8] & 0xFF) << 8 ^ single[single[pair >> 8] >> 8 ^ pair & 0xFF] for pair in range(65536))
    )


def crc16(data: bytes) -> int:
    """The CRC-16 of FLAC."""
    if len(data) & 1:
        # A zero byte before changes nothing: the sum begins at zero.
        data = b"\0" + data
    words = array("H", data)
    if memoryview(b"\1\0").cast("H")[0] == 1:
        words.byteswap()
    table, crc = _sixteen(), 0
    for word in words:
        crc = table[crc ^ word]
    return crc


def _header(data: bytes) -> tuple[int, int] | None:
    """(frame or sample number, block size or 0 when it is that of the stream) of a frame header, None if it is none."""
    if len(data) < 6:
        return None
    lead = data[4]
    ones = 8 - (lead ^ 0xFF).bit_length()
    if ones in (1, 8):
        return None
    length = max(1, ones)
    number = lead & (0x7F >> ones)
    for byte in data[5 : 4 + length]:
        if byte >> 6 != 2:
            return None
        number = number << 6 | byte & 0x3F
    at = 4 + length
    size_code, rate_code = data[2] >> 4, data[2] & 15
    more = {6: 1, 7: 2}.get(size_code, 0)
    size = int.from_bytes(data[at : at + more], "big") + 1
    if not more and size_code:
        size = 192 if size_code == 1 else 576 << size_code - 2 if size_code < 6 else 256 << size_code - 8
    at += more + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    crc, table = 0, _eight()
    for byte in data[:at]:
        crc = table[crc ^ byte]
    if not size_code or rate_code == 15 or at >= len(data) or data[at] != crc:
        return None
    return number, size


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(view.get(0, 4) == b"fLaC", 0)
    at, first, last = 4, True, False
    while not last:
        view.step()
        head = view.number(at, 4)
        last, kind, length = bool(head >> 31), head >> 24 & 127, head & 0xFFFFFF
        need((kind == _STREAMINFO) == first and kind <= _PICTURE, at)
        need(not first or length == 34, at)
        at, first = at + 4 + length, False
    samples = view.number(21, 5) & (1 << 36) - 1
    need(samples > 0, 21)
    by_sample = view.get(at, 2) == b"\xff\xf9"
    expected = counted = 0
    while at < view.size:
        view.step()
        frame = _header(view.get(at, min(_LONGEST, view.size - at)))
        if frame is None or frame[0] != expected:
            raise Malformed("the structure does not hold", offset=at)
        counted += frame[1]
        expected = counted if by_sample else expected + 1
        at = _end(view, at, expected, by_sample)
    need(counted == samples and at == view.size, at)
    return Whole(AUDIO, "FLAC audio")


def _end(view: FileView, start: int, following: int, by_sample: bool) -> int:
    """Where the frame at `start` ends: where the next one begins, or the file does."""
    at = start + 2
    while True:
        view.step()
        at = view.search(_SYNC, 4, at)
        end = view.size if at < 0 else at
        head = None if at < 0 else _header(view.get(at, min(_LONGEST, view.size - at)))
        if at < 0 or (head is not None and head[0] == following and (view.get(at + 1, 1) == b"\xf9") == by_sample):
            view.step((end - start) // 64)
            frame = view.get(start, end - start)
            # SECURITY: behind a frame with its checksum the CRC is zero, and stays zero over any zeros that follow: so
            # zeros could be appended unseen. A frame must not end in them. One frame in 65,536 has a checksum of two
            # zeros, and is refused when it is the last.
            need(not frame.endswith(bytes(2 if at < 0 else 6)), end)
            if crc16(frame) == 0:
                return end
            need(at >= 0, start)
        at += 1


FORMS = (WholeFormat(((0, b"fLaC\0\0\0\x22"), (0, b"fLaC\x80\0\0\x22")), holds),)
