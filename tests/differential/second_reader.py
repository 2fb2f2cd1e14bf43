"""A second reading of a file, as an oracle: what the bytes name, call and load, or Outside for whatever else they hold.

It has its own reader of opcodes, its own of zips and its own closed list of names, and imports nothing of safeload: a
fault of the machine or of a container shows as a difference. `second_opinion.py` compares. It knows torch zips, legacy
torch files and bare pickles as their writers write them today, and is outside of the rest. Runs and builds nothing.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

from tests.differential.second_table import (
    CALLS,
    LOCATION,
    MAPPINGS,
    OPTIONS,
    ORDERED,
    PARAMETER,
    SHAPES,
    STORAGES,
    TORCH,
    Differs,
    Made,
    Outside,
    is_made,
    keys,
    kinds,
    sizes,
    stated,
    want,
)

MAGIC, PROTOCOL, FULL = 0x1950A86A20F9469CFC6C, 1001, 0xFFFFFFFF
ROW = 64
"""Pickles of a row that are read: their number counts twice."""
NOTES = dict.fromkeys((".data/version", "version"), rb"[0-9]{1,9}\n?") | {".data/serialization_id": rb"[0-9]{1,99}"}
NOTES |= dict.fromkeys((".format_version", ".storage_alignment"), rb"[1-9][0-9]{0,8}") | {"byteorder": b"little"}


def part(data: bytes, at: int, size: int) -> bytes:
    """Exactly `size` bytes."""
    want(at >= 0 and size >= 0 and at + size <= len(data), "the file is cut off")
    return data[at : at + size]


Memo = dict[int, tuple[Any, int]]
"""Index -> what was put there, and the offset of the opcode that did."""


class Walk:
    """One pickle, from `start` to before `stop`: what it names, calls and loads, where it ends and what it leaves.

    arity  parts of a persistent id; 0: there may be none
    room   bytes of each storage, where that is known before
    memo   that of an unpickler which may have read other pickles before: then MEMOIZE may hit a place that is used
    """

    def __init__(
        self, data: bytes, start: int, stop: int, arity: int = 0, room: dict[str, int] | None = None,
        memo: Memo | None = None,
    ) -> None:  # fmt: skip
        self.data, self.start, self.at, self.stop, self.arity, self.room = data, start, start, stop, arity, room
        self.frame, self.opcodes, self.here, code = 0, 1, start, ""
        self.stack: list[Any] = []
        self.marks, self.hooks, self.memo, self.after = [0], list[Any](), {} if memo is None else memo, memo is not None
        self.names, self.loads = dict[str, dict[str, Any]](), dict[str, dict[str, Any]]()
        self.got = list[Any]()
        """Each value that was got from the memo: itself when it is plain, else the offset of the opcode that put it."""
        try:
            head = self.take(2)
            want(head[0] == 0x80 and 2 <= head[1] <= 5, "no pickle of protocol 2 to 5 begins here")
            while code != ".":
                self.here, code, self.opcodes = self.at, chr(self.take(1)[0]), self.opcodes + 1
                self.step(code)
                want(not self.frame or self.at <= self.frame, "an opcode crosses the end of its frame")
                self.frame = 0 if self.at == self.frame else self.frame
            self.value, self.end = self.pop(), self.at
            want(not self.stack and len(self.marks) == 1 and not self.frame, "STOP leaves more than one value")
            empty = (h is None or (is_made(h, "call", ORDERED) and not h.items and not h.stated) for h in self.hooks)
            want(all(empty), "a tensor has backward hooks")
        except (Outside, ValueError, KeyError, IndexError) as error:
            kind = "" if type(error) is Outside else f"{type(error).__name__} "
            raise Outside(f"byte {self.here:#x}: {kind}{error}", getattr(error, "name", "")) from None

    def stream(self, member: str) -> dict[str, Any]:
        """This pickle as `second_opinion` compares it."""
        place = {"member": member, "offset": self.start, "length": self.at - self.start, "opcodes": self.opcodes}
        names, loads = self.names, self.loads
        return place | {"names": [names[n] for n in sorted(names)], "storages": [loads[k] for k in sorted(loads)]}

    def take(self, count: int) -> bytes:
        """The next bytes."""
        want(self.at + count <= self.stop, "the pickle is cut off")
        self.at += count
        return part(self.data, self.at - count, count)

    def get(self, index: int) -> Any:
        """The value at a place of the memo."""
        value, put = self.memo[index]
        plain = kinds((value,), str, bytes, int, bool, float, type(None))
        self.got.append((type(value), str(value)) if plain else put)
        return value

    def number(self, count: int, signed: bool = False) -> int:
        """The number in the next `count` bytes."""
        return int.from_bytes(self.take(count), "little", signed=signed)

    def counted(self, count: int) -> bytes:
        """The bytes behind a number of `count` bytes that says how many."""
        return self.take(self.number(count))

    def line(self) -> str:
        """The text up to the next line end."""
        return b"".join(iter(lambda: self.take(1), b"\n")).decode("ascii")

    def pop(self) -> Any:
        """The top of the stack; never one from below a mark."""
        want(len(self.stack) > self.marks[-1], "the stack is empty")
        return self.stack.pop()

    def marked(self) -> list[Any]:
        """All above the last mark, which goes."""
        want(len(self.marks) > 1, "there is no mark")
        at = self.marks.pop()
        items, self.stack[at:] = self.stack[at:], []
        return items

    def step(self, code: str) -> None:
        """One opcode."""
        if code in LITERALS:
            self.stack.append(LITERALS[code](self))
        elif code == "(":
            self.marks.append(len(self.stack))
        elif code in "aesu":
            items = self.marked() if code in "eu" else [self.pop() for _ in range(2 if code == "s" else 1)][::-1]
            self.stack.append(target := self.pop())
            mapping = is_made(target, "dict") or (is_made(target, "call") and target.of in MAPPINGS)
            want(mapping if code in "su" else is_made(target, "list"), "what stands there takes no items")
            want(code in "ae" or (len(items) % 2 == 0 and keys(items[::2])), "a key is no plain value")
            target.items += items
        elif code == "0":
            self.pop()
        elif code in "qr\x94":
            index = len(self.memo) if code == "\x94" else self.number(1 if code == "q" else 4)
            self.stack.append(top := self.pop())
            used = index in self.memo and not self.after
            want(not used and index < 1 << 26, "a place of the memo is used twice, or far away")
            self.memo[index] = top, self.here
        elif code == "b":
            state, target = self.pop(), self.pop()
            stated(target, state)
            self.names[target.of]["states"] += 1
            self.stack.append(target)
        elif code == "\x95":
            self.frame, inside = self.number(8) + self.at, self.frame
            want(not inside and self.frame > self.at, "a frame stands inside a frame, or is empty")
        else:
            want(code == ".", f"opcode {ord(code):#04x} is outside of what is read")

    def name(self, module: object, name: object) -> Made:
        """GLOBAL and STACK_GLOBAL: a name of the closed list, spelt without dots of its own."""
        want(type(module) is str and type(name) is str and "." not in name, "no plain name")
        of = f"{module}.{name}"
        if of not in SHAPES:
            raise Outside(f"{of[:200]!a} is not in the closed list", of)
        new = {"name": of, "shape": SHAPES[of], "named": 0, "calls": 0, "states": 0}
        self.names.setdefault(of, new)["named"] += 1
        return Made("name", of)

    def call(self, code: str, args: Any, func: Any) -> Any:
        """REDUCE, and NEWOBJ of the one class that is made so."""
        want(is_made(func, "name") and func.of in CALLS and type(args) is tuple, "what is called is no name for it")
        fits = (code == "\x81") == (func.of == OPTIONS) and CALLS[func.of][1](args)
        want(fits, f"{func.of} is not called like this")
        self.names[func.of]["calls"] += 1
        if func.of.startswith(TORCH):
            self.hooks += args[2:] if func.of == PARAMETER else args[5:6]
            return Made("tensor")
        return args[0].encode("latin1") if func.of == "_codecs.encode" else Made("call", func.of, args)

    def load(self, pid: Any) -> Made:
        """BINPERSID: a storage, always declared alike, and of the size that it has in the file."""
        fits = type(pid) is tuple and len(pid) == self.arity > 0 and is_made(pid[1], "name") and pid[1].of in STORAGES
        fits = fits and kinds((pid[0], *pid[2:4]), str) and sizes(pid[4:5]) and pid[5:] in ((), (None,))
        want(fits and (pid[0], pid[2].isdecimal(), pid[2].isascii()) == ("storage", True, True), "no storage of torch")
        key, kind, numel = pid[2], pid[1].of, pid[4]
        want(len(key) <= 32 and LOCATION.fullmatch(pid[3]), "no storage of torch")
        new = {"key": key, "type": kind, "location": pid[3], "numel": numel, "loads": 0}
        load, size = self.loads.setdefault(key, new), numel * STORAGES[kind]
        want({**load, "loads": 0} == new | {"loads": 0}, f"storage {key} is declared in two ways")
        want(self.room is None or self.room.get(key) == size, f"storage {key} has not {size} bytes in the file")
        load["loads"] += 1
        return Made("storage", kind, info=(STORAGES[kind], size))


LITERALS: dict[str, Callable[[Walk], Any]] = {
    "N": lambda w: None, "\x88": lambda w: True, "\x89": lambda w: False, ")": lambda w: (),
    "K": lambda w: w.number(1), "M": lambda w: w.number(2), "J": lambda w: w.number(4, signed=True),
    "\x8a": lambda w: int.from_bytes(w.counted(1), "little", signed=True),
    "G": lambda w: struct.unpack(">d", w.take(8))[0], "U": lambda w: w.counted(1).decode("ascii"),
    "X": lambda w: w.counted(4).decode(), "\x8c": lambda w: w.counted(1).decode(),
    "\x8d": lambda w: w.counted(8).decode(), "B": lambda w: w.counted(4), "C": lambda w: w.counted(1),
    "\x8e": lambda w: w.counted(8), "]": lambda w: Made("list"), "}": lambda w: Made("dict"),
    "t": lambda w: tuple(w.marked()), "\x85": lambda w: (w.pop(),), "\x86": lambda w: (w.pop(), w.pop())[::-1],
    "\x87": lambda w: (w.pop(), w.pop(), w.pop())[::-1], "h": lambda w: w.get(w.number(1)),
    "j": lambda w: w.get(w.number(4)), "c": lambda w: w.name(w.line(), w.line()),
    "\x93": lambda w: w.name(*(w.pop(), w.pop())[::-1]), "Q": lambda w: w.load(w.pop()),
    "R": lambda w: w.call("R", w.pop(), w.pop()), "\x81": lambda w: w.call("\x81", w.pop(), w.pop()),
}  # fmt: skip
"""Opcodes that leave one value, and which. Others are in `Walk.step`, and no further one is read."""


def members(file: bytes) -> tuple[list[dict[str, Any]], tuple[str, int, int]]:
    """The storages of a torch zip, and name, offset and size of its data.pkl. One folder, and members tile the file."""
    tail = len(file) - 22
    mark, disk, first, here, count, length, offset, note = struct.unpack("<4sHHHHIIH", part(file, tail, 22))
    want((mark, disk, first, note) == (b"PK\5\6", 0, 0, 0), "the file does not end with a plain end record")
    if file[max(tail - 20, 0) :][:4] == b"PK\6\7":
        small, tail = (here, count, length, offset), tail - 76
        record = struct.unpack("<4sQ4xIIQQQQ4xIQI", part(file, tail, 76))
        here, count, length, offset = record[4:8]
        want((*record[:4], *record[8:]) == (b"PK\6\6", 44, 0, 0, 0, tail, 1), "the zip64 records are not plain")
        full = (0xFFFF, 0xFFFF, FULL, FULL)
        want(all(n in pair for n, *pair in zip(small, full, record[4:8], strict=True)), "two end records differ")
    want(here == count and offset + length == tail, "the directory does not end where its end record begins")
    directory, entries, at = part(file, offset, length), [], 0
    while at < length:
        want(at + 46 <= length, "the directory is cut off")
        entry = struct.unpack_from("<4s4xHH4xIIIHHHHHII", directory, at)
        mark, flags, method, crc, packed, size, names, extra, note, disk, _, outer, header = entry
        name, more = directory[at + 46 : at + 46 + names], directory[at + 46 + names : at + 46 + names + extra]
        if wanted := (size, packed, header).count(FULL):
            want(more[:4] == struct.pack("<HH", 1, 8 * wanted) and len(more) == 4 + 8 * wanted, "no plain zip64 field")
            wide = iter(struct.unpack(f"<{wanted}Q", more[4:]))
            size, packed, header = (next(wide) if n == FULL else n for n in (size, packed, header))
        want(bool(wanted) == bool(extra) and mark == b"PK\1\2" and not (method or note or disk), "no plain entry")
        want(flags in (0, 8, 0x800, 0x808) and packed == size and not outer & 0xF0000010, "no plain entry")
        entries.append((name, flags, crc, size, header))
        at += 46 + names + extra
    want(at == length and len(entries) == count, "the directory does not hold what it announces")
    folders, every = {e[0].partition(b"/")[0] for e in entries}, {e[0].lower() for e in entries}
    want(len(folders) == 1 and len(every) == len(entries), "not one folder, or a name stands twice")
    # Where it would be unpacked to nowhere else.
    want(re.fullmatch(rb"(?![. ]*$)[^:]{1,400}", min(folders)), "the folder has no plain name")
    done, storages, found = 0, list[dict[str, Any]](), list[tuple[str, int, int]]()
    for (name, flags, crc, size, header), end in zip(entries, [*(e[4] for e in entries[1:]), offset], strict=True):
        local = struct.unpack("<4s2xHHxxxxIIIHH", part(file, done, 30))
        same = local[3:6] == (crc, size, size) or (flags & 8 and not any(local[3:6]))
        want(header == done and local[:3] == (b"PK\3\4", flags, 0) and same, f"a local header differs at {done:#x}")
        same = part(file, done + 30, local[6]) == name and re.fullmatch(rb"[ -\[\]-~]+", name) is not None
        want(same, f"a local header has another name at {done:#x}")
        start = done + 30 + local[6] + local[7]
        done = start + size
        if flags & 8:
            form = "<4sIII" if end - done == 16 else "<4sIQQ"
            said = part(file, done, struct.calcsize(form))
            want(said == struct.pack(form, b"PK\7\x08", crc, size, size), f"no plain descriptor at {done:#x}")
            done += len(said)
        want(done == end, f"bytes that belong to no member stand at {done:#x}")
        relative = name.decode("ascii").partition("/")[2]
        if re.fullmatch(r"data/[0-9]{1,32}", relative):
            storages.append({"key": relative[5:], "offset": start, "size": size})
            continue
        data = part(file, start, size)
        known = relative == "data.pkl" or (relative in NOTES and re.fullmatch(NOTES[relative], data))
        want(known and zlib.crc32(data) == crc, f"no member that torch writes stands at {start:#x}")
        found += [(name.decode(), start, size)] if relative == "data.pkl" else []
    want(len(found) == 1, "there is no data.pkl")
    return storages, found[0]


def rows(file: bytes) -> list[Walk]:
    """Each pickle of a file of pickles, or the first five of a legacy torch file, read by an unpickler of its own."""
    walks, at, legacy = list[Walk](), 0, False
    while at < len(file) and not (legacy and len(walks) == 5):
        walks.append(Walk(file, at, len(file), 6 if legacy and len(walks) == 3 else 0))
        at, legacy = walks[-1].end, type(walks[0].value) is int and walks[0].value == MAGIC
    if not legacy:
        want(len(walks) <= ROW, "so many pickles are outside of what is read")
        # One unpickler may be called for each pickle of a row, from any of them on, and keeps its memo: MEMOIZE counts
        # on, and what is got moves. A pickle does the same where it gets the same each time.
        for first in range(len(walks) - 1):
            memo: Memo = {}
            for walk in walks[first:]:
                why = "another value is got"
                try:
                    same = Walk(file, walk.start, len(file), memo=memo).got == walk.got
                except Outside as error:
                    same, why = False, str(error)
                if not same:
                    raise Differs(f"the pickle at {walk.start:#x} depends on those before it: {why}")
    return walks


def derive(file: bytes) -> dict[str, Any]:
    """What these bytes are and do. Raises Outside."""
    if file[:4] == b"PK\3\4":
        extents, (member, start, size) = members(file)
        walk = Walk(file, start, start + size, 5, {e["key"]: e["size"] for e in extents})
        want(walk.end == start + size, "bytes follow the pickle in its member")
        want(len(walk.loads) == len(extents), "there are storages that the pickle does not name")
        return {"container": "torch-zip", "storages": extents, "streams": [walk.stream(member)]}
    head = file[:512]
    rest, told = head[:148] + head[156:], head[148:156].decode("latin-1").replace("_", "")
    for n in (256 + sum(rest), 256 + sum(rest) - 256 * sum(byte > 127 for byte in rest)):
        want(n and f"{n:o}" not in told and (n % 256**7).to_bytes(7) != head[149:156], "the file begins like a tar")
    want(b"PK\5\6" not in file[-65557:], "the file ends like a zip")
    walks, extents = rows(file), list[dict[str, Any]]()
    want(walks, "there is no pickle")
    at, container = walks[-1].end, "pickle"
    if type(walks[0].value) is int and walks[0].value == MAGIC:
        container = "torch-legacy"
        want(len(walks) == 5 and walks[1].value == PROTOCOL and is_made(walks[4].value, "list"), "no file of torch")
        listed, loads = walks[4].value.items, walks[3].loads
        want(kinds(listed, str) and sorted(listed) == sorted(loads), "not the keys of its storages")
        for key in listed:
            size = loads[key]["numel"] * STORAGES[loads[key]["type"]]
            want(part(file, at, 8) == loads[key]["numel"].to_bytes(8, "little"), f"another length at {at:#x}")
            extents.append({"key": key, "offset": at + 8, "size": size})
            at += 8 + size
    want(at == len(file), "the file is longer or shorter than what is in it")
    return {"container": container, "storages": extents, "streams": [walk.stream("") for walk in walks]}
