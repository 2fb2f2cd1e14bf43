"""The independent verifier: derives from the bytes of a file what its certificate has to say, or refuses.

A second opinion, so that one bug in the machine cannot alone produce a trusted verdict: it imports nothing of safeload
but errors and the interface of an input, and has its own reader of opcodes, its own of zips and its own closed list of
names. It knows torch zips, legacy torch files and bare pickles as their writers write them today, and refuses the rest,
also much that the scanner understands. Nothing is ever loaded because of it alone. Runs, imports and builds nothing.
"""

from __future__ import annotations

import hashlib
import math
import re
import struct
import zlib
from collections.abc import Callable
from typing import Any

from safeload.errors import NotAttested
from safeload.source import Source

MAGIC, PROTOCOL, FULL = 0x1950A86A20F9469CFC6C, 1001, 0xFFFFFFFF
WIDTHS = {"Float": 4, "Double": 8, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1}
WIDTHS |= {"Bool": 1, "ComplexFloat": 8, "ComplexDouble": 16}
UNTYPED = "torch.storage.UntypedStorage"
STORAGES = {f"torch.{gpu}{name}Storage": size for gpu in ("", "cuda.") for name, size in WIDTHS.items()} | {UNTYPED: 1}
DTYPES = {"torch.float8_e4m3fn": 1, "torch.float8_e5m2": 1, "torch.uint16": 2, "torch.uint32": 4, "torch.uint64": 8}
LOCATION = re.compile(r"(cpu|meta|mps|(cuda|xpu|hpu|mtia|npu|xla|privateuseone)(:[0-9]{1,4})?)")
NOTES = dict.fromkeys((".data/version", "version"), rb"[0-9]{1,9}\n?") | {".data/serialization_id": rb"[0-9]{1,99}"}
NOTES |= dict.fromkeys((".format_version", ".storage_alignment"), rb"[1-9][0-9]{0,8}") | {"byteorder": b"little"}


class Made:
    """What is no plain value.

    kind   list, dict, name, storage, tensor, or call (what a call of a name left)
    of     the name it is or was made by;  info: width and bytes of a storage
    items  what it holds (of a mapping k, v, k, v), or was called with
    stated, used   whether a state was set, and whether something was made of it
    """

    def __init__(self, kind: str, of: str = "", items: Any = (), info: tuple[int, int] = (1, 0)) -> None:
        self.kind, self.of, self.items, self.info, self.stated, self.used = kind, of, list(items), info, False, False


def want(condition: object, why: str) -> None:
    """Everything that is not exactly as expected ends here."""
    if not condition:
        raise NotAttested(why)


def is_made(value: object, kind: str, of: str = "") -> bool:
    """Whether `value` is a Made of this kind, and of this name."""
    return type(value) is Made and value.kind == kind and of in ("", value.of)


def kinds(values: Any, *types: type) -> bool:
    """Whether all are of exactly these types: a bool is no int."""
    return all(type(value) in types for value in values)


def sizes(value: Any) -> bool:
    """Whether this is a tuple of sizes, strides or offsets."""
    return type(value) is tuple and len(value) <= 64 and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def keys(values: Any) -> bool:
    """Whether these may be keys, which are hashed and compared: plain values, or flat tuples of them."""
    return all(kinds(v if type(v) is tuple else (v,), str, int, float, bool, bytes, type(None)) for v in values)


def strided(args: Any, typed: bool = True) -> bool:
    """Whether a tensor may be made: storage, offset, size, stride[, requires_grad, hooks[, dtype of untyped bytes]]."""
    storage, offset, size, stride = args[:4]
    want(is_made(storage, "storage") and (storage.of != UNTYPED) == typed, "the first argument is no storage for it")
    want(sizes((offset,)) and sizes(size) and sizes(stride) and len(size) == len(stride), "no sizes and strides")
    want(typed or (is_made(args[6], "name") and args[6].of in DTYPES), "the last argument is no dtype")
    room = storage.info[1] // (storage.info[0] if typed else DTYPES[args[6].of])
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    want(offset <= room if 0 in size else last < room, "the tensor reaches outside its storage")
    want(math.prod(size) <= max(room, 1 << 24), "the tensor shows many times what its storage holds")
    return kinds(args[4:5], bool)


def pairs(value: Any) -> bool:
    """Whether this is a list of [key, value]: how Python 2 spells an OrderedDict."""
    fits = is_made(value, "list") and all(is_made(item, "list") and len(item.items) == 2 for item in value.items)
    return fits and keys(item.items[0] for item in value.items)


def width(dtype: Any) -> int:
    """Bytes of an element of a numpy dtype, which may not change from here on: something is made of it."""
    want(is_made(dtype, "call", "numpy.dtype"), "a dtype of numpy was expected")
    dtype.used = True
    return int(dtype.items[0][1:])


