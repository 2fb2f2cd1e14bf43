"""One small file of each format that is held to its last byte, made by code. Nothing here is a test."""

from __future__ import annotations

import io
import struct
import wave
import zlib
from collections.abc import Callable

from safeload.containers.whole.media.mpeg_audio import frame_length
from tests.containers.whole import made_tables
from tests.containers.whole.made_programs import (
    ar,
    bitcode,
    catalog,
    der,
    elf,
    fat,
    finder,
    java,
    macho,
    pe,
    pyc,
    sqlite,
    terminal,
    wasm,
    zone,
)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(extra: bytes = b"", behind: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", 3, 2, 8, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x10\x20\x30" * 3) * 2) + behind
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def interlaced() -> bytes:
    # 5 x 5 pixels of 1 bit: each of the seven passes has one byte a row.
    head = struct.pack(">IIBBBBB", 5, 5, 1, 0, 0, 0, 1)
    rows = zlib.compress(b"\0\x80" * 11)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", rows[:4])
        + chunk(b"IDAT", rows[4:])
        + chunk(b"IEND", b"")
    )


SCAN = b"\x12\x34\xff\x00\x56\xff\xd0\x78\xff\x00\x9a"


def jpeg() -> bytes:
    def segment(code: int, data: bytes) -> bytes:
        return bytes((0xFF, code)) + struct.pack(">H", len(data) + 2) + data

    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + segment(0xDB, bytes(65))
        + segment(0xC0, b"\x08\0\x08\0\x08\1\1\x11\0")
        + segment(0xC4, bytes(17))
        + segment(0xDA, b"\1\1\0\0\x3f\0")
        + SCAN
        + b"\xff\xd9"
    )


def gif() -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    control = b"\x21\xf9\x04\0\0\0\0\0"
    return screen + control + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\0\x3b"


def bmp(header: int = 40) -> bytes:
    info = struct.pack("<IiiHHIIiiII", header, 3, 2, 1, 24, 0, 24, 0, 0, 0, 0).ljust(header, b"\0")
    pixels = b"\x10\x20\x30" * 3 + bytes(3)
    return struct.pack("<2sIHHI", b"BM", 14 + header + 24, 0, 0, 14 + header) + info + pixels * 2


def icon(kind: int = 1) -> bytes:
    picture = png()
    dib = struct.pack("<IiiHHIIiiII", 40, 1, 2, 1, 32, 0, 0, 0, 0, 0, 0) + b"\1\2\3\4" + bytes(4)
    entries = struct.pack("<BBBBHHII", 3, 2, 0, 0, 1, 32, len(picture), 38)
    entries += struct.pack("<BBBBHHII", 1, 1, 0, 0, 1, 32, len(dib), 38 + len(picture))
    return struct.pack("<HHH", 0, kind, 2) + entries + picture + dib


def tiff(order: str = "<", big: bool = False) -> bytes:
    # Eight bytes of pixels, then the directory, then two lengths and two offsets outside of it.
    wide = "Q" if big else "I"
    start = 16 if big else 8
    entries = [
        (256, 4, 1, struct.pack(order + wide, 4)),
        (257, 4, 1, struct.pack(order + wide, 2)),
        (273, 16 if big else 4, 2, None),
        (279, 16 if big else 4, 2, None),
    ]
    directory = start + 8
    size = (8 if big else 2) + len(entries) * (20 if big else 12) + (8 if big else 4)
    outside = directory + size
    body, tail = b"", b""
    for tag, kind, many, value in entries:
        if value is None:
            values = (start, start + 4) if tag == 273 else (4, 4)
            value = struct.pack(order + wide, outside + len(tail))
            tail += struct.pack(order + 2 * wide, *values)
        body += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, many) + value
    count = struct.pack(order + ("Q" if big else "H"), len(entries))
    mark = b"II" if order == "<" else b"MM"
    if big:
        head = mark + struct.pack(order + "HHHQ", 43, 8, 0, directory)
    else:
        head = mark + struct.pack(order + "HI", 42, directory)
    return head + b"\1\2\3\4\5\6\7\x08" + count + body + bytes(8 if big else 4) + tail


