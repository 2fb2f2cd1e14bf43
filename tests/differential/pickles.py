"""Cases for the machine: pickles woven opcode by opcode, real ones that were damaged, and rows of both.

Rows for one unpickler, which keeps its memo, are in memo_rows. `case(seed, index)` is a function of its arguments and
the samples, so that a run can be repeated from any point.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

from safeload.machine import OPCODES
from tests.differential import memo_rows, spellings
from tests.differential.opcode_streams import HASHABLE, MARK, OBJECTS, Weaver
from tests.differential.oracle_process import Case
from tests.machine import streams

SAMPLES = Path(__file__).resolve().parent.parent.parent / "samples" / "files"
# How many of the cases are rows of pickles for one Unpickler.
ROWS = 0.2
# Longer ones cost time and hold nothing new.
LONGEST_SEED = 6_000
# CPython never ends on it: each mutation of it would cost its child a life.
ENDLESS = "doubling-key.pkl"


def case(seed: int, index: int) -> Case:
    """Case `index` of `seed`."""
    rng = random.Random(f"{seed}:{index}")
    kind = rng.random()
    if kind < ROWS:
        data = memo_rows.row(rng, STEPS + MEMORY, closed)
    elif kind < 0.55:
        data = woven(rng, 0.0 if rng.random() < 0.6 else 0.05)
    elif kind < 0.7:
        data = damaged(rng, woven(rng, 0.01))
    elif kind < 0.9:
        data = damaged(rng, rng.choice(seeds()))
    elif kind < 0.95:
        data = b"".join(woven(rng, 0.01) for _ in range(rng.randrange(2, 4)))
        data += rng.choice([b"", b"", b"\n", b"\0\0", b"N", b".", b"garbage"])
    else:
        data = rng.choice([streams.woven, streams.damaged, streams.noise])(rng)
    encoding = "ASCII" if rng.random() < 0.85 else rng.choice(["utf-8", "latin1", "bytes"])
    return data, encoding


def woven(rng: random.Random, breakage: float) -> bytes:
    """A pickle made up opcode by opcode."""
    weaver = Weaver(rng, breakage)
    for _ in range(rng.randrange(1, 25)):
        if weaver.odd():
            op = rng.choice(OPCODES)
            weaver.put(streams.opcode(rng, op))
        else:
            rng.choice(STEPS)(weaver)
    return closed(weaver)


def _mark(w: Weaver) -> None:
    if w.stack.count(MARK) < 4:
        w.put(b"(", MARK)


def _close(w: Weaver) -> None:
    """Close the last mark in a way that its values bear."""
    if MARK not in w.stack:
        return
    above, under = w.above(), w.below_mark()
    even, hashable = len(above) % 2 == 0, all(kind in HASHABLE for kind in above)
    forms: list[tuple[bytes, str | None]] = [(b"t", "tuple" if hashable else "tuple!"), (b"l", "list"), (b"1", None)]
    if hashable:
        forms.append((b"\x91", "frozenset"))
    if even and all(kind in HASHABLE for kind in above[::2]):
        forms.append((b"d", "dict"))
        if under == "dict" or under in OBJECTS:
            forms += [(b"u", None)] * 3
    if under == "list" or (under in OBJECTS and above):
        forms += [(b"e", None)] * 3
    if (under == "set" and hashable) or (under in OBJECTS and above):
        forms += [(b"\x90", None)] * 3
    if above and above[0] in OBJECTS:
        forms += [(b"o", "node")] * 3
    w.close(*w.rng.choice(forms))


def _tuple(w: Weaver) -> None:
    count = w.rng.randrange(1, 4)
    kinds = w.stack[-count:]
    if len(kinds) == count and MARK not in kinds:
        w.put(b"\x84\x85\x86\x87"[count : count + 1], "tuple" if set(kinds) <= HASHABLE else "tuple!", count)


def _append(w: Weaver) -> None:
    if w.top() == "list" or w.top() in OBJECTS:
        w.value()
        w.put(b"a", None, 1)


def _setitem(w: Weaver) -> None:
    if w.top() == "dict" or w.top() in OBJECTS:
        w.key()
        w.value()
        w.put(b"s", None, 2)


def _twice(w: Weaver) -> None:
    """A dict or a set that is given an equal key twice, or the same object."""
    wanted = w.known({"name", "node"} if w.rng.random() < 0.5 else HASHABLE)
    if not wanted:
        w.atom()
        w.remember()
        return
    index = w.rng.choice(wanted)
    dictionary = w.rng.random() < 0.6
    w.put(b"}" if dictionary else b"\x8f", "dict" if dictionary else "set")
    w.put(b"(", MARK)
    for _ in range(w.rng.randrange(2, 4)):
        w.get(index) if w.rng.random() < 0.8 else w.key()
        if dictionary:
            w.value()
    w.close(b"u" if dictionary else b"\x90", None)


def _recall(w: Weaver) -> None:
    """Read what the memo holds under the index that was written last."""
    if w.memo:
        w.get(w.written)


def _pop(w: Weaver) -> None:
    if w.stack:
        w.put(b"0", None, 1)


def _dup(w: Weaver) -> None:
    if w.top() not in ("", MARK):
        w.put(b"2", w.top())


def _build(w: Weaver) -> None:
    if w.top() not in OBJECTS and not w.odd():
        return
    if w.rng.random() < 0.4:
        # state and slot state
        w.value()
        w.keywords()
        w.put(b"\x86", "tuple!", 2)
    else:
        w.keywords()
    w.put(b"b", None, 1)


def _persistent(w: Weaver) -> None:
    if w.rng.random() < 0.3:
        w.put(spellings.line(b"P", w.rng.choice(["1", "abc d", "", "storage"])), "node")
    else:
        w.value()
        w.put(b"Q", "node", 1)


def _buffer(w: Weaver) -> None:
    if w.rng.random() < 0.2:
        w.put(b"\x97", "node")
    elif w.top() == "bytes":
        w.put(b"\x98")


def _thrown_away(w: Weaver) -> None:
    w.call()
    w.put(b"0", None, 1)


def _late_proto(w: Weaver) -> None:
    if w.rng.random() < 0.1:
        w.put(b"\x80" + bytes([w.rng.randrange(7)]))


STEPS: list[Callable[[Weaver], None]] = [
    Weaver.atom, Weaver.atom, Weaver.value, Weaver.value, Weaver.name, Weaver.call, Weaver.call, Weaver.remember,
    Weaver.remember, Weaver.remember, Weaver.remember, _recall, _recall, _twice, _mark, _mark, _close, _close,
    _close, _tuple, _append, _append, _setitem, _setitem, _pop, _dup, _build, _persistent, _buffer, _thrown_away,
    _late_proto,
]  # fmt: skip


MEMORY: list[Callable[[Weaver], None]] = [Weaver.remember, Weaver.remember, _recall, _recall, _pop] * 4
"""What makes a pickle depend on its memo."""


def finish(w: Weaver) -> None:
    """Leave one value and write STOP, now and then with something below it or without either."""
    while MARK in w.stack and not w.odd():
        w.close(w.rng.choice([b"t", b"l"]), "list")
    while len(w.stack) > 1 and not w.odd():
        take = min(len(w.stack), 3)
        w.put(b"\x84\x85\x86\x87"[take : take + 1], "tuple!", take)
    if not w.stack and not w.odd():
        w.put(b"N", "none")
    if not w.odd():
        w.put(b".")


def closed(w: Weaver) -> bytes:
    """A whole pickle out of what is woven."""
    finish(w)
    return header(w) + framed(w)


def header(w: Weaver) -> bytes:
    """PROTO, as pickle writes it or another."""
    if w.odd():
        return w.rng.choice([b"", b"\x80\x06", b"\x80\xff", b"\x80", b"\x80\x02\x80\x04", b"\x80\x00"])
    return bytes([0x80, w.proto]) if w.proto >= 2 or w.rng.random() < 0.2 else b""


def framed(w: Weaver) -> bytes:
    """The opcodes, some of them in frames, true or lying."""
    if w.rng.random() < (0.5 if w.proto < 4 else 0.3):
        return b"".join(w.parts)
    out: list[bytes] = []
    at = 0
    while at < len(w.parts):
        count = w.rng.randrange(1, len(w.parts) + 1)
        body = b"".join(w.parts[at : at + count])
        at += count
        if w.rng.random() < 0.8:
            size = len(body)
            if w.odd():
                size = w.rng.choice([size + 1, size - 1, 0, 1, size + 300, 1 << 40, 1 << 63, (1 << 64) - 1])
            out.append(b"\x95" + (size % (1 << 64)).to_bytes(8, "little"))
        out.append(body)
    return b"".join(out)


def damaged(rng: random.Random, whole: bytes) -> bytes:
    """`whole` with a few changes, most of them where an opcode is."""
    data = bytearray(whole)
    starts = boundaries(whole)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        at = rng.choice(starts) if rng.random() < 0.7 else rng.randrange(len(data) + 1)
        at = min(at, len(data))
        kind = rng.randrange(8)
        if kind == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and at < len(data):
            data[at] = rng.choice(OPCODES).code
        elif kind == 2:
            data[at:at] = streams.opcode(rng, rng.choice(OPCODES))
        elif kind == 3:
            group = Weaver(rng, 0.0)
            rng.choice(STEPS)(group)
            data[at:at] = b"".join(group.parts)
        elif kind == 4:
            end = min((s for s in starts if s > at), default=len(data))
            del data[at:end]
        elif kind == 5:
            other = rng.choice(seeds())
            cuts = boundaries(other)
            begin = rng.choice(cuts)
            data[at:at] = other[begin : begin + rng.randrange(40)]
        elif kind == 6 and rng.random() < 0.3:
            del data[at:]
        else:
            end = rng.choice(starts)
            data[at:at] = bytes(data[min(at, end) : min(max(at, end), min(at, end) + 60)])
    return bytes(data)


@functools.lru_cache(maxsize=512)
def boundaries(data: bytes) -> list[int]:
    """Where the opcodes of the first pickle of `data` begin, as far as pickletools sees."""
    import pickletools

    found = [0]
    with contextlib.suppress(Exception):
        found += [at for _, _, at in pickletools.genops(data) if at is not None]
    return found


@functools.cache
def seeds() -> list[bytes]:
    """Real pickles: of the samples, hostile ones and those that torch wrote, and of the standard library's pickler."""
    found = list(streams.SEEDS)
    for path in sorted(SAMPLES.rglob("*")):
        if path.name == ENDLESS:
            continue
        if path.suffix == ".pkl":
            found.append(path.read_bytes())
        elif path.suffix == ".pt":
            found += members(path)
    for protocol in range(6):
        for value in (_TREE, [pickle.PickleError("x"), range(3), {1, 2}], {"lr": 0.1, "betas": (0.9, 0.999)}):
            found += [pickle.dumps(value, protocol), pickle._dumps(value, protocol)]  # type: ignore[attr-defined]
    return [data for data in found if len(data) <= LONGEST_SEED]


_TREE = {f"layer.{i}.weight": [i, (i, 2**i), b"x" * i, {"k": None, i: 1.5}] for i in range(12)}


def members(path: Path) -> list[bytes]:
    """The pickles of a torch file: data.pkl of an archive, or the pickles of a legacy file with what follows."""
    try:
        with zipfile.ZipFile(path) as archive:
            return [archive.read(info) for info in archive.infolist() if info.filename.endswith(".pkl")]
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError):
        data = path.read_bytes()
        return [data[:LONGEST_SEED]] if data[:1] == b"\x80" else []