def dtype_of(a: Any) -> bool:
    """Whether a numpy dtype may be made: the name of a plain number, False and True."""
    return type(a[0]) is str and re.fullmatch("b1|[iu][1248]|f[248]|c8|c16", a[0]) is not None and a[1:] == (0, 1)


MAPPINGS = ("collections.OrderedDict", "collections.Counter")
ATTRIBUTE = re.compile(r"(?!__|_get_(kwargs|args)$)[A-Za-z_][A-Za-z_0-9]{0,99}")  # none that a Namespace has itself
TORCH, ORDERED, OPTIONS = "torch._utils._rebuild_", MAPPINGS[0], "argparse.Namespace"
PARAMETER = TORCH + "parameter"
CALLS: dict[str, tuple[str, Callable[[tuple[Any, ...]], bool]]] = {
    TORCH + "tensor": ("torch-tensor-v1", lambda a: len(a) == 4 and strided(a)),
    TORCH + "tensor_v2": ("torch-tensor-v2", lambda a: len(a) == 6 and strided(a)),
    TORCH + "tensor_v3": ("torch-tensor-v3", lambda a: len(a) == 7 and strided(a, typed=False)),
    PARAMETER: ("torch-rebuild-parameter", lambda a: len(a) == 3 and is_made(a[0], "tensor") and kinds(a[1:2], bool)),
    ORDERED: ("ordered-dict", lambda a: not a or (len(a) == 1 and pairs(a[0]))),
    "collections.Counter": ("counter", lambda a: len(a) == 1 and is_made(a[0], "dict")),
    OPTIONS: ("namespace", lambda a: not a),
    "_codecs.encode": ("latin1-bytes", lambda a: len(a) == 2 and kinds(a, str) and a[1] in ("latin1", "latin-1")),
    "numpy.dtype": ("numpy-dtype", lambda a: len(a) == 3 and kinds(a[1:], bool, int) and dtype_of(a)),
}
NUMPY: dict[str, tuple[str, Callable[[tuple[Any, ...]], bool]]] = {
    "scalar": ("numpy-scalar", lambda a: len(a) == 2 and kinds(a[1:], bytes) and len(a[1]) == width(a[0])),
    "_reconstruct": ("numpy-reconstruct", lambda a: a[1:] == ((0,), b"b") and is_made(a[0], "name", "numpy.ndarray")),
}
CALLS |= {f"numpy.{core}.multiarray.{name}": form for core in ("core", "_core") for name, form in NUMPY.items()}
SHAPES = {name: shape for name, (shape, _) in CALLS.items()} | dict.fromkeys(STORAGES, "torch-storage-class")
SHAPES |= dict.fromkeys((*DTYPES, "numpy.ndarray"), "value-only")
"""The closed list: every name that a stream may hold. CALLS says what may be called with what, `stated` the rest."""


def stated(made: Any, state: Any) -> None:
    """BUILD: the four kinds of object that take a state, once, and all that it may be."""
    of, fits = made.of if is_made(made, "call") and not made.stated else "", False
    names: list[Any] = state.items[::2] if is_made(state, "dict") else [None]
    parts = state if type(state) is tuple else ()
    if of in (ORDERED, OPTIONS):
        fits = kinds(names, str) and all(n == "_metadata" if of == ORDERED else ATTRIBUTE.fullmatch(n) for n in names)
    elif of == "numpy.dtype" and not made.used and kinds(parts, int, str, type(None)):
        fits = parts in ((3, order, None, None, None, -1, -1, 0) for order in "<|>")
    elif of.endswith("._reconstruct") and len(parts) == 5 and sizes(parts[1]) and kinds(parts[4:], bytes):
        fits = kinds((parts[0], parts[3]), int, bool) and parts[0] == 1 and parts[3] in (0, 1)
        fits = fits and len(parts[4]) == math.prod(parts[1]) * width(parts[2])
    want(fits, f"{of or 'what stands there'} takes no such state")
    made.stated = True