def icns() -> bytes:
    picture = png()
    return b"icns" + struct.pack(">I", 16 + len(picture)) + b"ic07" + struct.pack(">I", 8 + len(picture)) + picture


def tables(flavour: bytes = b"\0\1\0\0", start: int = 0) -> bytes:
    parts = {b"cmap": b"abcd" * 3, b"head": b"\0\1\0\0" * 13 + b"\0\0", b"name": b"Sample!!"}
    at = start + 12 + 16 * len(parts)
    records, data = b"", b""
    for name, table in parts.items():
        padded = table + bytes(-len(table) % 4)
        words = list(struct.unpack(f">{len(padded) // 4}I", padded))
        if name == b"head":
            words[2] = 0
        records += name + struct.pack(">III", sum(words) & 0xFFFFFFFF, at + len(data), len(table))
        data += padded
    return flavour + struct.pack(">HHHH", len(parts), 0, 0, 0) + records + data


def collection() -> bytes:
    first = tables(start=20)
    return (
        b"ttcf"
        + struct.pack(">III", 0x10000, 2, 20)
        + struct.pack(">I", 20 + len(first))
        + first
        + tables(start=20 + len(first))
    )


def woff() -> bytes:
    parts = {b"cmap": b"a" * 100, b"head": bytes(54), b"name": b"xyz!"}
    records, data, total = b"", b"", 12 + 16 * len(parts)
    for name, table in parts.items():
        stored = min(table, zlib.compress(table), key=len)
        records += name + struct.pack(">IIII", 44 + 20 * len(parts) + len(data), len(stored), len(table), 0)
        data += stored + bytes(-len(stored) % 4)
        total += len(table) + -len(table) % 4
    size = 44 + len(records) + len(data)
    head = struct.pack(">4s4sIHHIHHIIIII", b"wOFF", b"\0\1\0\0", size, len(parts), 0, total, 1, 0, 0, 0, 0, 0, 0)
    return head + records + data


def woff2() -> bytes:
    directory = b"\x00\x64" + b"\x01\x36" + b"\x05\x04" + b"\x0a\x20\x10" + b"\x0b\x08\x00" + b"\x3fABCD\x81\x00"
    stream = b"brotli-coded" * 2
    size = 48 + len(directory) + len(stream)
    padded = size + -size % 4
    head = struct.pack(">4s4sIHHIIHHIIIII", b"wOF2", b"\0\1\0\0", padded, 6, 0, 999, len(stream), 1, 0, 0, 0, 0, 0, 0)
    return head + directory + stream + bytes(padded - size)


def riff(form: bytes, *chunks: tuple[bytes, bytes], order: str = "<", name: bytes = b"RIFF") -> bytes:
    body = form
    for kind, data in chunks:
        body += kind + struct.pack(order + "I", len(data)) + data + bytes(len(data) % 2)
    return name + struct.pack(order + "I", len(body)) + body


def wav() -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(range(40)))
    return out.getvalue()


def avi() -> bytes:
    film = (b"LIST", b"movi" + b"00dc" + struct.pack("<I", 4) + b"abcd")
    return riff(b"AVI ", (b"LIST", b"hdrlavih" + struct.pack("<I", 2) + b"xy"), film) + riff(b"AVIX", film)


def aiff() -> bytes:
    body = b"AIFF" + b"COMM" + struct.pack(">I", 18) + bytes(18) + b"SSND" + struct.pack(">I", 9) + bytes(9) + b"\0"
    return b"FORM" + struct.pack(">I", len(body)) + body


def box(name: bytes, *inside: bytes) -> bytes:
    body = b"".join(inside)
    return struct.pack(">I", 8 + len(body)) + name + body


def film(brand: bytes, second: bytes = b"moov") -> bytes:
    head = box(b"ftyp", brand, bytes(4), brand)
    return head + box(second, box(b"trak", box(b"tkhd", b"0123"))) + box(b"mdat", b"payload")


