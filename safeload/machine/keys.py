"""Which values may be hashed, and at what price.

SECURITY: hashing a tuple recurses in C without a check, a tuple that shares its parts hashes each part every time it is
met, and hashes of numbers are not secret. So a key is walked here, with a bound, before Python is allowed to hash it.

This is the only place of the machine where depth matters. Containers may nest as deep as the stream is long: building
and freeing them recurses nowhere (CPython's trashcan), and `==`, `repr` and copying raise RecursionError. A measured
depth would be worth little here, since a structure with shortcuts has a short path to each of its parts.
"""

from __future__ import annotations

from safeload.document.cell import Cell
from safeload.errors import LimitExceeded, Malformed


class Keys:
    """The rules for keys of one run, with what is left of its budget of keys that can be built to collide."""

    __slots__ = ("collidable", "elements")

    def __init__(self, elements: int, collidable: int) -> None:
        self.elements = elements
        self.collidable = collidable

    def check(self, key: object, offset: int) -> bool:
        """True when `key` is, or holds, a Cell: equality of what it denotes is then unknown here.

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
        """`check` for a key with parts, or of an integer so large that its hash can be chosen."""
        cells = False
        left = self.elements
        guessable = 0
        pending: list[object] = [key]
        while pending:
            part = pending.pop()
            left -= 1
            if isinstance(part, Cell):
                # SECURITY: once it is built, what it denotes is hashed and compared each time that it is met.
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
    """What `cell` denotes: UNSET while nothing is judged."""
    value: object = cell.value
    while isinstance(value, Cell):
        value = value.value
    return value
