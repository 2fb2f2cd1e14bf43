"""The object of a file as an indented tree in which what repeats stands once.

Dotted names ("layers.0.mlp.weight") are split, so that a flat state_dict shows the model's structure. Neighbours with
numbers for names that hold the same things (types, shapes, keys) become one branch: "layers.{0..31}". Iterative.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from safeload.inspecting.interface import Entry

# Parts of one dotted name that become branches; the rest stays together.
_PARTS = 32


class Branch(NamedTuple):
    """One line of the tree.

    name     a part of the path, "{0..31}" for a run of like ones
    depth    of the line
    times    how many like branches it stands for
    entry    the entry, None for a part of dotted names alone; of a run that of the first
    tensors, nbytes  in all that it stands for
    """

    name: str
    depth: int
    times: int
    entry: Entry | None
    tensors: int
    nbytes: int


@dataclass(slots=True)
class _Node:
    """A part of a path while the tree is made. `like` is one number for all branches that hold the same."""

    name: str
    entry: Entry | None = None
    below: dict[str, _Node] = field(default_factory=dict)
    like: int = 0
    tensors: int = 0
    nbytes: int = 0


def branches(entries: Iterable[Entry], tied: Container[str] = ()) -> list[Branch]:
    """The lines of the tree of `entries`, top down. Bytes of names that are `tied` to an earlier one count there."""
    root = _planted(entries)
    _measure(root, tied)
    found: list[Branch] = []
    todo: list[tuple[list[_Node], str, int]] = [([root], root.name, -1)]
    while todo:
        nodes, name, depth = todo.pop()
        node = nodes[0]
        if depth >= 0 or node.entry is not None:
            tensors, nbytes = sum([one.tensors for one in nodes]), sum([one.nbytes for one in nodes])
            found.append(Branch(name, max(depth, 0), len(nodes), node.entry, tensors, nbytes))
        todo.extend([(run, name, depth + 1) for run, name in reversed(_runs(list(node.below.values())))])
    return found


def _planted(entries: Iterable[Entry]) -> _Node:
    root = _Node("")
    # Where each container was put: entries come after the containers that they are in.
    around: list[tuple[int, str, _Node]] = [(-1, "", root)]
    for entry in entries:
        if entry.kind == "container" and not entry.path:
            root.entry = entry
            continue
        while len(around) > 1 and (around[-1][0] >= entry.depth or not f"{entry.path}.".startswith(around[-1][1])):
            around.pop()
        _, prefix, node = around[-1]
        rest = entry.path[len(prefix) :]
        # What a file in the file holds has the path of that file.
        parts = rest.split(".", _PARTS) if rest else [entry.key or "(content)"]
        for part in parts[:-1]:
            node = node.below.setdefault(part, _Node(part))
        last = parts[-1]
        while last in node.below and node.below[last].entry is not None:
            last += "~"
        node = node.below.setdefault(last, _Node(last))
        node.entry = entry
        around.append((entry.depth, f"{entry.path}.", node))
    return root


def _measure(root: _Node, tied: Container[str]) -> None:
    """Set what each node holds in all, and which nodes are alike, from the bottom up."""
    numbers: dict[object, int] = {}
    todo = [(root, False)]
    while todo:
        node, done = todo.pop()
        if not done:
            todo.append((node, True))
            todo.extend([(child, False) for child in node.below.values()])
            continue
        entry = node.entry
        if entry is not None and entry.kind in {"tensor", "named"}:
            node.tensors, node.nbytes = 1, 0 if entry.path in tied else entry.nbytes
        for child in node.below.values():
            node.tensors += child.tensors
            node.nbytes += child.nbytes
        # Values may differ within a run: a step count for each parameter is no reason to show a thousand branches.
        mine = None if entry is None else (entry.kind, entry.type, entry.dtype, entry.shape, entry.layout)
        key = (mine, tuple([(child.name, child.like) for child in node.below.values()]))
        node.like = numbers.setdefault(key, len(numbers))


def _runs(nodes: list[_Node]) -> list[tuple[list[_Node], str]]:
    """(nodes, name) of neighbours that are alike and numbered in a row; others alone."""
    found: list[tuple[list[_Node], str]] = []
    at = 0
    while at < len(nodes):
        end = at + 1
        while end < len(nodes) and _follows(nodes[end - 1], nodes[end]):
            end += 1
        run = nodes[at:end]
        found.append((run, run[0].name if len(run) == 1 else f"{{{run[0].name}..{run[-1].name}}}"))
        at = end
    return found


def _follows(one: _Node, two: _Node) -> bool:
    return one.like == two.like and _number(one.name) >= 0 and _number(one.name) + 1 == _number(two.name)


def _number(name: str) -> int:
    return int(name) if name.isdecimal() and name.isascii() and len(name) < 10 else -2