def mp3() -> bytes:
    head = 0xFFFB1064
    length = frame_length(head, 0)
    frames = 4
    first = (struct.pack(">I", head) + bytes(32) + b"Info" + struct.pack(">III", 3, frames, frames * length)).ljust(
        length, b"\0"
    )
    tag = b"ID3\4\0\0\0\0\0\x0a" + b"TIT2\0\0\0\0\0\0"
    return tag + first + (struct.pack(">I", head).ljust(length, b"\x55")) * (frames - 1) + b"TAG".ljust(128, b" ")


def crc(data: bytes, polynomial: int, bits: int) -> int:
    value, top = 0, 1 << bits - 1
    for byte in data:
        value ^= byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ (polynomial if value & top else 0)) & (1 << bits) - 1
    return value


def flac() -> bytes:
    samples = 16
    info = struct.pack(">HH", 16, 16) + bytes(6) + (8000 << 44 | 15 << 36 | 2 * samples).to_bytes(8, "big") + bytes(16)
    out = b"fLaC" + b"\x80" + struct.pack(">I", len(info))[1:] + info
    for number in range(2):
        # Block size of 8 bits behind the header, 8 kHz, mono, 16 bits.
        head = b"\xff\xf8\x64\x08" + bytes((number, samples - 1))
        head += bytes((crc(head, 0x07, 8),))
        frame = head + b"\0\x12\x34"
        out += frame + struct.pack(">H", crc(frame, 0x8005, 16))
    return out


def ogg() -> bytes:
    out = b""
    for number, (flags, data) in enumerate(((2, b"\1vorbis"), (0, b"x" * 20), (4, b"end"))):
        page = struct.pack("<4sBBqIII", b"OggS", 0, flags, number, 7, number, 0) + bytes((1, len(data))) + data
        out += page[:22] + struct.pack("<I", crc(page, 0x04C11DB7, 32)) + page[26:]
    return out


def element(name: str, data: bytes) -> bytes:
    return bytes.fromhex(name) + bytes((0x40 | len(data) >> 8, len(data) & 255)) + data


def webm() -> bytes:
    head = element("1a45dfa3", element("4286", b"\1") + element("4282", b"webm"))
    cluster = element("1f43b675", element("e7", b"\0") + element("a3", b"\x81\0\0\x80block"))
    return head + element("18538067", element("1549a966", b"info") + element("1654ae6b", b"tracks") + cluster)


def flv() -> bytes:
    out = b"FLV\1\5" + struct.pack(">II", 9, 0)
    for kind, data in ((18, b"meta"), (8, b"sound!"), (9, b"picture")):
        tag = bytes((kind,)) + struct.pack(">I", len(data))[1:] + bytes(7) + data
        out += tag + struct.pack(">I", len(tag))
    return out


def pdf() -> bytes:
    objects = [
        b"<< /Type /Catalog /Title (A \\) (nested) one) >>",
        b"<< /Length 4 /Filter [/FlateDecode] >>\nstream\nPK\3\4\nendstream",
        b"<< /Length 4 0 R >>\nstream\r\nabc endobj\r\nendstream",
        b"10",
    ]
    out, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, value in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n" % number + value + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    return out + b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % start


