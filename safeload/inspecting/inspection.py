"""`safeload.inspect`: what is in a file. Judges it as a scan does and lists its Document; reads no tensor's bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from os import PathLike
from typing import Any

from safeload.document.document import Document
from safeload.document.record import Record
from safeload.errors import LimitExceeded, Malformed
from safeload.inputs import open_source
from safeload.inspecting.interface import Entry, Inspection, Tie, Total
from safeload.inspecting.places import Place, places
from safeload.inspecting.tensors import Facts, facts
from safeload.inspecting.values import text_of, type_of
from safeload.limits import Limits
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.scanning.scanner import Scan, scan_source
from safeload.scanning.shards.index import MARK, parse_index
from safeload.source import Source
from safeload.tree.interface import DIGEST_KEY, KEY

_OTHERS = 100
# Streams that are parts of the format itself.
_PARTS = frozenset({"torch-legacy", "torch-tar", "npz"})


def inspect(f: Any, *, policy: Policy | str | PathLike[str] | None = None, limits: Limits | None = None) -> Inspection:
    """What is in a file, whatever its verdict. Nothing of it is run, no bytes of tensors are read, torch is not needed.

    Args:
        f: A path, the bytes themselves, or a binary file object.
        policy: To judge by, as for `safeload.scan`.
        limits: What a file may cost. None is `Limits()`.

    Returns:
        An `Inspection`: tensors with dtype, shape and size, other values, ties, totals, and the report. A file of
        which nothing was understood has no entries; its report says why.

    Raises:
        InputError: The input cannot be read (an OSError).
        UsageError: The policy cannot be found or read.

    Example:
        >>> root, weight = safeload.inspect("model.pt").entries
        >>> weight.path, weight.dtype, weight.shape
        ('weight', 'float32', (2, 3))
    """
    rules = Policy.find(policy)
    source = open_source(f)
    pause()
    try:
        return inspection(source, rules, limits or Limits())
    finally:
        resume()
        source.close()


def inspection(source: Source, policy: Policy, limits: Limits) -> Inspection:
    """`inspect` of an open source."""
    scan = scan_source(source, policy=policy, limits=limits)
    if scan.document is None or scan.document.container == "unknown":
        return Inspection(scan.report, {}, _index(source, scan, limits))
    listing = _Listing()
    complete = True
    try:
        for place in places(scan.document, limits):
            listing.add(place)
    except LimitExceeded:
        complete = False
    return Inspection(
        scan.report, _format(scan.document.metadata), tuple(listing.entries), listing.ties(), listing.totals(),
        dict(listing.classes.most_common()), _others(scan.document), complete,
    )  # fmt: skip


def _format(metadata: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in metadata.items() if key not in (KEY, DIGEST_KEY)}


def _others(document: Document) -> tuple[str, ...]:
    if document.container in _PARTS:
        return ()
    return tuple([name for name, _ in document.others][:_OTHERS])


def _index(source: Source, scan: Scan, limits: Limits) -> tuple[Entry, ...]:
    """The names in an index whose shards are no safetensors files: in which file each tensor is, and no more."""
    if scan.report.container != "safetensors-index" or source.size > limits.index_bytes:
        return ()
    raw = source.peek(0, source.size)
    try:
        index = parse_index(raw, "the index") if MARK in raw else None
    except Malformed:
        return ()
    if index is None or len(index.weight_map) > limits.names:
        return ()
    return tuple([Entry(name, name, 1, "named", text=file) for name, file in index.weight_map.items()])


class _Listing:
    """Entries as they come, and what they add up to."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.classes: Counter[str] = Counter()
        self._storages: dict[tuple[int, object], int] = {}
        # Storage -> (what tells elements of it apart, name) of each tensor in it.
        self._in: dict[int, list[tuple[object, str]]] = {}
        self._counted: set[object] = set()
        self._totals: dict[str, list[int]] = {}

    def add(self, place: Place) -> None:
        """Take one place."""
        value = place.value
        head = (place.path, place.key, place.depth, place.kind)
        if place.kind == "tensor":
            self.entries.append(self._tensor(place, facts(value, place.home)))
        elif place.kind == "unread":
            self.entries.append(Entry(*head))
        elif place.kind == "same":
            self.entries.append(Entry(*head, type_of(value), text=place.first))
        else:
            if isinstance(value, Record) and value.args is not None:
                self.classes[type_of(value)] += 1
            text = text_of(value) if place.kind == "value" else ""
            self.entries.append(Entry(*head, type_of(value), place.size, text))

    def _tensor(self, place: Place, found: Facts) -> Entry:
        storage = offset = None
        whole: object = id(place.value)
        piece = found.pieces[0] if found.pieces else None
        if piece is not None and piece.has_bytes and piece.source is not None and piece.storage is not None:
            storage = self._storages.setdefault(piece.source, len(self._storages))
            extent = piece.home.storages.get(piece.storage.key)
            if extent is not None and extent.stored and piece.home.source is place.home.source:
                offset = extent.offset + piece.start
            stride = tuple([step if size > 1 else 0 for size, step in zip(piece.shape, piece.stride, strict=True)])
            whole = (found.layout, piece.dtype, piece.start, piece.shape, stride, piece.flip)
            if not found.layout:
                self._in.setdefault(storage, []).append((whole, place.path))
        self._count(found, (storage, whole))
        return Entry(
            place.path, place.key, place.depth, "tensor", found.kind, 0, "", found.dtype, found.shape, found.nbytes,
            found.layout, found.contiguous, found.requires_grad, found.device, storage, offset,
        )  # fmt: skip

    def _count(self, found: Facts, which: object) -> None:
        total = self._totals.setdefault(found.dtype or found.layout, [0, 0, 0])
        total[0] += 1
        if which not in self._counted:
            self._counted.add(which)
            elements = 1
            for size in found.shape:
                elements *= size
            total[1] += elements
            total[2] += found.nbytes

    def ties(self) -> tuple[Tie, ...]:
        """Names that share memory: first those with the same elements, then those with parts of one storage."""
        ties = []
        for members in self._in.values():
            if len(members) < 2:
                continue
            groups: dict[object, list[str]] = {}
            for which, name in members:
                groups.setdefault(which, []).append(name)
            ties += [Tie(tuple(names), same=True) for names in groups.values() if len(names) > 1]
            if len(groups) > 1:
                ties.append(Tie(tuple([names[0] for names in groups.values()]), same=False))
        return tuple(ties)

    def totals(self) -> tuple[Total, ...]:
        """Per dtype, the most bytes first."""
        found = [Total(dtype, *numbers) for dtype, numbers in self._totals.items()]
        return tuple(sorted(found, key=lambda total: (-total.nbytes, total.dtype)))