class Walk:
    """One pickle, from `start` to before `stop`: what it names, calls and loads, where it ends and what it leaves.

    `arity`: parts of a persistent id (0: there may be none); `room`: bytes of each storage, where that is known before.
    """

    def __init__(
        self, source: Source, start: int, stop: int, arity: int = 0, room: dict[str, int] | None = None
    ) -> None:
        self.source, self.start, self.stop, self.arity, self.room = source, start, stop, arity, room
        self.data, self.at, self.frame, self.opcodes, here, code = b"", 0, 0, 1, 0, ""
        self.stack: list[Any] = []
        self.marks, self.hooks, self.memo = [0], list[Any](), dict[int, Any]()
        self.names, self.loads, self.seen = dict[str, dict[str, Any]](), dict[str, dict[str, Any]](), dict[str, int]()
        try:
            head = self.take(2)
            want(head[0] == 0x80 and 2 <= head[1] <= 5, "no pickle of protocol 2 to 5 begins here")
            while code != ".":
                here, code, self.opcodes, self.seen[code] = self.at, chr(self.take(1)[0]), self.opcodes + 1, self.at
                self.step(code)
                want(not self.frame or self.at <= self.frame, "an opcode crosses the end of its frame")
                self.frame = 0 if self.at == self.frame else self.frame
            self.value, self.end = self.pop(), start + self.at
            want(not self.stack and len(self.marks) == 1 and not self.frame, "STOP leaves more than one value")
            empty = (h is None or (is_made(h, "call", ORDERED) and not h.items and not h.stated) for h in self.hooks)
            want(all(empty), "a tensor has backward hooks")
            want(source.read(start, self.at) == self.data[: self.at], "the file changed while it was read")
        except (NotAttested, ValueError, KeyError, IndexError) as error:
            kind = "" if type(error) is NotAttested else f"{type(error).__name__} "
            raise NotAttested(f"byte {start + here:#x}: {kind}{error}") from None

    def stream(self, member: str) -> dict[str, Any]:
        """This pickle as a certificate describes it."""
        digest = hashlib.sha256(self.data[: self.at]).hexdigest()
        place = {"member": member, "offset": self.start, "length": self.at, "opcodes": self.opcodes, "sha256": digest}
        names, loads = self.names, self.loads
        return place | {"names": [names[n] for n in sorted(names)], "storages": [loads[k] for k in sorted(loads)]}

    def take(self, count: int) -> bytes:
        """The next bytes. Nobody knows yet where the stream ends: a growing part of it is looked at."""
        self.at += count
        if self.at > len(self.data):
            wanted = min(max(self.at, 2 * len(self.data), 1 << 16), self.stop - self.start)
            self.data = self.source.peek(self.start, wanted)
            want(self.at <= len(self.data), "the pickle is cut off")
        return self.data[self.at - count : self.at]

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
        elif code in "qr\x94":
            index = len(self.memo) if code == "\x94" else self.number(1 if code == "q" else 4)
            self.stack.append(top := self.pop())
            want(index not in self.memo and index < 1 << 26, "a place of the memo is used twice, or far away")
            self.memo[index] = top
        elif code == "b":
            state, target = self.pop(), self.pop()
            stated(target, state)
            self.names[target.of]["states"] += 1
            self.stack.append(target)
        elif code == "\x95":
            self.frame, inside = self.number(8) + self.at, self.frame
            want(not inside and self.frame > self.at, "a frame stands inside a frame, or is empty")
        else:
            want(code == ".", f"opcode {ord(code):#04x} is outside what is verified")

    def name(self, module: object, name: object) -> Made:
        """GLOBAL and STACK_GLOBAL: a name of the closed list, spelt without dots of its own."""
        want(type(module) is str and type(name) is str and "." not in name, "no plain name")
        of = f"{module}.{name}"
        want(of in SHAPES, f"{of[:200]!a} is not in the verifier's closed list")
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
    "\x87": lambda w: (w.pop(), w.pop(), w.pop())[::-1], "h": lambda w: w.memo[w.number(1)],
    "j": lambda w: w.memo[w.number(4)], "c": lambda w: w.name(w.line(), w.line()),
    "\x93": lambda w: w.name(*(w.pop(), w.pop())[::-1]), "Q": lambda w: w.load(w.pop()),
    "R": lambda w: w.call("R", w.pop(), w.pop()), "\x81": lambda w: w.call("\x81", w.pop(), w.pop()),
}  # fmt: skip
"""Opcodes that leave one value, and which. Others are in `Walk.step`, and no further one is verified."""


