"""Small files of numbers in the formats of measurements, made by code. Nothing here is a test."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def matrix(name: bytes, data: bytes, order: str = "<") -> bytes:
    small = struct.pack(order + "I", 2 << 16 | 5) if order == "<" else struct.pack(">HH", 2, 5)
    parts = (
        element(6, struct.pack(order + "II", 6, 0), order)
        + element(5, struct.pack(order + "ii", 1, 3), order)
        + element(1, name, order)
        + element(9, data, order)
        + small + b"ab\0\0"
    )  # fmt: skip
    return element(14, parts, order)


def matlab(order: str = "<", packed: bool = False, nested: bool = False) -> bytes:
    head = b"MATLAB 5.0 MAT-file, made by code".ljust(116) + bytes(8) + struct.pack(order + "H", 0x100)
    head += b"IM" if order == "<" else b"MI"
    one = matrix(b"numbers", struct.pack(order + "3d", 1, 2, 3), order)
    if nested:
        cell = (
            element(6, struct.pack(order + "II", 1, 0), order) + element(5, bytes(8), order) + element(1, b"c", order)
        )
        one = element(14, cell + one + element(14, b"", order), order)
    if packed:
        stream = zlib.compress(one)
        one = struct.pack(order + "II", 15, len(stream)) + stream
    return head + one


def matlab_old(order: str = "<") -> bytes:
    kind = 0 if order == "<" else 1000
    head = struct.pack(order + "5I", kind, 2, 1, 0, 2) + b"x\0" + struct.pack(order + "2d", 1, 2)
    return head + struct.pack(order + "5I", kind + 51, 1, 3, 0, 5) + b"text\0" + b"abc"


def text(value: bytes, count: str) -> bytes:
    return struct.pack(count, len(value)) + value + bytes(-len(value) % 4)


def netcdf(version: int = 1) -> bytes:
    count, place = (">Q" if version == 5 else ">I"), (">I" if version == 1 else ">Q")
    kind = struct.Struct(">I").pack

    def number(value: int) -> bytes:
        return struct.pack(count, value)

    note = text(b"note", count) + kind(2) + text(b"hello", count)

    def variable(name: bytes, shape: tuple[int, ...], of: int, length: int, begin: int) -> bytes:
        out = text(name, count) + number(len(shape)) + b"".join(map(number, shape))
        return out + kind(12) + number(1) + note + kind(of) + number(length) + struct.pack(place, begin)

    def header(begin: int) -> bytes:
        dimensions = text(b"time", count) + number(0) + text(b"x", count) + number(3)
        return (
            b"CDF" + bytes((version,)) + number(2) + kind(10) + number(2) + dimensions
            + kind(12) + number(1) + note + kind(11) + number(3)
            + variable(b"fixed", (1,), 3, 8, begin)
            + variable(b"a", (0, 1), 1, 4, begin + 8)
            + variable(b"b", (0,), 5, 4, begin + 12)
        )  # fmt: skip

    begin = len(header(0))
    fixed = struct.pack(">3h", 1, 2, 3) + b"\x80\1"
    return header(begin) + fixed + (b"abc\x81" + struct.pack(">f", 1.5)) * 2


def card(text: bytes) -> bytes:
    return text.ljust(80)


def fits() -> bytes:
    first = card(b"SIMPLE  =                    T") + card(b"BITPIX  =                   16 / bits")
    first += card(b"NAXIS   =                    2") + card(b"NAXIS1  =                    3")
    first += card(b"NAXIS2  =                    2") + card(b"COMMENT made by code") + card(b"END")
    second = card(b"XTENSION= 'TABLE   '") + card(b"BITPIX  =                    8")
    second += card(b"NAXIS   =                    1") + card(b"NAXIS1  =                    5")
    second += card(b"PCOUNT  =                    0") + card(b"GCOUNT  =                    1") + card(b"END")
    data = struct.pack(">6h", *range(6))
    return first.ljust(2880) + data.ljust(2880, b"\0") + second.ljust(2880) + b"hello".ljust(2880)


def idl(packed: bool = False) -> bytes:
    out = b"SR\0\6" if packed else b"SR\0\4"
    for kind, body in ((10, bytes(1024) + struct.pack(">I", 3) + b"now\0"), (2, b"a variable, 24 bytes long")):
        data = zlib.compress(body) if packed else body
        out += struct.pack(">IIII", kind, len(out) + 16 + len(data), 0, 0) + data
    return out + struct.pack(">IIII", 6, 0, 0, 0)


def rf64(size: int = 0xFFFFFFFF) -> bytes:
    body = b"fmt " + struct.pack("<I", 16) + bytes(16) + b"data" + struct.pack("<I", size) + b"sound" + b"\0"
    sizes = struct.pack("<IQQQI", 28, 4 + 36 + len(body), 5, 5, 0)
    return b"RF64" + b"\xff" * 4 + b"WAVEds64" + sizes + body


MADE: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "mat": (matlab, "data", "MATLAB data"),
    "mat, big": (lambda: matlab(">"), "data", "MATLAB data"),
    "mat, packed": (lambda: matlab(packed=True), "data", "MATLAB data"),
    "mat, nested": (lambda: matlab(nested=True), "data", "MATLAB data"),
    "mat, old": (matlab_old, "data", "MATLAB data"),
    "mat, old and big": (lambda: matlab_old(">"), "data", "MATLAB data"),
    "nc": (netcdf, "data", "netCDF data"),
    "nc, wide": (lambda: netcdf(2), "data", "netCDF data"),
    "nc, wider": (lambda: netcdf(5), "data", "netCDF data"),
    "fits": (fits, "data", "FITS data"),
    "sav": (idl, "data", "IDL data"),
    "sav, packed": (lambda: idl(True), "data", "IDL data"),
    "rf64": (rf64, "audio", "WAV audio"),
}
"""Name -> how to make it, and what it is."""
