"""Document -> the text of its tree, and beforehand: what of it has to lie in the safetensors file.

Iterative; each object is spelled once, and referred to wherever it stands again. Reads no tensor and no file. The text
is ASCII, and the same for the same Document and plan (but for the order of sets of objects).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    Enclosed,
    NestedTensorSpec,
    StorageSpec,
    StorageValue,
    TensorSpec,
    resolve,
)
from safeload.document.record import Record
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.tree.interface import FORMAT, VERSION, Blob, Child, Contents, Kept, Mark, Placed, Plan
from safeload.tree.spelling import EXISTS, Speller, flat, quote

_NUMPY = {
    "f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "b1": "bool", "c8": "complex64",
}  # fmt: skip
"""numpy's type string without byte order -> element type that a safetensors file has a name for."""


_ORDERED = "collections.OrderedDict"


def contents(document: Document) -> Contents:
    """What `encode` will ask a Plan for, in the order of the tree. Raises Malformed for what has no form in a tree."""
    found = _Collector()
    shared = _shared(document, found)
    return Contents(
        tuple(found.tensors.values()), tuple(found.stored.values()), tuple(found.blobs.values()),
        tuple(found.records.values()), shared,
    )  # fmt: skip


def encode(
    document: Document,
    plan: Plan,
    limits: Limits | None = None,
    *,
    wanted: Contents | None = None,
    names: Sequence[str] = (),
) -> str:
    """The tree of `document`, its tensors where `plan` says they are.

    wanted   the `contents` of `document`, when they are known
    names    of the tensors in the order of the file's header: a dict that holds just these is not spelled out. (): the
             tree is for several files, which have no one order

    Raises UsageError for an object outside the vetted table that the plan does not drop, LimitExceeded (`tree_bytes`)
    for a text that no reader would take, Malformed for what has no form in a tree.
    """
    head = [f'{{"format":{quote(FORMAT)},"version":{VERSION}']
    kept = [f"{quote(name)}:{{{_kept(how)}}}" for name, how in sorted(plan.storages.items()) if _kept(how)]
    if kept:
        head.append(f'"storages":{{{",".join(kept)}}}')
    if plan.aside:
        head.append(f'"aside":[{",".join(map(quote, sorted(plan.aside)))}]')
    wanted = wanted or contents(document)
    every = _every(document, plan, wanted, names)
    writer = _Writer(Speller(plan, every, names), wanted.shared, (limits or Limits()).tree_bytes)
    writer.out.append(",".join([*head, '"root":']))
    writer.write(document)
    return "".join([*writer.out, "}"])


def _kept(how: Kept) -> str:
    parts = [] if how.dtype is None else [f'"dtype":{quote(how.dtype)}']
    return ",".join(parts if how.location == "cpu" else [*parts, f'"location":{quote(how.location)}'])


def _start(value: object, home: Document) -> tuple[object, Document]:
    """A value as it is spelled: the content of an enclosed file stands in its place."""
    while isinstance(value, Enclosed):
        home = value.document
        value = resolve(home.root)
    return value, home


class _Collector:
    """A plan that puts nothing anywhere and remembers what it was asked."""

    storages: Mapping[str, Kept] = MappingProxyType({})
    aside: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.tensors: dict[int, tuple[TensorSpec, Document]] = {}
        self.stored: dict[int, tuple[StorageValue, Document]] = {}
        self.blobs: dict[tuple[int, str], Blob] = {}
        self.records: dict[int, Record] = {}

    def tensor(self, spec: TensorSpec, home: Document) -> Placed:
        self.tensors.setdefault(id(spec), (spec, home))
        return Placed("")

    def storage(self, spec: StorageSpec, home: Document) -> str:
        self.stored.setdefault(id(spec), (StorageValue(spec, spec.dtype is not None), home))
        return ""

    def blob(self, owner: object, part: str) -> str | None:
        if (id(owner), part) not in self.blobs:
            self.blobs[id(owner), part] = _blob(owner, part)
        return ""

    def drops(self, record: Record) -> bool:
        self.records.setdefault(id(record), record)
        return True


