"""Damage that knows little: to any bytes, to the opcodes of a pickle, to text made of tokens, to the values of JSON.

Each function takes a `random.Random` first and gives new bytes; nothing else decides what comes out.
"""

from __future__ import annotations

import json
import pickletools
import random
import re
from typing import Any

from safeload.machine import OPCODES
from tests.machine.streams import opcode

NUMBERS = (0, 1, 2, 7, 8, 0x20, 0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1,
           1 << 63, (1 << 64) - 1, 1 << 62, 1 << 40)  # fmt: skip
CODES = bytes(op.code for op in OPCODES)
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 2**53, 2**63, 2**64, -(2**63), 0.5, 1e308, "", "w", "a.b", "F32", "BF16", "cpu",
    [], {}, [0], [0, 4], [2**62, 4], [[]], {"ref": 1}, {"id": 1, "list": []}, {"tensor": "w"}, "\ud800", "x" * 300,
)  # fmt: skip
_TOKENS = re.compile(rb'"(?:[^"\\]|\\.)*"|\'[^\']*\'|-?[0-9.]+|[A-Za-z_]+|\s+|.', re.DOTALL)
_PIECES = (
    b"{", b"}", b"[", b"]", b"(", b")", b",", b":", b'"', b"'", b"1", b"-1", b"9" * 25, b"1e999", b"null", b"True",
    b"NaN", b"\\u0000", b"'|O'", b"'<f8'", b"'<M8[ns]'", b"(1,)", b"'descr'", b'"F32"', b"\xff", b"L", b" ",
)  # fmt: skip


def number(rng: random.Random, size: int, before: int = 0) -> bytes:
    """A number of `size` bytes that may be where things end: a limit, or close to the one that was there."""
    found = before + rng.choice((-8, -1, 1, 8)) if rng.random() < 0.4 else rng.choice(NUMBERS)
    return (found & ((1 << 8 * size) - 1)).to_bytes(size, "little")


def some_bytes(rng: random.Random, given: bytes, others: bytes, low: int = 0, high: int | None = None) -> bytes:
    """One change in [low, high): a bit, a number, an opcode, something cut, doubled, moved or from `others`."""
    data = bytearray(given)
    top = len(data) if high is None else min(high, len(data))
    at = rng.randrange(low, top) if top > low else len(data)
    match rng.randrange(10):
        case 0 if at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            data[at : at + 1] = bytes([rng.choice(CODES)])
        case 2:
            data[at:at] = bytes([rng.choice(CODES)])
        case 3:
            del data[at : at + rng.choice((1, 1, 2, 4, 8, 60))]
        case 4 | 5:
            size = rng.choice((1, 2, 4, 8))
            data[at : at + size] = number(rng, size, int.from_bytes(data[at : at + size], "little"))
        case 6:
            start = rng.randrange(len(others) + 1)
            data[at:at] = others[start : start + rng.randrange(1, 60)]
        case 7:
            data[at:at] = data[at : at + rng.randrange(1, 40)]
        case 8:
            other, length = rng.randrange(len(data) + 1), rng.randrange(1, 20)
            data[other : other + length] = data[at : at + length]
        case _:
            del data[rng.randrange(at, len(data) + 1) :]
    return bytes(data)


def opcodes(given: bytes) -> list[bytes]:
    """The opcodes of the first pickle in `given` and what follows it; all of it as one piece when it is none."""
    starts = []
    try:
        for _, _, at in pickletools.genops(given):
            starts.append(at)
    except Exception:
        if not starts or starts[-1] is None:
            return [given]
    spots = [at for at in starts if at is not None]
    return [given[a:b] for a, b in zip(spots, [*spots[1:], len(given)], strict=True)] if spots else [given]


def some_opcodes(rng: random.Random, given: bytes, others: bytes) -> bytes:
    """One to three opcodes taken out, doubled, swapped, made up, from another pickle, or with other arguments."""
    ops = opcodes(given)
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(ops)) if ops else 0
        match rng.randrange(7):
            case 0:
                del ops[at : at + rng.choice((1, 1, 2, 5))]
            case 1:
                ops[at:at] = ops[at : at + rng.choice((1, 1, 3))]
            case 2 if ops:
                other = rng.randrange(len(ops))
                ops[at], ops[other] = ops[other], ops[at]
            case 3:
                ops.insert(at, opcode(rng, rng.choice(OPCODES)))
            case 4:
                theirs = opcodes(others[:2000])
                start = rng.randrange(len(theirs))
                ops[at:at] = [op for op in theirs[start : start + rng.randrange(1, 12)] if op != b"."]
            case 5 if ops and len(ops[at]) > 1:
                size = len(ops[at]) - 1
                if size in (1, 2, 4, 8):
                    ops[at] = ops[at][:1] + number(rng, size, int.from_bytes(ops[at][1:], "little"))
                else:
                    ops[at] = ops[at][:1] + some_bytes(rng, ops[at][1:], others)
            case _ if ops:
                ops[at] = bytes([rng.choice(CODES)]) + ops[at][1:]
    return b"".join(ops)


def some_text(rng: random.Random, given: bytes) -> bytes:
    """One to three tokens of a text replaced, taken out, doubled or swapped."""
    tokens = _TOKENS.findall(given)
    for _ in range(rng.choice((1, 1, 2, 3))):
        if not tokens:
            return rng.choice(_PIECES)
        at = rng.randrange(len(tokens))
        match rng.randrange(5):
            case 0:
                del tokens[at]
            case 1:
                tokens.insert(at, rng.choice(_PIECES))
            case 2:
                tokens[at] = rng.choice(_PIECES)
            case 3:
                tokens.insert(at, rng.choice(tokens))
            case _:
                tokens[at] = rng.choice(tokens)
    return b"".join(tokens)


def some_value(rng: random.Random, top: Any) -> Any:
    """`top`, of JSON, with one value in it replaced, taken out, doubled, moved or renamed. `top` itself is changed."""
    spot, places = top, []
    while isinstance(spot, dict | list) and spot:
        key = rng.choice(list(spot)) if isinstance(spot, dict) else rng.randrange(len(spot))
        places.append((spot, key))
        spot = spot[key]
    if not places:
        return rng.choice(VALUES)
    holder, key = rng.choice(places)
    match rng.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, holder[key])
        case 1 | 2:
            other, at = rng.choice(places)
            # A value that holds its own place would be JSON without end.
            holder[key] = json.loads(json.dumps(other[at])) if at in other or isinstance(at, int) else None
        case 3 if isinstance(holder, dict):
            holder[rng.choice(("x", "", "id", "list", "tuple", "call", "shape", "dtype", "a.b"))] = holder.pop(key)
        case 4 if type(holder[key]) is int:
            holder[key] += rng.choice((-8, -4, -1, 1, 4, 8, 1 << 33))
        case _:
            holder[key] = rng.choice(VALUES)
    return top


def some_json(rng: random.Random, given: bytes) -> bytes:
    """JSON with one or two of its values changed; by tokens when it is none, and now and then anyway."""
    if rng.random() < 0.7:
        try:
            top = json.loads(given)
            for _ in range(rng.choice((1, 1, 2))):
                top = some_value(rng, top)
            return json.dumps(top).encode()
        except (ValueError, RecursionError, LookupError, TypeError):
            pass
    return some_text(rng, given)
