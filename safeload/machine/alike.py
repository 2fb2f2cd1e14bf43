"""Do two runs over the same bytes come to the same? Effects, value, and which objects are one object.

Needed where one pickle has two readings, because of what an unpickler remembers of the pickles before it. Iterative,
and linear: whatever has parts, or is long, has one partner on the other side, so that nothing is compared twice. Errs
only towards "no". Nothing here means anything by a name.
"""

from __future__ import annotations

from typing import Final

from safeload.document.cell import Cell
from safeload.machine.program import Call, Effect, Extension, Global, Mutation, Persistent, Program

# Atoms of more letters, bytes or bits than this are compared once for each object.
_LONG: Final = 512


def alike(one: Program, other: Program) -> bool:
    """Whether two whole programs of the same bytes have the same effects in the same order, and leave the same."""
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
    """What is known so far of which object on one side is which on the other."""

    def __init__(self) -> None:
        self.partners: dict[int, int] = {}
        self.taken: set[int] = set()
        # The number of the effect that made a node, on either side.
        self.ours: dict[int, int] = {}
        self.theirs: dict[int, int] = {}

    def number(self, first: Cell, second: Cell) -> None:
        """`first` and `second` were made by the same effect."""
        self.ours[id(first)] = len(self.ours)
        self.theirs[id(second)] = len(self.theirs)

    def effects_agree(self, first: Effect, second: Effect) -> bool:
        """Whether two effects do the same; what they name is compared too."""
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
        """Whether two values are the same, to their last part."""
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
        """1 when the two were compared with each other, -1 when one of them was with another, 0 when neither was."""
        partner = self.partners.get(id(a))
        if partner is not None:
            return 1 if partner == id(b) else -1
        if id(b) in self.taken:
            return -1
        self.partners[id(a)] = id(b)
        self.taken.add(id(b))
        return 0

    def _parts(self, a: object, b: object, pending: list[tuple[object, object]]) -> bool:
        """Compare what `a` and `b`, of one type, are made of; parts go to `pending`."""
        if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
            if len(a) != len(b):
                return False
            pending.extend(zip(a, b, strict=True))
            return True
        if isinstance(a, dict) and isinstance(b, dict):
            if len(a) != len(b):
                return False
            # In their order, which is a part of the value.
            pending.extend(zip(a.keys(), b.keys(), strict=True))
            pending.extend(zip(a.values(), b.values(), strict=True))
            return True
        if isinstance(a, (set, frozenset)) and isinstance(b, (set, frozenset)):
            # Their order tells nothing: nodes are hashed by where they lie in memory.
            return sorted([_token(x, self.ours) for x in a]) == sorted([_token(x, self.theirs) for x in b])
        if isinstance(a, float):
            return repr(a) == repr(b)
        return a == b


def _has_identity(value: object) -> bool:
    """Whether it matters, or saves time, to know which object `value` is. Empty tuples are all one object."""
    if isinstance(value, (list, dict, set, bytearray)):
        return True
    if isinstance(value, (tuple, frozenset)):
        return len(value) > 0
    if isinstance(value, (str, bytes)):
        return len(value) > _LONG
    return isinstance(value, int) and value.bit_length() > _LONG


def _token(value: object, numbers: dict[int, int]) -> str:
    """A text that two elements of sets have in common when they are the same; elements have few parts, see `Keys`."""
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
            # Its hash is kept with it: a long text may be a part of many elements.
            done[id(part)] = f"{type(part).__name__} {len(part)} {hash(part)}"
        else:
            done[id(part)] = f"{type(part).__name__} {part!r}"
        pending.pop()
    return done[id(value)]
