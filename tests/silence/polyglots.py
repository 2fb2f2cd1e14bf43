"""Heads of other formats in front of a pickle's opcodes, each still read by a real unpickler.

Each function takes opcodes without STOP and gives a whole file. Writes bytes; loads none.
"""

from __future__ import annotations

import lzma
import struct
import zlib

from tests.silence.payloads import NOTHING, OPEN, Pair

LINES = 70


def text_lines(body: bytes) -> bytes:
    """5,000 bytes of prose: each line is a UNICODE that is popped, as V and 0 are letters to a reader."""
    line = b"Very well known lines of a readme, which stand here for people to read\n0"
    return line * LINES + body + b"."


def markdown(body: bytes) -> bytes:
    """One long UNICODE line and a list under it."""
    return b"V- " + b"a point of a list, " * 300 + b"\n0" + body + b"."


def numbers(body: bytes) -> bytes:
    """A table of numbers: INT lines, popped."""
    return b"I100\n0" * 900 + body + b"."


def floats(body: bytes) -> bytes:
    return b"F1.25\n0" * 900 + body + b"."


def quoted(body: bytes) -> bytes:
    return b"S'a word of a vocabulary'\n0" * 200 + body + b"."


def marks(body: bytes) -> bytes:
    """Brackets: EMPTY_LIST, POP."""
    return b"]0}0)0" * 900 + body + b"."


def gif(body: bytes) -> bytes:
    """A whole GIF, to its trailer. G takes 8 bytes for a float, 0 drops it, C swallows the head of a comment block."""
    # width 0x0101, height's low byte 1, its high byte POP; flags C; background 4: aspect, 21 FE and a block's length
    head = b"GIF89a" + b"\x01\x01\x01" + b"0" + b"C\x04\x00\x21\xfe"
    block = b"0" + body + b"."
    assert len(block) < 256
    return head + bytes([len(block)]) + block + b"\0;"


def bmp(body: bytes) -> bytes:
    """B takes 4 bytes for a length: "M" and the low bytes of the announced size, 0x4d bytes follow as its content."""
    return b"BM\0\0\0\1".ljust(5 + 0x4D, b"\0") + b"0" + body + b"."


def windows_program(body: bytes) -> bytes:
    """MZ: M takes two bytes, Z and the next."""
    return b"MZ\x900" + body + b"." + b"\0" * 64 + b"PE\0\0"


def compiled_38(body: bytes) -> bytes:
    """A .pyc of Python 3.8: U takes 0x0d bytes, which end inside the size of the source."""
    return b"U\r\r\n" + b"\0" * 11 + b"0" + body + b"."


def compiled_37(body: bytes) -> bytes:
    """A .pyc of Python 3.7: B takes 0x000a0d0d bytes."""
    head = b"B\r\r\n\0"
    return head + b"\0" * 0x0A0D0D + b"0" + body + b"."


def tar_head(body: bytes) -> bytes:
    """A pickle that is a member's name and whole tar: V runs to a line feed inside the second block."""
    import io
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("Vreadme")
        data = b"\n0" + body + b"."
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def array_head(body: bytes) -> bytes:
    """GGUF: G takes 8 bytes, magic and the version, so that 3 and a POP follow as number of tensors."""
    return b"GGUF\x03\0\0\0\x01" + b"0" + body + b"."


def unicode_block(body: bytes) -> bytes:
    """SHORT_BINUNICODE of text, then the rest: an unprintable first byte alone."""
    return b"X" + (4999).to_bytes(4, "little") + b"# a comment\n".ljust(4999) + b"0" + body + b"."


def printer_script(body: bytes) -> bytes:
    """Letters that are opcodes: NONE, POP and EMPTY_TUPLE look like a base64 line."""
    return b"N0N0N0)0" * 600 + body + b"."


HEADS = {
    "text-lines": text_lines,
    "markdown": markdown,
    "numbers": numbers,
    "floats": floats,
    "quoted": quoted,
    "marks": marks,
    "gif": gif,
    "bmp": bmp,
    "windows-program": windows_program,
    "pyc-38": compiled_38,
    "pyc-37": compiled_37,
    "tar": tar_head,
    "gguf": array_head,
    "binary-text": unicode_block,
    "letters": printer_script,
}
"""Name -> a whole pickle that begins as something else."""


def headed(name: str) -> Pair:
    make = HEADS[name]
    return Pair(make(OPEN), make(NOTHING))


def alone(data: bytes, dictionary: int = 4096) -> bytes:
    """LZMA-alone with lc, lp and pb of 0: 13 bytes of head, the first of them a zero."""
    return lzma.compress(
        data,
        format=lzma.FORMAT_ALONE,
        filters=[{"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": 0, "lp": 0, "pb": 0}],
    )


def icon(data: bytes) -> bytes:
    """LZMA-alone whose dictionary size of 0x100 makes the head of an ICO."""
    return b"\0" + (0x100).to_bytes(4, "little") + alone(data)[5:]


def true_type(data: bytes) -> bytes:
    """LZMA-alone whose dictionary size of 1 makes the head of a TrueType font."""
    return b"\0" + (1).to_bytes(4, "little") + alone(data)[5:]


def movie(data: bytes) -> bytes:
    """LZMA-alone that is one whole `ftyp` box of MP4: its length is the file's, and its brands are the stream."""
    body = unfinished(data, lc=0, lp=0, pb=0)
    total = 13 + len(body)
    return total.to_bytes(4, "big") + b"ftyp" + b"mp42\0" + body


def tiff(data: bytes) -> bytes:
    """LZMA-alone that begins II*: 0x49 is lc 1, lp 3, pb 1."""
    return b"II*\0\x08\0\0\0" + b"\x01\0\0\0\0" + unfinished(data, lc=1, lp=3, pb=1)


def unfinished(data: bytes, **settings: int) -> bytes:
    """An LZMA stream cut before its end marker, which a decoder that was told a length takes for damage."""
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": 4096, **settings}]
    return lzma.compress(data + bytes(range(64)), format=lzma.FORMAT_ALONE, filters=filters)[13:-24]


def skippable(head: bytes, number: int = 0) -> bytes:
    """A skippable frame of zstd and lz4."""
    return struct.pack("<II", 0x184D2A50 + number, len(head)) + head


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A whole PNG of one pixel, with more chunks before its end."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\0")),
        *chunks,
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in parts)
    return b"\x89PNG\r\n\x1a\n" + body


PDF = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF\n"
)
WAV = (
    b"RIFF"
    + struct.pack("<I", 38)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
    + b"data"
    + struct.pack("<I", 2)
    + b"\x80\x80"
)
