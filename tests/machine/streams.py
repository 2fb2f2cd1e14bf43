"""Made-up pickles: random opcodes with fitting arguments, and valid pickles that were damaged. Seeded by the caller."""

from __future__ import annotations

import pickle
import random

from safeload.machine import OPCODES, Opcode

_NUMBERS = [b"0", b"1", b"00", b"01", b"7", b"-1", b"12L", b"5L", b"1.5", b"1e5", b" 1", b"0x1", b"010", b"1_0", b"+1"]
_NUMBERS += [b"", b"inf", b"nan", b"-inf", b"1\x002", b"9" * 30, b"1e999", b"\xff", b"-0", b"'a'", b"'\\x41'", b"a.b"]
_WORDS = [b"a", b"os", b"system", b"__builtin__", b"copy_reg", b"", b"\xc3\xa9", b"\xff", b"a b"]

SEEDS: list[bytes] = [
    pickle.dumps(value, protocol)
    for protocol in range(6)
    for value in (
        [1, "a", 2.5, None, True, (1, 2), {"k": [b"x"]}],
        {"a": {1: 2}, "b": [1, 2, 3] * 3, (1, 2): {3, 4}, "f": frozenset({1})},
        [ValueError("x"), complex(1, 2), bytearray(b"y"), -(1 << 70)],
    )
]


def argument(rng: random.Random, form: str) -> bytes:
    """A likely argument of `form`."""
    if form in {"u1", "u2", "u4", "i4", "u8"}:
        size = int(form[1])
        small = rng.choice([0, 1, 2, 3, 5, 12, 40, 255])
        return (small if rng.random() < 0.95 else rng.randrange(256**size)).to_bytes(size, "little")
    if form == "f8":
        return rng.randbytes(8)
    if form.startswith("n"):
        body = rng.choice([b"", b"a", b"os", b"\xc3\xa9", b"\x80\x04N.", b"\xff\xff", rng.randbytes(9)])
        size = len(body) if rng.random() < 0.95 else rng.randrange(256 ** int(form[1]))
        return size.to_bytes(int(form[1]), "little") + body
    if form == "line":
        return rng.choice(_NUMBERS) + b"\n"
    if form == "lines":
        return rng.choice(_WORDS) + b"\n" + rng.choice(_WORDS) + b"\n"
    return b""


def opcode(rng: random.Random, op: Opcode) -> bytes:
    """`op` with a likely argument."""
    return bytes([op.code]) + argument(rng, op.argument)


def woven(rng: random.Random) -> bytes:
    """Random opcodes, those that push before those that take."""
    parts = [rng.choice([b"", b"\x80\x02", b"\x80\x04"])]
    pushers = [op for op in OPCODES if op.name in _PUSHERS]
    for _ in range(rng.randrange(1, 25)):
        if rng.random() < 0.5:
            parts.append(opcode(rng, rng.choice(pushers)))
        else:
            parts.append(opcode(rng, rng.choice(OPCODES)))
    return b"".join(parts) + b"."


def damaged(rng: random.Random) -> bytes:
    """A valid pickle with a few changes."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(5)
        if kind == 0 and data:
            data[at % len(data)] = rng.randrange(256)
        elif kind == 1:
            data[at:at] = opcode(rng, rng.choice(OPCODES))
        elif kind == 2:
            del data[at : at + rng.randrange(1, 5)]
        elif kind == 3:
            other = rng.choice(SEEDS)
            cut = rng.randrange(len(other))
            data[at:at] = other[cut : cut + rng.randrange(20)]
        else:
            del data[at:]
    return bytes(data)


def noise(rng: random.Random) -> bytes:
    """Random bytes, most of them opcodes."""
    codes = [op.code for op in OPCODES]
    return bytes(rng.choice(codes) if rng.random() < 0.8 else rng.randrange(256) for _ in range(rng.randrange(40)))


_PUSHERS = {
    "NONE", "NEWTRUE", "BININT1", "BININT2", "BINFLOAT", "SHORT_BINUNICODE", "SHORT_BINBYTES", "EMPTY_TUPLE",
    "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "MARK", "GLOBAL", "MEMOIZE", "BINPUT", "BINGET", "DUP", "TUPLE1",
}  # fmt: skip
