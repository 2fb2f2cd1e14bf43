"""The places of a Document: every container and every leaf, in order, each with its dotted path.

Names follow `tree/paths.py`, but for a pickled nn.Module, whose parameters, buffers and children have the names that
its state_dict gives them. A container is entered once; met again it is a place that says where it was first, so that
what doubles at every level stays as small as it is in the file. Iterative; reads no bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from safeload.document.cell import UNSET
from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    Enclosed,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageValue,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.record import Record
from safeload.errors import LimitExceeded
from safeload.limits import Limits
from safeload.modules.node import attributes, is_module, mapping
from safeload.tree.paths import NO_PART, ROOT, children, part_text

ALL_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})

TENSOR_CALLS = frozenset({"torch.Tensor", "torch.from_numpy"})
"""Vetted constructors whose result is a tensor."""

# A dict of this many plain values is a table (a vocabulary, say): one value, not a place for each.
_TABLE = 64
_LETTERS = 256
_MODULE_PARTS = ("_parameters", "_buffers", "_modules")
_VERSIONS = "_metadata"


class Place(NamedTuple):
    """One place.

    path      dotted; "" for the root when it is a container
    key       the last part of the path
    depth     containers around it
    value     what stands there, resolved; UNSET where judging broke off
    home      the Document whose storages its keys name
    kind      "container", "tensor", "value", "same" (a container that was entered before), "unread"
    size      what a container holds directly
    first     of "same": the path where it was entered
    """

    path: str
    key: str
    depth: int
    value: object
    home: Document
    kind: str
    size: int = 0
    first: str = ""


class _Level(NamedTuple):
    """A container that is being walked; `prefix` is what the paths below it begin with."""

    node: object
    prefix: str
    rest: Iterator[tuple[object, object]]
    home: Document


def places(document: Document, limits: Limits, *, again: bool = False) -> Iterator[Place]:
    """Every place of `document`.

    `again` enters a shared container on each path that leads to it, though never inside itself. Raises LimitExceeded
    (`names`) when there are more places, or longer paths, than the limits allow.
    """
    return _Walk(limits, again=again).run(document)


class _Walk:
    """State of one walk. Every name that a leaf got is kept, so that no two have the same."""

    def __init__(self, limits: Limits, *, again: bool) -> None:
        self._again = again
        self._most = self._left = limits.names
        self._letters = limits.names * _LETTERS
        self._taken: set[str] = set()
        self._count: dict[str, int] = {}
        # id of a container -> the path where it was entered; all of them live as long as the document.
        self._first: dict[int, str] = {}
        self._leaf: dict[int, bool] = {}

    def run(self, document: Document) -> Iterator[Place]:
        root = resolve(document.root)
        while isinstance(root, Enclosed):
            document, root = root.document, resolve(root.document.root)
        if is_tensor(root):
            yield self._place(ROOT, ROOT, 0, root, document)
            return
        place = self._place("", "", 0, root, document)
        yield place
        if place.kind != "container":
            return
        todo = [_Level(root, "", iter(_below(root)), document)]
        above = {id(root)}
        while todo:
            level = todo[-1]
            for part, child in level.rest:
                child = resolve(child)
                text = "" if part is NO_PART else part_text(part)
                path = level.prefix[:-1] if part is NO_PART else level.prefix + text
                place = self._place(path, text, len(todo), child, level.home, above)
                yield place
                if place.kind == "container" or self._has_attributes(child, above):
                    home = child.document if isinstance(child, Enclosed) else level.home
                    above.add(id(child))
                    prefix = level.prefix if part is NO_PART else f"{place.path}."
                    todo.append(_Level(child, prefix, iter(_below(child)), home))
                    break
            else:
                above.discard(id(level.node))
                todo.pop()

    def _place(
        self,
        path: str,
        key: str,
        depth: int,
        value: object,
        home: Document,
        above: set[int] | frozenset[int] = frozenset(),
    ) -> Place:
        self._left -= 1
        self._letters -= len(path)
        if self._left < 0 or self._letters < 0:
            message = f"the file has more than {self._most} places, or names too long for that many"
            raise LimitExceeded(message, limit="names")
        if value is UNSET:
            return Place(self._free(path), key, depth, value, home, "unread")
        if is_tensor(value):
            return Place(self._free(path), key, depth, value, home, "tensor")
        if not _holds(value) or key == _VERSIONS or self._is_leaf(value):
            return Place(self._free(path), key, depth, value, home, "value")
        first = self._first.get(id(value))
        if id(value) in above or (first is not None and not self._again):
            return Place(self._free(path), key, depth, value, home, "same", 0, first or "")
        self._first.setdefault(id(value), path)
        return Place(path, key, depth, value, home, "container", _size(value))

    def _has_attributes(self, value: object, above: set[int]) -> bool:
        """Whether `value` is a tensor with attributes that are to be walked: on one path at a time, as containers."""
        if not isinstance(value, WrappedTensor) or not value.state or id(value) in above:
            return False
        seen = id(value) in self._first
        self._first[id(value)] = ""
        return self._again or not seen

    def _is_leaf(self, value: object) -> bool:
        found = self._leaf.get(id(value))
        if found is None:
            found = self._leaf[id(value)] = _plain(value)
        return found

    def _free(self, path: str) -> str:
        """`path`, or `path~2`, `path~3`... when a leaf has it."""
        free = path
        while free in self._taken:
            number = self._count[path] = self._count.get(path, 1) + 1
            free = f"{path}~{number}"
        self._taken.add(free)
        return free


def is_tensor(value: object) -> bool:
    """Whether a resolved value is shown as a tensor: it has a type, a shape and bytes."""
    if isinstance(value, Built):
        return value.kind in TENSOR_CALLS
    if isinstance(value, ArraySpec):
        return value.objects is None and not value.scalar
    return isinstance(value, TensorSpec | QuantizedSpec | SparseSpec | NestedTensorSpec | WrappedTensor | StorageValue)


def _holds(value: object) -> bool:
    if isinstance(value, Record):
        return value.args is not None
    if isinstance(value, ArraySpec):
        return value.objects is not None
    return isinstance(value, dict | list | tuple | Built | Enclosed)


def _plain(value: object) -> bool:
    """Whether a container is one value for a reader: empty, a row of plain values, a table of them."""
    if isinstance(value, Built):
        if value.state or not _row(value.args):
            return False
        return not value.items or (isinstance(value.items, list) and _flat(value.items))
    if isinstance(value, list | tuple):
        return _flat(value)
    if isinstance(value, dict):
        return not value or (len(value) > _TABLE and _flat(list(value)) and _flat(list(value.values())))
    return False


def _flat(items: list[object] | tuple[object, ...]) -> bool:
    return set(map(type, items)) <= ALL_SCALARS


def _row(args: tuple[object, ...]) -> bool:
    """Whether arguments are plain values, or rows of them."""
    return all(type(arg) in ALL_SCALARS or (isinstance(arg, list | tuple) and _flat(arg)) for arg in args)


def _size(value: object) -> int:
    """How many things a container holds, as people count them."""
    if isinstance(value, Built):
        return len(value.items if value.items is not None else value.args)
    if isinstance(value, Record):
        return len(attributes(value)) or sum(1 for _ in children(value))
    if isinstance(value, ArraySpec):
        return len(value.objects or ())
    return len(value) if isinstance(value, dict | list | tuple) else 1


def _below(node: object) -> Iterator[tuple[object, object]]:
    """(part of the path, child) of a container."""
    if isinstance(node, WrappedTensor):
        state = resolve(node.state)
        return iter(state.items() if isinstance(state, dict) else [("state", state)])
    if isinstance(node, Record) and is_module(node):
        return _module(node)
    found = children(node)
    if isinstance(node, Record) and resolve(node.state) is None:
        return (pair for pair in found if pair != ("state", None))
    return found


def _module(node: Record) -> Iterator[tuple[object, object]]:
    """What a module holds: its own tensors and children under their plain names, then its other attributes."""
    found = attributes(node)
    for part in _MODULE_PARTS:
        yield from (mapping(found.get(part)) or {}).items()
    for key, value in found.items():
        if key not in _MODULE_PARTS:
            yield key, value
    if node.args:
        yield "args", node.args
