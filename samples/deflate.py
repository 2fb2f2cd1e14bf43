"""Compressed bytes that are the same under every zlib: stored blocks, and runs in the fixed code.

zlib and zlib-ng compress one input to different bytes; the samples may not depend on which of them a Python has.
Format: RFC 1951 and 1952.
"""

from __future__ import annotations

import struct
import zlib

from tests.containers.zip_builder import Member


def stored(data: bytes) -> bytes:
    """`data` as one deflate block without compression."""
    return b"\x01" + struct.pack("<HH", len(data), len(data) ^ 0xFFFF) + data


def run(unit: bytes, matches: int) -> bytes:
    """`unit` (one or two bytes below 0x90), then `matches` copies of 258 bytes out of it, in the fixed code."""
    bits = "110"  # last block, fixed code; every field below stands in the order in which it is read
    bits += "".join(f"{0x30 + byte:08b}" for byte in unit)
    # Length 258 is symbol 285, eight bits; the distance is symbol 0 or 1, five bits.
    bits += f"11000101{len(unit) - 1:05b}" * matches + "0000000"
    bits += "0" * (-len(bits) % 8)
    return b"".join(int(bits[at : at + 8][::-1], 2).to_bytes(1, "little") for at in range(0, len(bits), 8))


def unrolled(unit: bytes, matches: int) -> bytes:
    """What `run` inflates to."""
    return (unit * (130 + 258 * matches))[: len(unit) + 258 * matches]


def gzip(data: bytes) -> bytes:
    """A gzip file of no time and no system."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + stored(data) + struct.pack("<II", zlib.crc32(data), len(data))


class Stored(Member):
    """A member of method 8 whose block holds the bytes as they are."""

    @property
    def packed(self) -> bytes:
        """See Member."""
        return stored(self.data)


class Run(Member):
    """A member of method 8 whose data is one run: its first bytes over and over (see `run`)."""

    @property
    def packed(self) -> bytes:
        """See Member."""
        unit = self.data[:1] if self.data[1:2] == self.data[:1] else self.data[:2]
        return run(unit, (len(self.data) - len(unit)) // 258)
