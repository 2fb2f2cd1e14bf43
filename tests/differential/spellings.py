"""How a value can be spelled in a pickle: in every opcode that bears it, and in forms that pickle never writes."""

from __future__ import annotations

import random
import struct

NAMES: list[tuple[str, str]] = [
    ("collections", "OrderedDict"), ("builtins", "set"), ("builtins", "list"), ("builtins", "dict"), ("torch", "Size"),
    ("argparse", "Namespace"), ("types", "SimpleNamespace"), ("collections", "defaultdict"), ("builtins", "int"),
    ("builtins", "eval"), ("posix", "system"), ("os", "system"), ("builtins", "getattr"), ("sys", "modules"),
    ("__builtin__", "set"), ("__builtin__", "eval"), ("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor"),
    ("UserDict", "UserDict"), ("my.module", "Class"), ("my.module", "Class.inner"),
    ("collections", "namedtuple.__builtins__"),
    ("torch", "FloatStorage"), ("torch._utils", "_rebuild_tensor_v2"), ("numpy", "dtype"), ("datetime", "timedelta"),
    ("caf\u00e9", "cr\u00e8me"), ("a b", "c"), ("my.module", "function"), ("decimal", "Decimal"),
]  # fmt: skip

# Each is read in one way by one of CPython's readers or versions and in another, or not at all, by the next.
ODD_INTEGERS = [
    b"0x1f", b"010", b"-010", b"0b1", b"0o17", b"001", b"1_000", b" 0", b" 1", b"+1", b"-0", b"1 ", b"\t1",
    b"1\r", b"1\x00x",
    b"1L", b"01L", b"0L", b"", b"-", b"1.5", b"1e5", b"\xd9\xa1", b"00 ", b"000", b"0_1", b"true",
    b"9" * 4301, b"-00", b"--1",
    b"1\x0b", b"\x0c1", b"0X1F", b"1__0", b"\xa01", b"0L\x00", b"1LL", b"1l",
]  # fmt: skip
ODD_FLOATS = [
    b" 1.5", b"1.5 ", b"1_0", b"1_0.5", b"+1.5", b".5", b"5.", b"1E5", b"infinity", b"Inf", b"INF", b"NaN",
    b"-nan", b"+inf",
    b"1e999", b"-1e999", b"1e-999", b"1\x00x", b"0x1p3", b"1e+5", b"1,5", b"", b"nan(1)", b"1.5\r", b"\t1.5",
    b"e5", b"1e", b"00.5",
    b"1.5L", b"1.5f", b"-inf", b"inf", b"nan", b"1e5_0", b"\xd9\xa1.5",
]  # fmt: skip
ODD_STRINGS = [
    b"'\\q'", b"'\\x4'", b"'\\x41'", b"'\\400'", b"'\\777'", b"'\\8'", b"'\\0'", b"'\\'", b"'a\"", b"a",
    b"'a' ", b" 'a'", b"'", b"''",
    b"'\\u0041'", b"'\\N{DASH}'", b"'\\\r'", b"'\xff'", b"'\x00'", b"'a'b'", b"'\\\\'", b"'\\\\\\''",
    b"\"'\"", b"'\\X41'", b"'\\12'",
    b"'\\1'", b"'\\18'", b"'\\xg'", b"'''", b"'a'\r", b"b'a'", b"u'a'",
]  # fmt: skip
ODD_TEXTS = [
    b"\\u0041", b"\\u12", b"\\ud800", b"\\U0001f600", b"\\U00110000", b"\\x41", b"\\\\u0041", b"\\\\\\u0041",
    b"\xff", b"\\",
    b"\\n", b"\\U0000", b"\\u00e9\\u", b"a\x00b", b"a\r", b"\\N{DASH}", b"\\ud83d\\ude00", b"\\u000a", b"\\u005c",
]  # fmt: skip
WORDS = [
    "", "a", "b", "key", "\u20ac", "\U0001f600", "a\nb", "\\u0041", "\x00", "x" * 256, "latin1", "\xff\x80", "\ud800",
    "R.", "1",
]  # fmt: skip
BYTES = [b"", b"a", b"\xff\x00", b"x" * 256, b"\n", b"R.", b"'", b"\\"]
INTEGERS = [
    0, 1, 2, 3, 5, 127, 128, 255, 256, 65535, 65536, -1, -128, (1 << 31) - 1, 1 << 31, -(1 << 31), 1 << 63, -(1 << 63),
    1 << 64, 1 << 70,
]  # fmt: skip
FLOATS = [
    0.0, -0.0, 1.0, 1.5, 1e16, 1e-7, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"), 0.1,
]  # fmt: skip


