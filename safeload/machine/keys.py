"""Which values the machine may hash, and at what price.

SECURITY: Python must not hash a key from a file before this file has walked it, with a bound, for three reasons:
hashing a tuple recurses in C without a check; a tuple that shares its parts hashes a part again at each occurrence; and
hashes of numbers are no secret, so a file can choose keys that all collide.

This is the only place of the machine where depth matters. Containers may nest as deep as the stream is long: building
and freeing them does not recurse (CPython's trashcan), and `==`, `repr` and copying raise RecursionError. The walk
counts parts, not depth: a structure that shares its parts can be deep by one path and shallow by another.
"""

from __future__ import annotations

from safeload.document.cell import Cell
from safeload.errors import LimitExceeded, Malformed


class Keys:
    """The rules for the keys of one run, and how many more keys it may have whose hashes a file can choose."""

    __slots__ = ("collidable", "elements")

    def __init__(self, elements: int, collidable: int) -> None:
        self.elements = elements
        self.collidable = collidable

    def check(self, key: object, offset: int) -> bool:
        """Check `key` before it is hashed. True when it is or holds a Cell: nobody knows yet what it is equal to.

        Raises Malformed for a key that cannot be hashed, LimitExceeded for one that may cost too much.
        """
        if key is None or isinstance(key, (str, bytes, float, bool)):
            return False
        if isinstance(key, int) and -(1 << 63) <= key < 1 << 64:
            return False
        if isinstance(key, Cell) and not isinstance(_denoted(key), (tuple, frozenset, list, dict, set, bytearray)):
            return True
        return self._walk(key, offset)

    def _walk(self, key: object, offset: int) -> bool:
        """`check` for a key with parts, and for an integer so large that its hash can be chosen."""
        cells = False
        left = self.elements
        guessable = 0
        pending: list[object] = [key]
        while pending:
            part = pending.pop()
            left -= 1
            if isinstance(part, Cell):
                # SECURITY: the loader hashes and compares the built object again at each occurrence. So the parts of
                # what a judged Cell denotes count like parts of the key.
                cells = True
                inner = _denoted(part)
                if not isinstance(inner, (tuple, frozenset, list, dict, set, bytearray)):
                    continue
                part = inner
            if isinstance(part, (tuple, frozenset)):
                left -= len(part)
                if left >= 0:
                    pending.extend(part)
                    left += len(part)
                guessable += isinstance(part, frozenset) * 2
            elif isinstance(part, int):
                # The hash of an int is its value modulo a known prime: whoever writes the file chooses it.
                left -= part.bit_length() // 64
                guessable += 1 if part.bit_length() <= 64 else 2
            elif part is None or isinstance(part, float):
                guessable += 1
            elif not isinstance(part, (str, bytes)):
                raise Malformed(f"a {type(part).__name__} cannot be a key or an element of a set", offset=offset)
            if left < 0:
                raise LimitExceeded(
                    f"a key or element of a set has more than {self.elements} parts",
                    limit="key_elements",
                    offset=offset,
                )
        if guessable > 1:
            self.collidable -= 1
            if self.collidable < 0:
                raise LimitExceeded("too many keys are made of numbers only", limit="numeric_tuple_keys", offset=offset)
        return cells


def _denoted(cell: Cell) -> object:
    """What `cell` denotes; UNSET when the judge has not seen it yet."""
    value: object = cell.value
    while isinstance(value, Cell):
        value = value.value
    return value
