"""Rows of pickles for one Unpickler: what each leaves in the memo may change what the next ones do.

Most of them are valid for an unpickler that begins anew with each, so that the difference is what the memo makes of
them. Seeded by the caller; the same seed is the same bytes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.differential import spellings
from tests.differential.opcode_streams import Weaver

# Where memo entries meet: small indices, written by PUT and by MEMOIZE.
FEW = 4
MADE = [
    b"]", b"}", b"\x8f", b"ccollections\nOrderedDict\n)R", b"cmy.module\nClass\n)R", b"\x82\x01", b"K\x01Q", b"Pid\n",
]  # fmt: skip
WORDS = ["collections", "OrderedDict", "os", "system", "builtins", "set", "my.module", "Class"]


def row(rng: random.Random, weave: list[Callable[[Weaver], None]], close: Callable[[Weaver], bytes]) -> bytes:
    """Two to four pickles in a row."""
    count = rng.choice([2, 2, 3, 3, 4])
    kind = rng.random()
    if kind < 0.3:
        parts = [_named(rng) for _ in range(count)]
    elif kind < 0.5:
        parts = [_shifted(rng) for _ in range(count)]
    elif kind < 0.6:
        # the same again, or almost: equal by luck
        one = rng.choice([_named, _shifted])(rng)
        parts = [one] * (count - 1) + [rng.choice([one, _named(rng)])]
    elif kind < 0.75:
        made = rng.choice(MADE)
        parts = [_taken(rng, made, first=not number) for number in range(count)]
    else:
        parts = [_woven(rng, weave, close) for _ in range(count)]
    if rng.random() < 0.3:
        parts[rng.randrange(count)] = rng.choice([_named, _shifted, _plain])(rng)
    if rng.random() < 0.1:
        module, name = rng.choice(spellings.NAMES)
        parts[0] = f"c{module}\n{name}\n.".encode()
    return b"".join(parts)


def _word(rng: random.Random, word: str) -> bytes:
    raw = word.encode()
    return rng.choice([b"\x8c" + bytes([len(raw)]), b"X" + struct.pack("<I", len(raw)), b"U" + bytes([len(raw)])]) + raw


def _keep(rng: random.Random, index: int, fresh: int) -> bytes:
    """Memoise the top value under `index`; by MEMOIZE when that is where it goes."""
    forms = [b"q" + bytes([index]), spellings.line(b"p", index), b"r" + struct.pack("<I", index)]
    if index == fresh:
        forms += [b"\x94"] * 6
    return rng.choice(forms)


def _get(rng: random.Random, index: int) -> bytes:
    return rng.choice([b"h" + bytes([index]), spellings.line(b"g", index), b"j" + struct.pack("<I", index)])


def _named(rng: random.Random) -> bytes:
    """Words into the memo, and a name and a call out of it."""
    out = [rng.choice([b"", b"\x80\x04"])]
    memo: dict[int, str] = {}
    for _ in range(rng.randrange(2, FEW + 2)):
        word = rng.choice(WORDS[:2] * 3 + WORDS)
        index = rng.choice([len(memo)] * 4 + [rng.randrange(FEW)])
        out += [_word(rng, word), _keep(rng, index, len(memo)), b"0"]
        memo[index] = word
    if rng.random() < 0.75:
        module, name = rng.choice([(0, 1), (0, 1), (rng.randrange(FEW), rng.randrange(FEW))])
        if module in memo and name in memo:
            out += [_get(rng, module), _get(rng, name), b"\x93", rng.choice([b"", b")R", b"]\x85R", b")R}b"])]
            return b"".join([*out, b"."])
    out += [b"(", *(_get(rng, index) for index in memo if rng.random() < 0.7), b"t."]
    return b"".join(out)


def _shifted(rng: random.Random) -> bytes:
    """Entries that are only written, by few means: what the indices of the next pickles depend on."""
    out = [b"("]
    used: set[int] = set()
    for _ in range(rng.randrange(0, FEW)):
        index = rng.choice([len(used)] * 3 + [rng.randrange(FEW)])
        made = rng.choice([b"]", b"}", b")", b"N", _word(rng, rng.choice(WORDS)), _word(rng, rng.choice(WORDS))])
        out += [made, _keep(rng, index, len(used))]
        used.add(index)
    return b"".join([*out, rng.choice([b"t.", b"l.", b"1N."])])


def _taken(rng: random.Random, made: bytes, *, first: bool) -> bytes:
    """A container or an object that a pickle makes and the next one takes, changes and throws away, maybe its own."""
    index = rng.choice([0, 0, 1])
    before = _word(rng, "a") + b"\x94" + b"0" if index else b""
    out = before + made + _keep(rng, index, index)
    if first and rng.random() < 0.8:
        return out + b"."
    change = rng.choice([b"Na", b"(NNe", b"(NNu", b"NNs", b"(N\x90", b"}b", b"0N", b"", b"\x85", b")R"])
    fits = {b"]": [b"Na", b"(NNe"], b"}": [b"(NNu", b"NNs"], b"\x8f": [b"(N\x90"]}.get(made, [change])
    change = rng.choice([change, *fits * 4])
    out += b"0" + _get(rng, index) + change
    return out + rng.choice([b".", b"0N.", b"\x85."])


def _plain(rng: random.Random) -> bytes:
    return rng.choice([b"N.", b"K\x01.", b"\x80\x04].", b"\x80\x02}q\x00.", b"]\x94.", b"N\x940N."])


def _woven(rng: random.Random, weave: list[Callable[[Weaver], None]], close: Callable[[Weaver], bytes]) -> bytes:
    weaver = Weaver(rng, 0.0)
    for _ in range(rng.randrange(1, 12)):
        rng.choice(weave)(weaver)
    return close(weaver)