def line(code: bytes, value: object) -> bytes:
    """An opcode whose argument is a line."""
    return code + str(value).encode() + b"\n"


def counted(code: bytes, width: int, body: bytes, rng: random.Random, odd: bool) -> bytes:
    """An opcode whose argument begins with its length; an odd one lies about it."""
    size = len(body)
    if odd:
        size = rng.choice([size + 1, max(size - 1, 0), 0, 256**width - 1, 256**width // 2, size + 300]) % 256**width
    return code + size.to_bytes(width, "little") + body


def literal(rng: random.Random, kind: str, proto: int, value: object = None, *, odd: bool = False) -> bytes:
    """One literal of `kind`: `value`, or a likely one; odd ones are spelled as pickle never does."""
    match kind:
        case "int":
            return integer(rng, rng.choice(INTEGERS) if value is None else value, odd)
        case "float":
            return number(rng, rng.choice(FLOATS) if value is None else value, odd)
        case "bytes":
            return raw(rng, rng.choice(BYTES) if value is None else value, odd)
        case "text":
            return text(rng, rng.choice(WORDS) if value is None else value, odd)
        case _:
            return rng.choice([b"N", b"\x88", b"\x89", b"I00\n", b"I01\n"])


def integer(rng: random.Random, value: object, odd: bool) -> bytes:
    """A whole number."""
    assert isinstance(value, int)
    if odd:
        return rng.choice([b"I", b"L"]) + rng.choice(ODD_INTEGERS) + b"\n"
    size = value.bit_length() // 8 + 1
    body = value.to_bytes(size, "little", signed=True)
    if rng.random() < 0.2:
        # more bytes than are needed: all readers take them
        body += b"\xff" if value < 0 else b"\x00"
    forms = [line(b"I", value), line(b"L", f"{value}L"), counted(b"\x8a", 1, body, rng, False)]
    forms.append(counted(b"\x8b", 4, body, rng, False))
    if 0 <= value < 256:
        forms.append(b"K" + bytes([value]))
    if 0 <= value < 65536:
        forms.append(b"M" + struct.pack("<H", value))
    if -(1 << 31) <= value < 1 << 31:
        forms += [b"J" + struct.pack("<i", value)] * 2
    if value == 0:
        forms.append(b"\x8a\x00")
    return rng.choice(forms)


def number(rng: random.Random, value: object, odd: bool) -> bytes:
    """A float."""
    assert isinstance(value, float)
    if odd:
        return b"F" + rng.choice(ODD_FLOATS) + b"\n"
    return rng.choice([line(b"F", repr(value)), b"G" + struct.pack(">d", value)])


def raw(rng: random.Random, value: object, odd: bool) -> bytes:
    """Bytes, or a bytearray."""
    assert isinstance(value, bytes)
    code, width = rng.choice([(b"B", 4), (b"C", 1), (b"\x8e", 8), (b"\x96", 8)] if len(value) < 256 else [(b"B", 4)])
    if code == b"\x96" and rng.random() < 0.7:
        code, width = b"C", 1
    return counted(code, width, value, rng, odd)


def text(rng: random.Random, value: object, odd: bool) -> bytes:
    """Text, or a python 2 str where it is ASCII."""
    assert isinstance(value, str)
    if odd and rng.random() < 0.7:
        code, choices = rng.choice([(b"S", ODD_STRINGS), (b"V", ODD_TEXTS)])
        return code + rng.choice(choices) + b"\n"
    encoded = value.encode("utf-8", "surrogatepass")
    forms = [counted(b"X", 4, encoded, rng, odd), counted(b"\x8d", 8, encoded, rng, odd)]
    if len(encoded) < 256:
        forms += [counted(b"\x8c", 1, encoded, rng, odd)] * 2
    spelled = value.replace("\\", "\\u005c").replace("\0", "\\u0000").replace("\n", "\\u000a").replace("\r", "\\u000d")
    forms.append(b"V" + spelled.replace("\x1a", "\\u001a").encode("raw-unicode-escape") + b"\n")
    if value.isascii():
        forms += [counted(b"T", 4, encoded, rng, odd), b"S" + repr(value).encode() + b"\n"]
        if len(encoded) < 256:
            forms.append(counted(b"U", 1, encoded, rng, odd))
    return rng.choice(forms)
