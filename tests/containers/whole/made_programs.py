"""Small programs and tables of each format, made by code. Nothing here is a test."""

from __future__ import annotations

import gettext
import importlib.util
import io
import marshal
import sqlite3
import struct
import tempfile
from pathlib import Path


def elf(wide: bool = True, order: str = "<", pad: int = 0) -> bytes:
    header = struct.Struct(order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH"))
    section = struct.Struct(order + ("IIQQQQIIQQ" if wide else "IIIIIIIIII"))
    segment = struct.Struct(order + ("IIQQQQQQ" if wide else "IIIIIIII"))
    own = 16 + header.size
    text = own + segment.size
    code = b"\x90" * 13
    table = text + 16 + pad
    ident = b"\x7fELF" + bytes((2 if wide else 1, 1 if order == "<" else 2, 1)) + bytes(9)
    fields = (3, 62, 1, 0, own, table, 0, own, segment.size, 1, section.size, 2, 0)
    load = (1, 5, text, 0, 0, 13, 13, 1) if wide else (1, text, 0, 0, 13, 13, 5, 1)
    sections = section.pack(*(0,) * 10) + section.pack(0, 1, 6, 0, text, 13, 0, 0, 1, 0)
    return ident + header.pack(*fields) + segment.pack(*load) + code + bytes(3 + pad) + sections


def pe(wide: bool = True, certificate: bool = False) -> bytes:
    stub = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    directories = 112 if wide else 96
    optional = bytearray(directories + 16 * 8)
    struct.pack_into("<H", optional, 0, 0x20B if wide else 0x10B)
    struct.pack_into("<I", optional, 60, 512)
    struct.pack_into("<I", optional, directories - 4, 16)
    if certificate:
        struct.pack_into("<II", optional, directories + 32, 1024, 16)
    coff = b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x2022)
    section = struct.pack("<8sIIIIIIHHI", b".text", 100, 4096, 512, 512, 0, 0, 0, 0, 0x60000020)
    out = (stub + coff + bytes(optional) + section).ljust(512, b"\0") + b"\xc3".ljust(511, b"\xcc") + b"\xc3"
    return out + (struct.pack("<IHH", 15, 0x200, 2) + b"signed!" + b"\0" if certificate else b"")


def macho(order: str = "<") -> bytes:
    text = b"\xc3" * 8
    symbols = bytes(16)
    names = b"\0_f\0"
    commands = 72 + 80 + 24
    at = 32 + commands
    head = struct.pack(order + "IIIIIIII", 0xFEEDFACF, 0x01000007, 3, 2, 2, commands, 0, 0)
    segment = struct.pack(order + "II16sQQQQIIII", 0x19, 152, b"", 0, 8, at, 8, 7, 7, 1, 0)
    section = struct.pack(order + "16s16sQQIIIIIIII", b"__text", b"__TEXT", 0, 8, at, 0, 0, 0, 0, 0, 0, 0)
    table = struct.pack(order + "IIIIII", 2, 24, at + 8, 1, at + 24, 4)
    return head + segment + section + table + text + symbols + names


def fat() -> bytes:
    one = macho()
    first = 48
    second = first + len(one) + -len(one) % 16
    head = struct.pack(">4sI", b"\xca\xfe\xba\xbe", 2)
    head += struct.pack(">IIIII", 1, 3, first, len(one), 4) + struct.pack(">IIIII", 2, 3, second, len(one), 4)
    return (head + one).ljust(second, b"\0") + one


def java() -> bytes:
    constants = (
        b"\1" + struct.pack(">H", 1) + b"A" + b"\7\0\1" + b"\5" + bytes(8) + b"\1" + struct.pack(">H", 4) + b"Code"
    )
    method = struct.pack(">HHHH", 1, 1, 1, 1) + struct.pack(">HI", 5, 3) + b"xyz"
    return (
        b"\xca\xfe\xba\xbe" + struct.pack(">HHH", 0, 61, 6) + constants + struct.pack(">HHH", 0x21, 2, 0)
        + struct.pack(">H", 0) + struct.pack(">H", 0) + struct.pack(">H", 1) + method + struct.pack(">H", 0)
    )  # fmt: skip


def ar() -> bytes:
    def member(name: bytes, data: bytes) -> bytes:
        head = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(data))
        return head + data + b"\n" * (len(data) % 2)

    return (
        b"!<arch>\n" + member(b"/", bytes(4)) + member(b"one.o/", elf()) + member(b"#1/8", b"long.o\0\0" + elf(False))
    )


def pyc() -> bytes:
    source = "class A:\n    x = {1.5: (2**70, b'ab', 'text', 1j, True, None, ...)}\n"
    source += "    def f(self, *a):\n        return f'{a}'\n"
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(compile(source, "<made>", "exec"))


