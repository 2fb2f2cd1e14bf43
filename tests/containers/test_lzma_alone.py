"""The old LZMA format has no magic: whether a file is one is asked of a decoder, whatever its header says of memory."""

from __future__ import annotations

import lzma
import pickle
import struct

import pytest

from safeload.containers.compressed import Compressed
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source

LZMA1 = [{"id": lzma.FILTER_LZMA1, "lc": 1, "lp": 3, "pb": 1, "dict_size": 1 << 16}]


def alone(dictionary: int) -> bytes:
    """A pickle and what a buffered reader reads ahead, in a stream that asks for a dictionary of this size."""
    noise = b"".join(struct.pack("<I", number * 2654435761 & 0xFFFFFFFF) for number in range(20_000))
    data = lzma.compress(pickle.dumps({"a": 1}, 0) + noise, format=lzma.FORMAT_ALONE, filters=LZMA1)
    return data[:1] + dictionary.to_bytes(4, "little") + data[5:]


@pytest.mark.parametrize("dictionary", [1 << 16, 0x20002A49, 0x60002A49, 0xFFFFFFFF])
def test_a_stream_is_recognised_whatever_memory_it_asks_for(dictionary: int) -> None:
    assert Compressed().recognise(MemorySource(alone(dictionary)))


def test_a_picture_whose_header_is_that_of_a_stream_is_never_skipped() -> None:
    # A TIFF whose pixels begin behind its header: the offset of its directory asks for 512 MB and more.
    pixels = b"\0\0\0\0\x01" + alone(0)[13:]
    directory = (8 + len(pixels) + 255) // 256 * 256 + 0x20
    pixels = pixels.ljust(directory - 8, b"\0")
    tags = ((256, 1), (257, 1), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, len(pixels)))
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, number) for tag, number in tags)
    data = b"II*\0" + struct.pack("<I", directory) + pixels + struct.pack("<H", len(tags)) + rows + bytes(4)
    report = scan_source(MemorySource(data), policy=Policy.default(), limits=Limits(), explicit=False).report
    assert (report.verdict, report.container) == (Verdict.UNJUDGED, "compressed")
