"""How deep a judged value is nested, in one iterative walk that visits each container once.

Deep trees are legal pickles and load without harm, and then break whoever prints, compares or copies them, because
Python recurses there. Leaves that hold nothing are skipped in bulk. Calls count through what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable

from safeload.cell import Cell
from safeload.document import ArraySpec, Built, WrappedTensor
from safeload.record import Record

_CONTAINERS = (list, tuple, dict, set, frozenset)
_HELD = (*_CONTAINERS, Record, Built, ArraySpec, WrappedTensor)
_FLAT = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})


def nesting(root: object, most: int) -> int:
    """The longest path from `root` into containers, cut off above `most`; a cycle counts once."""
    starts = _holding((root,))
    if not starts:
        return 0
    root = starts[0]
    heights: dict[int, int] = {}
    todo: list[tuple[object, int]] = [(root, 1)]
    while todo:
        node, depth = todo.pop()
        if depth > most:
            return depth
        if depth < 0:
            below = [heights.get(id(child), 0) for child in _children(node)]
            heights[id(node)] = 1 + max(below, default=0)
            if heights[id(node)] > most:
                return heights[id(node)]
        elif id(node) not in heights:
            children = _children(node)
            heights[id(node)] = 0 if children else 1
            if children:
                # Negative: the second visit, when everything below is known.
                todo.append((node, -1))
                todo.extend((child, depth + 1) for child in children)
    return heights[id(root)]


def _children(node: object) -> list[object]:
    """The containers, and the objects that hold some, right below `node`."""
    if isinstance(node, dict):
        return _holding(node.values()) + _holding(node)
    if isinstance(node, _CONTAINERS):
        return _holding(node)
    if isinstance(node, Record):
        return _holding((node.args, node.kwargs, node.state, node.items))
    if isinstance(node, Built):
        return _holding((node.args, node.items, node.state))
    if isinstance(node, ArraySpec):
        # SECURITY: freeing arrays of objects inside arrays of objects recurses in C.
        return _holding(node.objects or ())
    if isinstance(node, WrappedTensor):
        return _holding((node.data, node.state))
    return []


def _holding(items: Iterable[object]) -> list[object]:
    kinds = set(map(type, items))
    if kinds <= _FLAT:
        return []
    found: list[object] = []
    for item in items:
        inner = item
        while isinstance(inner, Cell):
            inner = inner.value
        if isinstance(inner, _HELD):
            found.append(inner)
    return found