def members(source: Source) -> tuple[list[dict[str, Any]], tuple[str, int, int]]:
    """The storages of a torch zip, and name, offset and size of its data.pkl. One folder, and members tile the file."""
    tail = source.size - 22
    mark, disk, first, here, count, length, offset, note = struct.unpack("<4sHHHHIIH", source.read(tail, 22))
    want((mark, disk, first, note) == (b"PK\5\6", 0, 0, 0), "the file does not end with a plain end record")
    if source.peek(tail - 20, 4) == b"PK\6\7":
        small, tail = (here, count, length, offset), tail - 76
        record = struct.unpack("<4sQ4xIIQQQQ4xIQI", source.read(tail, 76))
        here, count, length, offset = record[4:8]
        want((*record[:4], *record[8:]) == (b"PK\6\6", 44, 0, 0, 0, tail, 1), "the zip64 records are not plain")
        full = (0xFFFF, 0xFFFF, FULL, FULL)
        want(all(n in pair for n, *pair in zip(small, full, record[4:8], strict=True)), "two end records differ")
    want(here == count and offset + length == tail, "the directory does not end where its end record begins")
    directory, entries, at = source.read(offset, length), [], 0
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
        local = struct.unpack("<4s2xHHxxxxIIIHH", source.read(done, 30))
        same = local[3:6] == (crc, size, size) or (flags & 8 and not any(local[3:6]))
        want(header == done and local[:3] == (b"PK\3\4", flags, 0) and same, f"a local header differs at {done:#x}")
        same = source.read(done + 30, local[6]) == name and re.fullmatch(rb"[ -\[\]-~]+", name) is not None
        want(same, f"a local header has another name at {done:#x}")
        start = done + 30 + local[6] + local[7]
        done = start + size
        if flags & 8:
            form = "<4sIII" if end - done == 16 else "<4sIQQ"
            said = source.read(done, struct.calcsize(form))
            want(said == struct.pack(form, b"PK\7\x08", crc, size, size), f"no plain descriptor at {done:#x}")
            done += len(said)
        want(done == end, f"bytes that belong to no member stand at {done:#x}")
        relative = name.decode("ascii").partition("/")[2]
        if re.fullmatch(r"data/[0-9]{1,32}", relative):
            storages.append({"key": relative[5:], "offset": start, "size": size, "crc32": crc})
            continue
        data = source.read(start, size)
        known = relative == "data.pkl" or (relative in NOTES and re.fullmatch(NOTES[relative], data))
        want(known and zlib.crc32(data) == crc, f"no member that torch writes stands at {start:#x}")
        found += [(name.decode(), start, size)] if relative == "data.pkl" else []
    want(len(found) == 1, "there is no data.pkl")
    return storages, found[0]


def derive(source: Source) -> dict[str, Any]:
    """What a certificate has to say of these bytes. Raises NotAttested for whatever is outside the subset."""
    legacy, extents, walks, at = False, list[dict[str, Any]](), list[Walk](), 0
    if source.peek(0, 4) == b"PK\3\4":
        extents, (member, start, size) = members(source)
        walks.append(Walk(source, start, start + size, 5, {e["key"]: e["size"] for e in extents}))
        want(walks[0].end == start + size, "bytes follow the pickle in its member")
        want(len(walks[0].loads) == len(extents), "there are storages that the pickle does not name")
    else:
        member, head = "", source.peek(0, 512)
        rest, told = head[:148] + head[156:], head[148:156].decode("latin-1").replace("_", "")
        for n in (256 + sum(rest), 256 + sum(rest) - 256 * sum(byte > 127 for byte in rest)):
            want(n and f"{n:o}" not in told and (n % 256**7).to_bytes(7) != head[149:156], "the file begins like a tar")
        want(b"PK\5\6" not in source.peek(max(0, source.size - 65557), 65557), "the file ends like a zip")
        while at < source.size and not (legacy and len(walks) == 5):
            walks.append(Walk(source, at, source.size, 6 if legacy and len(walks) == 3 else 0))
            at, legacy = walks[-1].end, type(walks[0].value) is int and walks[0].value == MAGIC
            # SECURITY: one Unpickler keeps its memo from pickle to pickle, and MEMOIZE counts on: what is got moves.
            moved = not legacy and "\x94" in walks[-1].seen and {"h", "j"} & walks[-1].seen.keys()
            want(len(walks) == 1 or not moved, f"the pickle that ends at {at:#x} depends on those before it")
        if legacy:
            want(len(walks) == 5 and walks[1].value == PROTOCOL and is_made(walks[4].value, "list"), "no file of torch")
            listed, loads = walks[4].value.items, walks[3].loads
            want(kinds(listed, str) and sorted(listed) == sorted(loads), "not the keys of its storages")
            for key in listed:
                size = loads[key]["numel"] * STORAGES[loads[key]["type"]]
                want(source.read(at, 8) == loads[key]["numel"].to_bytes(8, "little"), f"another length at {at:#x}")
                extents.append({"key": key, "offset": at + 8, "size": size, "crc32": None})
                at += 8 + size
        want(walks and at == source.size, "the file is longer or shorter than what is in it")
    ranges, total, at = list[dict[str, Any]](), hashlib.sha256(), 0
    for offset, size in [*((e["offset"], e["size"]) for e in extents if e["size"]), (source.size, 0)]:
        data = source.read(at, offset - at)
        total.update(struct.pack("<QQ", at, len(data)) + data)
        ranges.append({"offset": at, "length": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        at = offset + size
    container = "torch-zip" if member else "torch-legacy" if legacy else "pickle"
    found = {"container": container, "size": source.size, "judged": total.hexdigest(), "ranges": ranges}
    return found | {"storages": extents, "streams": [walk.stream(member) for walk in walks]}