def _blob(owner: object, part: str) -> Blob:
    if isinstance(owner, NestedTensorSpec):
        return _table(owner, part)
    if isinstance(owner, ArraySpec) and isinstance(owner.data, bytes):
        dtype = _NUMPY.get(owner.dtype[1:]) if owner.dtype[0] in "<|" else None
        if dtype is not None:
            shape = tuple(reversed(owner.shape)) if owner.fortran else owner.shape
            return Blob(owner, part, dtype, shape, owner.data)
        return Blob(owner, part, "uint8", (len(owner.data),), owner.data)
    if not isinstance(owner, bytes | bytearray):
        raise Malformed(f"no bytes in a {type(owner).__name__}")
    return Blob(owner, part, "uint8", (len(owner),), owner)


def _table(owner: NestedTensorSpec, part: str) -> Blob:
    rows = {"sizes": owner.sizes, "strides": owner.strides}.get(part)
    numbers = owner.offsets if rows is None else [number for row in rows for number in row]
    shape = (len(owner.offsets),) if rows is None else (len(rows), len(rows[0]) if rows else 0)
    return Blob(owner, part, "int64", shape, b"".join([number.to_bytes(8, "little") for number in numbers]))


def _every(document: Document, plan: Plan, wanted: Contents, names: Sequence[str]) -> object:
    """The root when its items are the tensors of the file, in order and as their header says them; else None."""
    root, home = _start(resolve(document.root), document)
    items = root.items if isinstance(root, Built) and root.kind == _ORDERED else root
    if not isinstance(items, dict) or type(items) not in (dict, OrderedDict):
        return None
    others = len(wanted.tensors) != len(items) or wanted.storages or plan.storages or plan.aside
    if others or not names or list(items) != list(names):
        return None
    for name, item in items.items():
        spec = resolve(item)
        if type(spec) is not TensorSpec or spec.storage is None or id(spec) in wanted.shared:
            return None
        if spec.requires_grad or spec.conj or spec.neg:
            return None
        if plan.tensor(spec, spec.storage.home or home) != Placed(name):
            return None
    return root


def _shared(document: Document, plan: _Collector) -> frozenset[int]:
    """The ids of the objects that stand in more than one place. Each object is visited once."""
    speller = Speller(plan)
    seen: set[int] = set()
    twice: set[int] = set()
    todo = [Child(resolve(document.root), document)]
    while todo:
        value, home = _start(*todo.pop()[:2])
        if flat(value) is not None:
            continue
        if id(value) in seen:
            twice.add(id(value))
            continue
        seen.add(id(value))
        if type(value) is TensorSpec and value.storage is not None:
            # What its spelling would ask; half of the objects of a checkpoint are tensors.
            plan.tensor(value, value.storage.home or home)
            continue
        todo.extend(reversed([token for token in speller.spell(value, home) if type(token) is Child]))
    return frozenset(twice)


class _Writer:
    """Writes one tree."""

    def __init__(self, speller: Speller, shared: frozenset[int], most: int) -> None:
        self.out: list[str] = []
        self._speller = speller
        self._shared = shared
        self._most = self._left = most
        self._numbers: dict[int, int] = {}
        # Objects that exist at their end, of which only the beginning is written: how many argument lists enclose them.
        self._open: dict[int, int] = {}
        self._barriers = 0

    def write(self, document: Document) -> None:
        """Append the text of the root."""
        todo: list[tuple[object, int]] = [(Child(resolve(document.root), document), 0)]
        while todo:
            token, owner = todo.pop()
            if type(token) is str:
                self._put(token)
            elif type(token) is Mark:
                self._barriers += token.barrier
                if token is EXISTS:
                    self._open.pop(owner, None)
            elif isinstance(token, Child):
                value, home = _start(token.value, token.home)
                text = flat(value)
                if text is not None:
                    self._put(text)
                elif id(value) in self._numbers:
                    self._refer(id(value), token.slot)
                else:
                    number = 0
                    if id(value) in self._shared and not isinstance(value, Record):
                        number = self._numbers[id(value)] = len(self._numbers) + 1
                    tokens = self._speller.spell(value, home, number)
                    if number and EXISTS in tokens:
                        self._open[id(value)] = self._barriers
                    todo.extend([(part, id(value)) for part in reversed(tokens)])

    def _put(self, text: str) -> None:
        self._left -= len(text)
        if self._left < 0:
            raise LimitExceeded(f"a tree of more than {self._most} bytes", limit="tree_bytes")
        self.out.append(text)

    def _refer(self, value: int, slot: bool) -> None:
        level = self._open.get(value)
        if level is not None and not (slot and level == self._barriers):
            raise Malformed("an object holds itself in a way that a tree cannot say")
        self._put(f'{{"ref":{self._numbers[value]}}}')
