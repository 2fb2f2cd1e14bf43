"""Which objects outside the vetted table a conversion left out: each with its place in the object and in the file.

Calls nothing and reads no bytes.
"""

from __future__ import annotations

from safeload.cell import Cell
from safeload.converting.interface import Dropped
from safeload.document import Built, Document, Enclosed, WrappedTensor, resolve
from safeload.errors import LimitExceeded
from safeload.limits import Limits
from safeload.record import Record
from safeload.tree.paths import named_leaves


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
    return tuple(
        Dropped(
            "object",
            f"{record.module}.{record.qualname}",
            places.get(id(record), ""),
            offset=offsets.get(id(record)),
            reason="a class outside the vetted table",
        )
        for record in records
    )


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
