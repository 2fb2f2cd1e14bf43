"""Compares two runs over the same bytes: their effects, their values, and which objects are one object.

One pickle has two readings when an unpickler remembers entries of the pickles before it. The comparison is iterative
and linear: every long value, and every value with parts, gets one partner on the other side, so nothing is compared
twice. It may say "no" of equal programs; it never says "yes" of different ones. Knows no meaning of a name.
"""

from __future__ import annotations

from typing import Final

from safeload.document.cell import Cell
from safeload.machine.program import Call, Effect, Extension, Global, Mutation, Persistent, Program

# A text, bytes or number with more letters, bytes or bits than this is compared once, and then known by its id.
_LONG: Final = 512


def alike(one: Program, other: Program) -> bool:
    """Whether two whole programs of the same bytes have the same effects in the same order, and leave equal values."""
    if len(one.effects) != len(other.effects) or len(one.notes) != len(other.notes):
        return False
    compared = _Comparison()
    for first, second in zip(one.effects, other.effects, strict=True):
        if isinstance(first, Cell) and isinstance(second, Cell):
            compared.number(first, second)
    for first, second in zip(one.effects, other.effects, strict=True):
        if first.offset - one.start != second.offset - other.start or not compared.effects_agree(first, second):
            return False
    return compared.agree(one.value, other.value)


class _Comparison:
    """Which object on one side stands for which on the other, as far as is known."""

    def __init__(self) -> None:
        self.partners: dict[int, int] = {}
        self.taken: set[int] = set()
        # id of a node -> number of the effect that made it, on either side.
        self.ours: dict[int, int] = {}
        self.theirs: dict[int, int] = {}

    def number(self, first: Cell, second: Cell) -> None:
        """Record that the same effect made `first` and `second`."""
        self.ours[id(first)] = len(self.ours)
        self.theirs[id(second)] = len(self.theirs)

    def effects_agree(self, first: Effect, second: Effect) -> bool:
        """Whether two effects do the same to the same values."""
        if type(first) is not type(second):
            return False
        if isinstance(first, Global) and isinstance(second, Global):
            return (first.raw_module, first.raw_name, first.module, first.name, first.protocol) == (
                second.raw_module, second.raw_name, second.module, second.name, second.protocol,
            )  # fmt: skip
        if isinstance(first, Call) and isinstance(second, Call):
            return (
                first.kind == second.kind
                and self.agree(first.func, second.func)
                and self.agree(first.args, second.args)
                and self.agree(first.kwargs, second.kwargs)
            )
        if isinstance(first, Mutation) and isinstance(second, Mutation):
            same = first.kind == second.kind and self.agree(first.target, second.target)
            return same and self.agree(first.payload, second.payload)
        if isinstance(first, Persistent) and isinstance(second, Persistent):
            return first.text == second.text and self.agree(first.pid, second.pid)
        if isinstance(first, Extension) and isinstance(second, Extension):
            return first.code == second.code
        return True

    def agree(self, one: object, other: object) -> bool:
        """Whether two values are equal in all of their parts."""
        pending: list[tuple[object, object]] = [(one, other)]
        while pending:
            a, b = pending.pop()
            if type(a) is not type(b):
                return False
            if isinstance(a, Cell):
                number = self.ours.get(id(a))
                if number is None or number != self.theirs.get(id(b)):
                    return False
                continue
            met = self._met(a, b) if _has_identity(a) else 0
            if met < 0:
                return False
            if met == 0 and not self._parts(a, b, pending):
                return False
        return True

    def _met(self, a: object, b: object) -> int:
        """1 when `a` and `b` are partners, -1 when one of them has another partner. Else makes them partners, and 0."""
        partner = self.partners.get(id(a))
        if partner is not None:
            return 1 if partner == id(b) else -1
        if id(b) in self.taken:
            return -1
        self.partners[id(a)] = id(b)
        self.taken.add(id(b))
        return 0

    def _parts(self, a: object, b: object, pending: list[tuple[object, object]]) -> bool:
        """Compare `a` and `b`, which have one type. Their parts go to `pending`."""
        if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
            if len(a) != len(b):
                return False
            pending.extend(zip(a, b, strict=True))
            return True
        if isinstance(a, dict) and isinstance(b, dict):
            if len(a) != len(b):
                return False
            # In the order of insertion: it is a part of the value.
            pending.extend(zip(a.keys(), b.keys(), strict=True))
            pending.extend(zip(a.values(), b.values(), strict=True))
            return True
        if isinstance(a, (set, frozenset)) and isinstance(b, (set, frozenset)):
            # The order of iteration says nothing: a node is hashed by its address in memory.
            return sorted([_token(x, self.ours) for x in a]) == sorted([_token(x, self.theirs) for x in b])
        if isinstance(a, float):
            return repr(a) == repr(b)  # `==` says no of nan, and yes of 0.0 and -0.0
        return a == b


def _has_identity(value: object) -> bool:
    """Whether to remember which object `value` is: it may be shared, or costs time to compare again.

    Empty tuples are all one object to Python.
    """
    if isinstance(value, (list, dict, set, bytearray)):
        return True
    if isinstance(value, (tuple, frozenset)):
        return len(value) > 0
    if isinstance(value, (str, bytes)):
        return len(value) > _LONG
    return isinstance(value, int) and value.bit_length() > _LONG


def _token(value: object, numbers: dict[int, int]) -> str:
    """A text for an element of a set: equal elements have equal texts. `Keys` bounds the parts of an element."""
    done: dict[int, str] = {}
    pending = [value]
    while pending:
        part = pending[-1]
        if isinstance(part, (tuple, frozenset)):
            missing = [x for x in part if id(x) not in done]
            if missing:
                pending.extend(missing)
                continue
            texts = [done[id(x)] for x in part]
            if isinstance(part, frozenset):
                texts.sort()
            done[id(part)] = f"{type(part).__name__}({','.join(texts)})"
        elif isinstance(part, Cell):
            done[id(part)] = f"node {numbers.get(id(part), -1)}"
        elif isinstance(part, (str, bytes)):
            # By hash, which Python keeps in the object: a long text may be a part of many elements.
            done[id(part)] = f"{type(part).__name__} {len(part)} {hash(part)}"
        else:
            done[id(part)] = f"{type(part).__name__} {part!r}"
        pending.pop()
    return done[id(value)]