MADE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "png": (png, "image", "PNG image"),
    "png, interlaced": (interlaced, "image", "PNG image"),
    "jpeg": (jpeg, "image", "JPEG image"),
    "two jpegs": (lambda: jpeg() + jpeg(), "image", "JPEG image"),
    "gif": (gif, "image", "GIF image"),
    "bmp": (bmp, "image", "BMP image"),
    "bmp, version 5": (lambda: bmp(124), "image", "BMP image"),
    "ico": (icon, "image", "Windows icon"),
    "cur": (lambda: icon(2), "image", "Windows cursor"),
    "tiff, little": (tiff, "image", "TIFF image"),
    "tiff, big": (lambda: tiff(">"), "image", "TIFF image"),
    "bigtiff": (lambda: tiff("<", True), "image", "TIFF image"),
    "icns": (icns, "image", "Apple icon"),
    "pbm": (lambda: b"P4\n9 2\n\1\2\3\4", "image", "Netpbm image"),
    "pgm": (lambda: b"P5 2 2 255\nabcd", "image", "Netpbm image"),
    "ppm": (lambda: b"P6\n1 1\n65535\nabcdef", "image", "Netpbm image"),
    "ttf": (tables, "font", "TrueType font"),
    "otf": (lambda: tables(b"OTTO"), "font", "OpenType font"),
    "ttc": (collection, "font", "font collection"),
    "woff": (woff, "font", "WOFF font"),
    "woff2": (woff2, "font", "WOFF2 font"),
    "wav": (wav, "audio", "WAV audio"),
    "rifx": (
        lambda: riff(b"WAVE", (b"fmt ", bytes(16)), (b"data", b"xyz"), order=">", name=b"RIFX"),
        "audio",
        "WAV audio",
    ),
    "avi": (avi, "video", "AVI video"),
    "webp": (lambda: riff(b"WEBP", (b"VP8L", b"12345")), "image", "WebP image"),
    "ani": (
        lambda: riff(b"ACON", (b"anih", bytes(36)), (b"LIST", b"framicon" + struct.pack("<I", 2) + b"ab")),
        "image",
        "animated cursor",
    ),
    "aiff": (aiff, "audio", "AIFF audio"),
    "au": (lambda: b".snd" + struct.pack(">IIIII", 28, 4, 3, 8000, 1) + b"note" + b"abcd", "audio", "Sun audio"),
    "mp4": (lambda: film(b"isom"), "video", "MPEG-4 or QuickTime video"),
    "m4a": (lambda: film(b"M4A "), "audio", "MPEG-4 audio"),
    "avif": (lambda: film(b"avif", b"meta"), "image", "AVIF image"),
    "heic": (lambda: film(b"heic", b"meta"), "image", "HEIF image"),
    "jp2": (
        lambda: (
            box(b"jP  ", b"\r\n\x87\n")
            + box(b"ftyp", b"jp2 \0\0\0\0")
            + box(b"jp2h", box(b"ihdr", b"x"))
            + box(b"jp2c", b"y")
        ),
        "image",
        "JPEG 2000 image",
    ),
    "jxl": (
        lambda: box(b"JXL ", b"\r\n\x87\n") + box(b"ftyp", b"jxl \0\0\0\0") + box(b"jxlc", b"y"),
        "image",
        "JPEG XL image",
    ),
    "mp3": (mp3, "audio", "MPEG audio"),
    "flac": (flac, "audio", "FLAC audio"),
    "ogg": (ogg, "audio", "Ogg audio"),
    "webm": (webm, "video", "WebM video"),
    "flv": (flv, "video", "Flash video"),
    "pdf": (pdf, "pdf", "PDF document"),
    "elf, 64 little": (elf, "code", "shared library"),
    "elf, 64 big": (lambda: elf(True, ">"), "code", "shared library"),
    "elf, 32 little": (lambda: elf(False), "code", "shared library"),
    "elf, 32 big": (lambda: elf(False, ">"), "code", "shared library"),
    "dll": (pe, "code", "Windows library"),
    "dll, 32": (lambda: pe(False), "code", "Windows library"),
    "dll, signed": (lambda: pe(True, True), "code", "Windows library"),
    "macho": (macho, "code", "program"),
    "macho, big": (lambda: macho(">"), "code", "program"),
    "fat macho": (fat, "code", "program"),
    "class": (java, "code", "Java class"),
    "a": (ar, "code", "static library"),
    "pyc": (pyc, "code", "compiled Python module"),
    "bc": (bitcode, "code", "LLVM bitcode"),
    "wasm": (wasm, "code", "WebAssembly module"),
    "sqlite": (sqlite, "data", "SQLite database"),
    "mo": (catalog, "data", "message catalog"),
    "mo, by system": (lambda: catalog(1), "data", "message catalog"),
    "tzif": (zone, "data", "time zone"),
    "tzif, old": (lambda: zone(b"\0"), "data", "time zone"),
    "terminfo": (terminal, "data", "terminal description"),
    "der": (der, "data", "certificate"),
    ".DS_Store": (finder, "data", "Finder settings"),
    **made_tables.MADE,
}
"""Name -> how to make it, and what it is."""
