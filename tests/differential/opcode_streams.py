"""Pickles made up opcode by opcode, with a model of the stack, so that most of them are valid and reach deep behaviour.

All 68 opcodes and every protocol. Each choice may be a wrong one with a small chance: an opcode that the stack does not
bear, a spelling that pickle does not write, a frame that lies. Seeded by the caller; the same seed is the same bytes.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from tests.differential import spellings

MARK = "mark"
HASHABLE = {"int", "text", "bytes", "float", "none", "name", "node", "tuple", "frozenset"}
OBJECTS = {"name", "node"}
# Vetted names with arguments of their shape, so that files with calls come out clean; most others are not vetted.
SHAPED: list[tuple[str, str, Callable[[Weaver], None]]] = [
    ("collections", "OrderedDict", lambda w: w.empty()),
    ("collections", "OrderedDict", lambda w: w.pairs()),
    ("builtins", "set", lambda w: w.one_list()),
    ("builtins", "frozenset", lambda w: w.one_list()),
    ("builtins", "bytearray", lambda w: w.one("bytes")),
    ("builtins", "complex", lambda w: w.two("float")),
    ("fractions", "Fraction", lambda w: w.one("text", "1/3")),
    ("decimal", "Decimal", lambda w: w.one("text", "1.50")),
    ("_codecs", "encode", lambda w: w.codec()),
    ("collections", "deque", lambda w: w.one_list()),
    ("__builtin__", "set", lambda w: w.one_list()),
    ("datetime", "date", lambda w: w.one("bytes", b"\x07\xe4\x01\x02")),
    ("torch", "Size", lambda w: w.sizes()),
    ("pathlib", "PurePosixPath", lambda w: w.one("text", "a")),
]


class Weaver:
    """One pickle in the making: `parts` one opcode each, `stack` the kinds of what they leave."""

    def __init__(self, rng: random.Random, breakage: float) -> None:
        self.rng = rng
        self.breakage = breakage
        self.proto = rng.choice([0, 1, 2, 2, 3, 4, 4, 5])
        self.parts: list[bytes] = []
        self.stack: list[str] = []
        self.memo: dict[int, str] = {}
        self.written = 0

    # -- one opcode, and what it leaves

    def put(self, code: bytes, push: str | None = None, take: int = 0) -> None:
        """Write one opcode that takes and pushes."""
        self.parts.append(code)
        if take:
            del self.stack[-take:]
        if push is not None:
            self.stack.append(push)

    def odd(self) -> bool:
        """Shall the next choice be a wrong one?"""
        return self.rng.random() < self.breakage

    def top(self, depth: int = 1) -> str:
        """The kind of a value on the stack."""
        return self.stack[-depth] if len(self.stack) >= depth else ""

    def above(self) -> list[str]:
        """The kinds above the last mark, down to the bottom when there is none."""
        if MARK not in self.stack:
            return list(self.stack)
        at = len(self.stack) - 1 - self.stack[::-1].index(MARK)
        return self.stack[at + 1 :]

    def below_mark(self) -> str:
        """The kind under the last mark."""
        return self.top(len(self.above()) + 2) if MARK in self.stack else ""

    def close(self, code: bytes, push: str | None) -> None:
        """Write an opcode that takes everything down to the last mark."""
        self.put(code, push, len(self.above()) + (MARK in self.stack))

    # -- values

    def literal(self, kind: str, value: object = None) -> None:
        """Push a literal of `kind`, in any of its spellings."""
        self.put(spellings.literal(self.rng, kind, self.proto, value, odd=self.odd()), kind)

    def atom(self) -> None:
        """Push some literal."""
        self.literal(self.rng.choice(["int", "int", "text", "text", "bytes", "float", "none"]))

    def key(self) -> None:
        """Push something that can be a key, now and then something that cannot."""
        kind = self.rng.random()
        if kind < 0.75:
            self.atom()
        elif kind < 0.85:
            self.atom()
            self.put(b"\x85", "tuple", 1)
        elif kind < 0.93 and self.known(HASHABLE):
            self.get(self.rng.choice(self.known(HASHABLE)))
        elif self.odd():
            self.put(b"]", "list")
        else:
            self.name()

    def value(self) -> None:
        """Push one value of any kind."""
        kind = self.rng.random()
        if kind < 0.45:
            self.atom()
        elif kind < 0.75 and self.memo:
            # most of all what was written last, because it was written over something
            self.get(self.written if self.rng.random() < 0.5 else self.rng.choice(list(self.memo)))
        elif kind < 0.85:
            code, made = self.rng.choice([(b"]", "list"), (b"}", "dict"), (b")", "tuple"), (b"\x8f", "set")])
            self.put(code, made)
        else:
            self.name()

    # -- the memo

    def known(self, kinds: set[str]) -> list[int]:
        """Indices of the memo that hold one of `kinds`."""
        return [index for index, kind in self.memo.items() if kind in kinds]

    def get(self, index: int) -> None:
        """Push an entry of the memo."""
        forms = [spellings.line(b"g", index)]
        if 0 <= index < 256:
            forms += [bytes([0x68, index])] * 2
        if 0 <= index < 1 << 32:
            forms.append(b"j" + struct.pack("<I", index))
        self.put(self.rng.choice(forms), self.memo.get(index, "none"))

    def remember(self) -> None:
        """Memoise the top value: anew, or over what is there."""
        if self.top() in ("", MARK) and not self.odd():
            return
        fresh = len(self.memo)
        index = self.rng.choice([fresh, fresh, fresh, *list(self.memo)[-3:], self.rng.randrange(6)])
        if self.rng.random() < 0.05:
            index = self.rng.choice([255, 256, 70_000])
        if self.odd():
            index = self.rng.choice([1 << 20, 1 << 27, 1 << 31, (1 << 32) - 1, 1 << 63, -1])
        forms = [spellings.line(b"p", index)]
        if 0 <= index < 256:
            forms += [bytes([0x71, index])] * 2
        if 0 <= index < 1 << 32:
            forms.append(b"r" + struct.pack("<I", index))
        if index == len(self.memo):
            forms += [b"\x94"] * 4
        self.put(self.rng.choice(forms))
        self.memo[index] = self.top()
        self.written = index

    # -- names and calls

    def name(self, module: str = "", name: str = "") -> None:
        """Push a global: two lines, two strings that may be computed or remembered, or an extension code."""
        rng = self.rng
        if not module:
            module, name = rng.choice(spellings.NAMES)
        kind = rng.random()
        if kind < 0.5 or (self.proto < 4 and kind < 0.9):
            self.put(b"c" + module.encode() + b"\n" + name.encode() + b"\n", "name")
        elif kind < 0.96:
            for word in (module, name):
                self.literal("text", word)
                if rng.random() < 0.4:
                    self.remember()
                    if rng.random() < 0.3:
                        # over another value and back again, as a reader of strings would not see it
                        self.atom()
                        self.put(b"0", None, 1)
            self.put(b"\x93", "name", 2)
        else:
            code = rng.choice([0, 1, 2, 0x101, 0x10001, 0xFFFFFFFF] if self.odd() else [1, 0x101, 0x10001])
            forms = [b"\x84" + struct.pack("<I", code)]
            forms += [b"\x82" + bytes([code])] if code < 256 else []
            forms += [b"\x83" + struct.pack("<H", code)] if code < 1 << 16 else []
            self.put(rng.choice(forms), "node")

    def call(self) -> None:
        """A call of a name: in its shape, or with whatever comes."""
        rng = self.rng
        if rng.random() < 0.55:
            module, name, arguments = rng.choice(SHAPED)
            self.name(module, name)
            arguments(self)
            self.put(b"R", "node", 2)
            return
        kind = rng.randrange(7)
        if kind == 0:
            self.put(b"(", MARK)
            self.several(rng.randrange(3), self.value)
            module, name = rng.choice(spellings.NAMES)
            self.close(b"i" + module.encode() + b"\n" + name.encode() + b"\n", "node")
        elif kind == 1:
            self.put(b"(", MARK)
            self.name()
            self.several(rng.randrange(3), self.value)
            self.close(b"o", "node")
        else:
            if self.known(OBJECTS) and rng.random() < 0.3:
                self.get(rng.choice(self.known(OBJECTS)))
            else:
                self.name()
            if self.odd():
                self.value()
            else:
                self.put(b"(", MARK)
                self.several(rng.randrange(4), self.value)
                self.close(b"t", "tuple")
            if kind == 2:
                self.keywords()
                self.put(b"\x92", "node", 3)
            else:
                self.put(b"\x81" if kind == 3 else b"R", "node", 2)

    def keywords(self) -> None:
        """Push a dict of keywords."""
        self.put(b"}", "dict")
        if self.rng.random() < 0.6:
            self.literal("text" if not self.odd() else "int")
            self.value()
            self.put(b"s", None, 2)

    def several(self, count: int, make: Callable[[], None]) -> None:
        """Do `make` some times."""
        for _ in range(count):
            make()

    # -- arguments of the shapes

    def empty(self) -> None:
        """()"""
        self.put(b")", "tuple")

    def one(self, kind: str, value: object = None) -> None:
        """(literal,)"""
        self.literal(kind, value)
        self.put(b"\x85", "tuple", 1)

    def two(self, kind: str) -> None:
        """(literal, literal)"""
        self.several(2, lambda: self.literal(kind))
        self.put(b"\x86", "tuple", 2)

    def codec(self) -> None:
        """(text, "latin1")"""
        self.literal("text")
        self.literal("text", "latin1")
        self.put(b"\x86", "tuple", 2)

    def sizes(self) -> None:
        """((int, int),)"""
        self.several(2, lambda: self.put(b"K" + bytes([self.rng.randrange(9)]), "int"))
        self.put(b"\x86", "tuple", 2)
        self.put(b"\x85", "tuple", 1)

    def one_list(self) -> None:
        """([literal, ...],)"""
        self.put(b"]", "list")
        if self.rng.random() < 0.5:
            self.remember()
        self.put(b"(", MARK)
        self.several(self.rng.randrange(4), self.atom)
        self.close(b"e", None)
        self.put(b"\x85", "tuple", 1)

    def pairs(self) -> None:
        """([[key, value], ...],)"""
        self.put(b"]", "list")
        for _ in range(self.rng.randrange(3)):
            self.put(b"]", "list")
            self.key()
            self.put(b"a", None, 1)
            self.value()
            self.put(b"a", None, 1)
            self.put(b"a", None, 1)
        self.put(b"\x85", "tuple", 1)