def bitcode() -> bytes:
    def block(number: int, data: bytes) -> bytes:
        return struct.pack("<II", 1 | number << 2, len(data) // 4) + data

    return b"BC\xc0\xde" + block(13, b"idid") + block(8, b"module!!") + block(23, b"strs")


def wasm() -> bytes:
    def section(number: int, data: bytes) -> bytes:
        return bytes((number, len(data) | 0x80, 0)) + data

    return b"\0asm\1\0\0\0" + section(1, b"\0") + section(0, b"\4namexyz") + section(3, b"\0") + section(10, b"\0")


def sqlite() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.db"
        with sqlite3.connect(path) as database:
            database.execute("pragma page_size = 512")
            database.execute("create table t (a)")
            database.execute("insert into t values ('x')")
        database.close()
        return path.read_bytes()


def catalog(minor: int = 0) -> bytes:
    texts = [(b"", b"Project: x\n"), (b"cat", b"Katze"), (b"dog", b"Hund")]
    start = 28 + (20 if minor else 0)
    tables = start + 16 * len(texts)
    at, data = tables, b""
    rows: list[list[tuple[int, int]]] = [[], []]
    more = b""
    if minor:
        # One word of the system, "PRIu64", and one string with it, the same in both languages.
        more = struct.pack("<IIII", 7, tables + 16, tables + 24, tables + 24) + b"PRIu64\0\0"
        more += struct.pack("<IIIII", tables + 44, 2, 0, 4, 0xFFFFFFFF) + b"%\0is.\0"
        at += len(more)
    for column in (0, 1):
        for pair in texts:
            rows[column].append((len(pair[column]), at + len(data)))
            data += pair[column] + b"\0"
    head = struct.pack("<IIIIIII", 0x950412DE, minor, len(texts), start, start + 8 * len(texts), 0, start)
    if minor:
        head += struct.pack("<IIIII", 1, tables, 1, tables + 8, tables + 12)
    table = b"".join(struct.pack("<II", *row) for column in rows for row in column)
    made = head + table + more + data
    if not minor:
        assert gettext.GNUTranslations(io.BytesIO(made)).gettext("cat") == "Katze"
    return made


def zone(version: bytes = b"2") -> bytes:
    def block(width: str) -> bytes:
        head = struct.pack(">4sc15sIIIIII", b"TZif", version, bytes(15), 1, 1, 0, 1, 1, 4)
        return head + struct.pack(">" + width, 1) + b"\0" + struct.pack(">iBB", 3600, 0, 0) + b"CET\0" + b"\0\0"

    return block("i") if version == b"\0" else block("i") + block("q") + b"\nCET-1\n"


def terminal() -> bytes:
    first = struct.pack("<6H", 0x011A, 4, 3, 2, 1, 5) + b"abc\0" + b"\1\0\1" + b"\0" + struct.pack("<HH", 80, 24)
    first += struct.pack("<H", 0) + b"\x1b[J\0\0" + b"\0"
    return (
        first
        + struct.pack("<5H", 1, 1, 1, 4, 10)
        + b"\1\0"
        + struct.pack("<H", 7)
        + struct.pack("<4H", 0, 0, 3, 6)
        + b"s\0AX\0G0\0X\0"
    )


def finder(more: int = 0) -> bytes:
    # The root at 2048, its table at 4096, the tree at 64; the rest of two gigabytes is free.
    used = [(2048, 11), (64, 5), (4096, 11)]
    free = [(32, 5), *((1 << level, level) for level in range(7, 11)), (6144, 11)]
    free += [(1 << level, level) for level in range(13, 31)]
    root = struct.pack(">II", 3, 0) + struct.pack(">3I", *(at | level for at, level in used)).ljust(1024, b"\0")
    root += struct.pack(">I", 1) + b"\4DSDB" + struct.pack(">I", 1)
    free += [(96, 5)]
    for level in range(32):
        places = [at for at, size in free if size == level]
        root += struct.pack(f">{1 + len(places)}I", len(places), *places)
    head = b"\0\0\0\1Bud1" + struct.pack(">III", 2048, 2048, 2048) + bytes(16)
    return head.ljust(2052, b"\0") + root.ljust(2048, b"\0") + bytes(2048 + more)


def der() -> bytes:
    def value(tag: int, data: bytes) -> bytes:
        length = bytes((len(data),)) if len(data) < 128 else b"\x81" + bytes((len(data),))
        return bytes((tag,)) + length + data

    algorithm = value(0x30, value(6, b"\x2a\x86\x48\x86\xf7\x0d\1\1\x0b") + value(5, b""))
    name = value(0x30, value(0x31, value(0x30, value(6, b"\x55\4\3") + value(12, b"example"))))
    body = value(0x30, value(0xA0, value(2, b"\2")) + value(2, b"\1") + algorithm + name)
    return value(0x30, body + algorithm + value(3, b"\0" + b"s" * 100))
