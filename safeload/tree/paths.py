"""Names for the leaves of a Document: the dotted path on which each is reached.

A flat state_dict keeps its keys as they are; in a nested checkpoint the keys, attributes and indices on the way are
joined by dots ("model.layer1.weight", "optimizer.state.0.exp_avg"). A leaf that is reached on several paths has a name
for each, and the same leaf stands under all of them. Reads no values and knows no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from safeload.document.cell import Cell
from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    Enclosed,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageValue,
    Symbol,
    TensorSpec,
    resolve,
)
from safeload.document.record import Record
from safeload.errors import LimitExceeded, NotConvertible
from safeload.limits import Limits

ROOT = "tensor"
"""The name of a leaf that is the whole content of its file."""

# Characters of all names together, for each name allowed: real ones have fewer than 100.
_NAME_LENGTH = 256
_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
_ENDS = frozenset({TensorSpec, QuantizedSpec, SparseSpec, NestedTensorSpec, StorageValue, Symbol})
"""Leaves below which no path leads."""
_KEYS = frozenset({str, int})
_LONG_NUMBER = 1000
NO_PART = object()
"""The part of a path that adds nothing to it: what an enclosed file holds has the names that it has there."""


def named_leaves(
    root: object, wanted: Callable[[object], bool], limits: Limits, *, strict: bool = False
) -> dict[str, Any]:
    """Name -> what stands there (cells resolved), for each place below `root` where `wanted` says True.

    In the order of the file, dicts by insertion. Followed are dicts, lists, tuples, what vetted containers hold,
    attributes of Records and of Namespaces, elements of object arrays and enclosed files; sets are not, because their
    elements have no place. A container is entered once on each path, and never inside itself. When two places
    would have one name ({"a.b": x, "a": {"b": y}}), the later one gets "~2", "~3"... appended.

    `strict` refuses that, and keys on the way that are neither text nor whole numbers, with NotConvertible: for names
    that others will rely on.

    Raises LimitExceeded (`names`) when there are more names than `limits` allow; containers in which nothing wanted
    lies are not walked, so only what would be listed counts.
    """
    root = resolve(root)
    if isinstance(root, Enclosed):
        root = resolve(root.document.root)
    if wanted(root):
        return {ROOT: root}
    worth, ends = _leading(root, wanted)
    kept: dict[int, list[tuple[object, object]]] = {}

    def below(node: object) -> Iterator[tuple[object, object]]:
        # Picked out once for each node, however many paths lead to it: a million numbers may stand beside one tensor.
        found = kept.get(id(node))
        if found is None:
            found = kept[id(node)] = []
            for part, child in children(node):
                child = resolve(child)
                if id(child) in ends or id(child) in worth:
                    found.append((part, child))
        return iter(found)

    names = _Names(limits, strict)
    above = {id(root)}
    todo: list[tuple[object, str, Iterator[tuple[object, object]]]] = [(root, "", below(root))]
    while todo:
        node, prefix, rest = todo[-1]
        for part, child in rest:
            if id(child) in above:
                continue
            if strict and type(part) not in _KEYS and part is not NO_PART:
                raise NotConvertible(_no_key(part, prefix))
            name = prefix if part is NO_PART else f"{prefix}{part_text(part)}"
            if id(child) not in worth:
                # What an enclosed file is has the name of that file.
                names.add(name[:-1] if part is NO_PART else name, child)
                continue
            names.passed(name)
            above.add(id(child))
            todo.append((child, name if part is NO_PART else f"{name}.", below(child)))
            break
        else:
            above.discard(id(node))
            todo.pop()
    # Compiled, `below` and what it knows hold each other: nothing of the file should wait for the next collection.
    kept.clear()
    return names.found


def enclosed_leaves(
    document: Document, wanted: Callable[[object], bool], limits: Limits
) -> Iterator[tuple[str, Any, Document]]:
    """(name, what stands there, the Document that it stands in) for what is wanted below an enclosed file.

    A leaf is given once for each file around it, the innermost last. Its storages are looked up there: the same key in
    another Document is another storage.
    """
    todo = [document]
    seen = {id(document)}
    while todo:
        root = resolve(todo.pop().root)
        inside = named_leaves(root, lambda value: isinstance(value, Enclosed), limits).values()
        for inner in (root,) if isinstance(root, Enclosed) else inside:
            below = inner.document
            if id(below) not in seen:
                seen.add(id(below))
                todo.append(below)
                for name, leaf in named_leaves(below.root, wanted, limits).items():
                    yield name, leaf, below


class _Names:
    """What was named so far. Counts places and the text of their names, so that no structure multiplies without end."""

    def __init__(self, limits: Limits, strict: bool) -> None:
        self.found: dict[str, Any] = {}
        self._strict = strict
        self._again: dict[str, int] = {}
        self._most = self._left = limits.names
        self._letters = limits.names * _NAME_LENGTH

    def add(self, name: str, leaf: object) -> None:
        """Put `leaf` under `name`, or under `name~2`, `name~3`... when it is taken."""
        free = name
        while free in self.found:
            if self._strict:
                raise NotConvertible(f"two places of the file have the name {name[-200:]!a}: rename one of them")
            number = self._again[name] = self._again.get(name, 1) + 1
            free = f"{name}~{number}"
        self.passed(free)
        self.found[free] = leaf

    def passed(self, name: str) -> None:
        """Count a place on the way."""
        self._left -= 1
        self._letters -= len(name)
        if self._left < 0 or self._letters < 0:
            raise LimitExceeded(
                f"the tensors have more than {self._most} names, or names too long for that many: parts of the file "
                "are shared on too many paths",
                limit="names",
            )


def _leading(root: object, wanted: Callable[[object], bool]) -> tuple[set[int], set[int]]:
    """The ids of all containers below which something wanted lies, and of what is wanted. Each is visited once."""
    parents: dict[int, list[object]] = {}
    found: list[object] = []
    ends: set[int] = set()
    seen = {id(root)}
    todo = [root]
    while todo:
        node = todo.pop()
        holds = False
        for _, child in children(node):
            child = resolve(child)
            if type(child) in _SCALARS:
                continue
            number = id(child)
            if number not in seen:
                seen.add(number)
                if wanted(child):
                    ends.add(number)
                elif type(child) not in _ENDS:
                    todo.append(child)
            if number in ends:
                holds = True
            elif type(child) not in _ENDS:
                parents.setdefault(number, []).append(node)
        if holds:
            found.append(node)
    worth = {id(node) for node in found}
    while found:
        for parent in parents.pop(id(found.pop()), ()):
            if id(parent) not in worth:
                worth.add(id(parent))
                found.append(parent)
    return worth, ends


def children(node: object) -> Iterator[tuple[object, object]]:
    """(part of the path, child) for all that stands in `node`; NO_PART adds nothing to the name."""
    if isinstance(node, dict):
        return iter(node.items())
    if isinstance(node, list | tuple):
        return enumerate(node)
    if isinstance(node, Built):
        return chain(enumerate(node.args), _items(node.items), node.state.items() if node.state else ())
    if isinstance(node, Record):
        return _record(node)
    if isinstance(node, ArraySpec) and node.objects is not None:
        return enumerate(node.objects)
    if isinstance(node, Enclosed):
        return iter(((NO_PART, node.document.root),))
    return iter(())


def _record(node: Record) -> Iterator[tuple[object, object]]:
    """Attributes under their names, a state of another form as "state"; then arguments and items by index."""
    state = resolve(node.state)
    if isinstance(state, dict):
        yield from state.items()
    elif isinstance(state, tuple) and len(state) == 2 and all(_attributes(part) for part in state):
        for part in state:
            part = resolve(part)
            if isinstance(part, dict):
                yield from part.items()
    else:
        yield "state", state
    args, kwargs = resolve(node.args), resolve(node.kwargs)
    if isinstance(args, tuple | list):
        yield from enumerate(args)
    if isinstance(kwargs, dict):
        yield from kwargs.items()
    yield from _items(resolve(node.items))


def _attributes(part: object) -> bool:
    part = resolve(part)
    return part is None or isinstance(part, dict)


def _items(items: object) -> Iterable[tuple[object, object]]:
    if isinstance(items, dict):
        return items.items()
    return _listed(items) if isinstance(items, list) else ()


def _listed(items: list[object]) -> Iterator[tuple[object, object]]:
    for index, item in enumerate(items):
        # What a mapping's record would have been given comes as pairs.
        if isinstance(item, tuple) and len(item) == 2 and type(resolve(item[0])) is str:
            yield resolve(item[0]), item[1]
        else:
            yield index, item


def _no_key(part: object, prefix: str) -> str:
    return (
        f"a tensor stands under the key {ascii(part_text(part))[:200]} ({type(resolve(part)).__name__}) at "
        f"{ascii(prefix[-200:-1]) if prefix else 'the root'}: only text and whole numbers make a name"
    )


def part_text(part: object) -> str:
    """One part of a path. Keys that are no text show as Python writes them; objects as their kind."""
    if type(part) is str:
        return part
    if isinstance(part, Cell):
        part = resolve(part)
    if type(part) is int:
        # Decimal text of huge numbers takes quadratic time.
        return str(part) if part.bit_length() < _LONG_NUMBER else hex(part)
    if isinstance(part, tuple):
        return "tuple" if any(isinstance(i, tuple) for i in part) else f"({','.join(part_text(item) for item in part)})"
    if isinstance(part, Symbol):
        return part.name
    if isinstance(part, Built):
        return part.kind
    return repr(part) if type(part) in _SCALARS else type(part).__name__
