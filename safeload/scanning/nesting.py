"""Measures how deep a judged value nests and how far it expands. The walk is iterative and visits each container once.

A deep tree is a legal pickle and loads without harm. But Python recurses when it prints, compares or copies the tree,
and fails. Shared parts load without harm too. But whoever prints, compares or copies the value meets them again at each
mention: with 60 lists, each of which holds the next one twice, that never ends. The walk skips leaves that hold nothing
in bulk. Of a call it counts what the result holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from safeload.document.cell import Cell
from safeload.document.document import ArraySpec, Built, WrappedTensor
from safeload.document.record import Record
from safeload.errors import LimitExceeded
from safeload.limits import Limits

_CONTAINERS = (list, tuple, dict, set, frozenset)
_HELD = (*_CONTAINERS, Record, Built, ArraySpec, WrappedTensor)
# Sizes stop here: far above what memory holds or a limit allows, and still one machine word.
_MOST: Final = 1 << 62
_FLAT = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})


class Nesting(NamedTuple):
    """How a value nests.

    depth     the longest path into containers, cut off above the limit; a cycle counts once
    expanded  how many elements it has more than it holds when every part is written out at each mention, cut off above
              the limit. Sharing is what multiplies: without any it is 0, whatever the size
    """

    depth: int
    expanded: int


def too_nested(value: object, limits: Limits) -> LimitExceeded | None:
    """The limit that `value` breaks; None when it breaks none."""
    found = nesting(value, limits.depth, limits.expanded)
    if found.depth > limits.depth:
        return LimitExceeded(f"containers are nested more than {limits.depth} deep", limit="depth")
    if found.expanded > limits.expanded:
        return LimitExceeded(
            f"parts that are shared make the value more than {limits.expanded} elements larger than it is when it is"
            " printed, compared or copied",
            limit="expanded",
        )
    return None


def nesting(root: object, depth: int, expanded: int) -> Nesting:
    """How `root` nests, measured up to these limits."""
    starts = _holding((root,))
    if not starts:
        return Nesting(0, 0)
    root = starts[0]
    heights: dict[int, int] = {}
    # Elements with every part written out. 0 as long as a container is not finished: within itself it is not.
    sizes: dict[int, int] = {}
    held = 0
    todo: list[tuple[object, int]] = [(root, 1)]
    while todo:
        node, level = todo.pop()
        if level > depth:
            return Nesting(level, 0)
        key = id(node)
        if level > 0:
            if key in heights:
                continue
            children = _children(node)
            # What is written for the node without its parts. Never 0, so that empty ones count.
            if isinstance(node, dict):
                own = 1 + 2 * len(node)
            else:
                own = 1 + len(node) if isinstance(node, _CONTAINERS) else 4
            held += own
            if not children:
                heights[key], sizes[key] = 1, own
                continue
            heights[key] = sizes[key] = 0
            # Negative: the second visit, when everything below is known.
            todo.append((node, -own))
            for child in children:
                if id(child) not in heights:
                    todo.append((child, level + 1))
            continue
        height, size = 0, -level
        for child in _children(node):
            below = id(child)
            height = max(height, heights.get(below, 0))
            size += sizes.get(below, 0)
        if height >= depth:
            return Nesting(height + 1, 0)
        heights[key], sizes[key] = height + 1, min(size, _MOST)
    return Nesting(heights[id(root)], max(0, min(sizes[id(root)] - held, expanded + 1)))


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
    # SECURITY: a subclass of a flat type is none of these; only exact types are passed over in bulk.
    if _FLAT.issuperset(map(type, items)):
        return []
    found: list[object] = []
    for item in items:
        inner = item
        while isinstance(inner, Cell):
            inner = inner.value
        if isinstance(inner, _HELD):
            found.append(inner)
    return found
