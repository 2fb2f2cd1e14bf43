"""Where the bytes of a checkpoint are, by module path: the storages of its Document under the names of its tensors.

Every byte of the file counts once: a storage under the tensors that show it, in the order of the file, and what is no
storage (pickles, headers, padding) as one piece. Reads no values. Bounded in names, depth and pieces.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from safeload.document.document import (
    ArraySpec,
    Document,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageSpec,
    StorageValue,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.elements import spec_bytes
from safeload.errors import LimitExceeded
from safeload.limits import Limits
from safeload.reports.details import Part
from safeload.tree.paths import enclosed_leaves, named_leaves

PIECES = 20
"""Pieces that one piece is taken apart into; the smaller ones are counted together."""

_DEPTH = 6
_LONGEST = 120
# A piece with so much of what it belongs to tells little: what it consists of stands in its place.
_MOST = 0.6

_TENSORS = (TensorSpec, QuantizedSpec, SparseSpec, NestedTensorSpec, WrappedTensor, StorageValue)


def map_bytes(document: Document, size: int, limits: Limits) -> Part | None:
    """The file of `size` bytes taken apart, with its shards where it is an index; None when it holds no storages."""
    holders: dict[int, Document] = {}
    try:
        leaves = named_leaves(document.root, _wanted, limits)
        # The same key in a file inside the file is another storage.
        inside = {id(leaf): holder for _, leaf, holder in enclosed_leaves(document, _wanted, limits)}
    except LimitExceeded:
        leaves, inside = {}, {}
    shown = {name: list(_shown(leaf, inside.get(id(leaf), document))) for name, leaf in leaves.items()}
    for holder in (document, *(holder for places in shown.values() for holder, _, _ in places)):
        holders.setdefault(id(holder), holder)
    left = {(at, key): extent.length for at, holder in holders.items() for key, extent in holder.storages.items()}
    stored = sum(left.values())
    if not left:
        return None
    top = _Node("")
    for name, places in shown.items():
        taken = 0
        for holder, key, most in places:
            part = min(left.get((id(holder), key), 0), most)
            left[id(holder), key] = left.get((id(holder), key), 0) - part
            taken += part
        top.add(name, taken)
    size += sum(holder.source.size for holder in _shards(document, holders.values(), inside.values()))
    parts = list(_parts(top, stored))
    if nameless := sum(left.values()):
        parts.append(Part("bytes of storages that no name reaches", "", nameless))
    if size > stored:
        parts.append(Part("pickles, headers and padding", "", size - stored))
    return Part("", "", max(size, stored), len(leaves), tuple(parts))


def _shards(document: Document, holders: Iterable[Document], inside: Iterable[Document]) -> Iterator[Document]:
    """The files beside an index that its tensors are in: holders that are neither the file itself nor inside it."""
    within = {id(document), *map(id, inside)}
    return (holder for holder in holders if id(holder) not in within)


def _wanted(leaf: object) -> bool:
    return isinstance(leaf, _TENSORS) or (isinstance(leaf, ArraySpec) and isinstance(leaf.data, StorageSpec))


def _shown(leaf: object, document: Document) -> Iterator[tuple[Document, str, int]]:
    """(Document of its storage, key, bytes of it) that a tensor in `document` shows."""
    todo = [leaf]
    while todo:
        node = resolve(todo.pop())
        if isinstance(node, TensorSpec) and node.storage is not None:
            yield node.storage.home or document, node.storage.key, spec_bytes(node)
        elif isinstance(node, WrappedTensor | QuantizedSpec):
            todo.append(node.data)
        elif isinstance(node, SparseSpec):
            todo += [node.values, *node.indices]
        elif isinstance(node, NestedTensorSpec):
            todo.append(node.buffer)
        elif isinstance(node, StorageValue):
            yield node.storage.home or document, node.storage.key, node.storage.nbytes
        elif isinstance(node, ArraySpec) and isinstance(node.data, StorageSpec):
            yield node.data.home or document, node.data.key, node.data.nbytes


class _Node:
    """A module while bytes are put into it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self.tensors = 0
        self.below: dict[str, _Node] = {}

    def add(self, name: str, size: int) -> None:
        """Count a tensor in every module on the way to it."""
        node = self
        pieces = name.split(".", _DEPTH)
        for depth in range(-1, len(pieces)):
            if depth >= 0:
                piece = pieces[depth][:_LONGEST]
                node = node.below.setdefault(piece, _Node(f"{node.path}.{piece}" if node.path else piece))
            node.size += size
            node.tensors += 1


def _parts(top: _Node, stored: int) -> Iterator[Part]:
    """Two levels of pieces: what nearly all lies in is replaced by what it consists of, a few times over."""
    nodes = [top]
    for _ in range(_DEPTH):
        large = next((node for node in nodes if node.below and node.size > _MOST * stored), None)
        if large is None or (len(nodes) > 1 and len(large.below) > PIECES):
            break
        nodes = [node for node in nodes if node is not large] + list(large.below.values())
    yield from _grouped(nodes, "", inner=True)


def _grouped(nodes: list[_Node], above: str, *, inner: bool) -> Iterator[Part]:
    """The largest pieces, and the rest as one."""
    order = sorted((node for node in nodes if node.tensors), key=lambda node: -node.size)
    shown = order if len(order) <= PIECES else order[: PIECES - 1]
    for node in shown:
        name = node.path[len(above) :] if node.path.startswith(above) else node.path
        below = _grouped(list(node.below.values()), f"{node.path}.", inner=False) if inner else ()
        yield Part(name, node.path, node.size, node.tensors, tuple(below))
    rest = order[len(shown) :]
    if rest:
        yield Part(
            f"{len(rest)} smaller ones", above.rstrip(".") or "...",
            sum(node.size for node in rest), sum(node.tensors for node in rest),
        )  # fmt: skip
