"""What a conversion left out of a file because it cannot go over: each with its place in the object and in the file.

Objects outside the vetted table, tensors whose storage is missing or damaged, and arrays of dropped objects that have
no form of their own. Calls nothing; of the bytes it reads compressed storages only, and keeps none.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from safeload.cell import Cell
from safeload.converting.interface import Dropped
from safeload.converting.naming import arrays_outside, has_bytes, homes, is_lone_array, parts
from safeload.document import (
    ArraySpec,
    Built,
    Document,
    Enclosed,
    Extent,
    StorageSpec,
    StorageValue,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.errors import LimitExceeded
from safeload.limits import Limits
from safeload.record import Record
from safeload.source import Source
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


def damaged(document: Document, limits: Limits) -> dict[int, str]:
    """Id of an Extent -> what is wrong with it, for each compressed storage of a tensor that does not inflate.

    Each is read once, in pieces; what is not compressed has no way to be damaged unnoticed.
    """
    found: dict[int, str] = {}
    seen: set[int] = set()
    for _, home, extent in _extents(document, named_leaves(document.root, has_bytes, limits), limits):
        if id(extent) not in seen and not extent.stored and (problem := _problem(home.source, extent)):
            found[id(extent)] = problem
        seen.add(id(extent))
    return found


def _extents(
    document: Document, leaves: Mapping[str, object], limits: Limits
) -> Iterator[tuple[str, Document, Extent]]:
    """(name, Document, extent in it) for each storage in which elements of `leaves` (name -> leaf) lie."""
    inner = homes(document, limits)
    for name, leaf in leaves.items():
        for part in parts(name, leaf, limits):
            spec = _storage(part.leaf)
            if spec is not None:
                home = spec.home or inner.get(id(part.leaf)) or document
                extent = home.storages.get(spec.key)
                if extent is not None:
                    yield name, home, extent


def _problem(source: Source, extent: Extent) -> str:
    """Why a compressed storage cannot be read, "" when it can. Agrees with `Inflated`, and writes nothing."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    done = at = 0
    try:
        # SECURITY: bounded by the size that the directory announced, never by what the stream would give.
        while not inflater.eof and done <= extent.size:
            given = inflater.unconsumed_tail
            if not given and at < extent.length:
                given = source.peek(extent.offset + at, min(_CHUNK, extent.length - at))
                at += _CHUNK
            data = inflater.decompress(given, _CHUNK)
            if not data and not given:
                break
            done += len(data)
    except zlib.error as error:
        return f"a compressed storage does not inflate: {error}"
    if done != extent.size or not inflater.eof:
        return f"a compressed storage does not inflate to {extent.size} bytes"
    return ""


def unreadable(
    document: Document, leaves: Mapping[str, object], broken: Mapping[int, str], limits: Limits
) -> dict[str, Dropped]:
    """Name -> what was left out, for each of `leaves` (name -> tensor) with elements in one of the `broken` extents."""
    found: dict[str, Dropped] = {}
    for name, _, extent in _extents(document, leaves, limits) if broken else ():
        if id(extent) in broken:
            found.setdefault(name, Dropped("tensor", name, offset=extent.offset, reason=broken[id(extent)]))
    return found


def _storage(leaf: object) -> StorageSpec | None:
    """The storage in which the elements of one named part lie; None for what has its bytes with it."""
    if isinstance(leaf, Built) and leaf.args:
        leaf = resolve(leaf.args[0])
    if isinstance(leaf, ArraySpec):
        return leaf.data if isinstance(leaf.data, StorageSpec) else None
    return leaf.storage if isinstance(leaf, TensorSpec | StorageValue) else None


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
