"""What a conversion left out of a file because it cannot go over: each with its place in the object and in the file.

Objects outside the vetted table, tensors whose storage is missing, and arrays of dropped objects that have no form of
their own. Calls nothing and reads no bytes.
"""

from __future__ import annotations

from safeload.converting.interface import Dropped
from safeload.converting.plan.naming import arrays_outside, is_lone_array
from safeload.document.cell import Cell
from safeload.document.document import (
    Built,
    Document,
    Enclosed,
    WrappedTensor,
    resolve,
)
from safeload.document.record import Record
from safeload.errors import LimitExceeded
from safeload.limits import Limits
from safeload.tree.paths import named_leaves

_CHUNK = 1 << 20
_OUTSIDE = "a class outside the vetted table"
_NO_STORAGE = "its storage is not in the file as it was declared"


def dropped_objects(document: Document, records: tuple[Record, ...], limits: Limits) -> tuple[Dropped, ...]:
    """One entry for each of `records`, the outermost ones of `document`."""
    if not records:
        return ()
    wanted = {id(record) for record in records}
    places: dict[int, str] = {}
    try:
        for name, record in named_leaves(document.root, lambda value: id(value) in wanted, limits).items():
            places.setdefault(id(record), name)
    except LimitExceeded:
        # Shared on more paths than can be named: the offsets tell them apart.
        pass
    offsets = _offsets(document, wanted)
    return tuple(_dropped(record, places.get(id(record), ""), offsets.get(id(record))) for record in records)


def dropped_arrays(document: Document, limits: Limits) -> tuple[Dropped, ...]:
    """One entry for each array of a dropped object that does not go over without it."""
    arrays = named_leaves(document.root, is_lone_array, limits, strict=True)
    left = arrays_outside(document, arrays, limits).left
    return tuple(Dropped("value", "numpy.ndarray", name, reason=reason) for name, reason in left.items())


def _dropped(record: Record, place: str, offset: int | None) -> Dropped:
    if place and _lost_storage(record):
        return Dropped("tensor", place, offset=offset, reason=_NO_STORAGE)
    return Dropped("object", f"{record.module}.{record.qualname}", place, offset=offset, reason=_OUTSIDE)


def _lost_storage(record: Record) -> bool:
    """Whether it would have been a tensor, had the file held its storage: torch's own calls around nothing."""
    for _ in range(3):  # a Parameter of a quantized tensor of a storage is the deepest that torch writes
        if record.module not in ("torch._utils", "torch._tensor") or not record.args:
            return False
        inner = resolve(record.args[0])
        if not isinstance(inner, Record):
            return False
        if (inner.module, inner.qualname) == ("", "<persistent load>"):
            return True
        record = inner
    return False


def _offsets(document: Document, wanted: set[int]) -> dict[int, int]:
    """Id of a Record -> offset, in its stream, of the opcode that would have made it."""
    found: dict[int, int] = {}
    seen: set[int] = set()
    todo: list[object] = [document.root]
    while todo:
        value = todo.pop()
        inner = resolve(value)
        if isinstance(value, Cell) and id(inner) in wanted:
            offset = getattr(value, "offset", None)
            if type(offset) is int:
                found.setdefault(id(inner), offset)
            continue
        if id(inner) in seen:
            continue
        if isinstance(inner, dict):
            children: list[object] = [*inner.keys(), *inner.values()]
        elif isinstance(inner, list | tuple | set | frozenset):
            children = list(inner)
        elif isinstance(inner, Built):
            children = [inner.args, inner.items, inner.state]
        elif isinstance(inner, WrappedTensor):
            children = [inner.data, inner.state]
        elif isinstance(inner, Enclosed):
            children = [inner.document.root]
        else:
            continue
        seen.add(id(inner))
        todo.extend(children)
    return found
