"""Document -> Python objects: one iterative walk that builds each Cell and container once.

An immutable object is built when all of its parts exist. A container exists as soon as the walk meets it, and is filled
at the end, because it may hold itself. The walk visits the items of a container later than the parts of what it is
building, so it visits each node once, however many cycles lead to it. The plain containers of the Document become the
result: the machine made them from the judged bytes, and nobody else holds them. So a Document can be loaded only once.
There is no find_class, no import and no `__setstate__` here: what can be built is in `values`, `tensors` and `arrays`,
and everything else stays a Record.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Container, Iterable
from typing import Any

from safeload.document.cell import UNSET, Cell
from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    Enclosed,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageSpec,
    StorageValue,
    Symbol,
    TensorSpec,
    WrappedTensor,
)
from safeload.document.record import Record
from safeload.errors import LoadFailed, Malformed
from safeload.loading.placement import Placement
from safeload.loading.storages import TorchStorages
from safeload.loading.tensors import Tensors
from safeload.loading.trust import Trust
from safeload.loading.values import EMPTY, IMMEDIATE, SYMBOLS, distinguishable, fill

_SCALARS = frozenset({type(None), bool, int, float, complex, str, bytes, bytearray})
_ENDLESS = "an object holds itself in a way that nothing can build"


class Rebuild:
    """Builds the objects of one document."""

    def __init__(self, document: Document, storages: TorchStorages, placement: Placement, trust: Trust) -> None:
        self._document = document
        self._storages = storages
        self._placement = placement
        self._tensors = Tensors(storages, placement)
        self._trust = trust
        self._own = trust.hashing
        self._made: dict[int, Any] = {}
        self._todo: list[tuple[object, Callable[[Any], None] | None]] = []
        self._later: list[object] = []
        self._fills: list[Callable[[], None]] = []

    def build(self, root: object) -> Any:
        """The object that a load returns for `root`. Raises Malformed for a Document that was not fully judged."""
        _hold_something(self._document)
        found = self._walk(root)
        # Trusted objects take their state last: only now no part of it, in enclosed files too, is a placeholder.
        self._trust.settle()
        return found

    def _walk(self, root: object) -> Any:
        later = self._later
        later.append(root)
        while later:
            node = later.pop()
            if type(node) not in _SCALARS:
                self._visit(node)
        for step in self._fills:
            step()
        self._fills.clear()
        return self._of(root)

    def _visit(self, root: object) -> None:
        """Build `root`, and before that the parts that it is made of."""
        todo, made = self._todo, self._made
        todo.append((root, None))
        while todo:
            node, finish = todo.pop()
            if finish is not None:
                finish(node)
                continue
            kind = type(node)
            if kind in _SCALARS:
                continue
            if id(node) in made:
                # SECURITY: an immutable object cannot hold itself; to go into it again would never end.
                if made[id(node)] is UNSET:
                    raise Malformed(_ENDLESS)
                continue
            visit = _VISITS.get(kind)
            if visit is not None:
                visit(self, node)
            elif isinstance(node, Cell):
                self._cell(node)
            else:
                raise Malformed(f"nothing that can be loaded: {kind.__name__}")

    def _of(self, value: object) -> Any:
        if type(value) in _SCALARS:
            return value
        found = self._made.get(id(value), UNSET)
        if found is UNSET:
            raise Malformed(_ENDLESS)
        return found

    def _after(self, node: object, finish: Callable[[Any], None], *children: object) -> None:
        """Call `finish` when `children` are built. Until then `node` is UNSET: if it is met again, it holds itself."""
        self._made[id(node)] = UNSET
        self._todo.append((node, finish))
        self._todo.extend((child, None) for child in children)

    def _cell(self, cell: Cell) -> None:
        value = cell.value
        kind = type(value)
        if kind is TensorSpec:
            self._made[id(cell)] = self._tensors.strided(value)  # type: ignore[arg-type]
        elif kind in _SCALARS:
            self._made[id(cell)] = value
        elif value is UNSET:
            raise Malformed("a part of the file was never judged")
        else:

            def finish(node: Any) -> None:
                self._made[id(node)] = self._of(node.value)

            self._after(cell, finish, value)

    def _soon(self, children: Iterable[object]) -> None:
        """Build `children`: strided tensors, which are most of them, at once, the others in their turn."""
        made = self._made
        for child in children:
            if type(child) in _SCALARS:
                continue
            spec = child.value if isinstance(child, Cell) else None
            if type(spec) is not TensorSpec:
                self._later.append(child)
            elif id(child) not in made:
                made[id(child)] = self._tensors.strided(spec)

    def _list(self, node: list[object]) -> None:
        self._made[id(node)] = node
        if not _plain(node):
            self._soon(node)
            self._fills.append(lambda: _fill_list(node, self._of))

    def _dict(self, node: dict[object, object]) -> None:
        self._made[id(node)] = node
        if not (_plain(node) and _plain(node.values())):
            self._soon(node)
            self._soon(node.values())
            self._fills.append(lambda: _fill_dict(node, self._of, self._own))

    def _set(self, node: set[object]) -> None:
        self._made[id(node)] = node
        if not _plain(node):
            self._soon(node)
            self._fills.append(lambda: _fill_set(node, self._of, self._own))

    def _frozen(self, node: tuple[object, ...] | frozenset[object]) -> None:
        if _plain(node):
            self._made[id(node)] = node
            return

        def finish(again: Any) -> None:
            items = [self._of(item) for item in again]
            same = all(a is b for a, b in zip(items, again, strict=True))
            made = again if same else type(again)(items if type(again) is tuple else distinguishable(items, self._own))
            if len(made) != len(again):
                raise Malformed("a set holds two elements that are equal once they are built")
            self._made[id(again)] = made

        self._after(node, finish, *node)

    def _symbol(self, node: Symbol) -> None:
        found = SYMBOLS.get(node.name, UNSET)
        if found is UNSET and node.name.startswith("numpy."):
            from safeload.loading.numpy_names import SYMBOLS as NUMPY

            found = NUMPY.get(node.name, UNSET)
        if found is UNSET:
            module, _, name = node.name.rpartition(".")
            found = Record(module, name)
        self._made[id(node)] = found

    def _built(self, node: Built) -> None:
        if node.kind in EMPTY:
            self._container(node)
            return

        def finish(built: Any) -> None:
            maker = IMMEDIATE.get(built.kind)
            if maker is None:
                from safeload.loading.arrays import BUILDERS

                maker = BUILDERS[built.kind]
            self._made[id(built)] = maker(built, self._of)

        self._after(node, finish, *_parts(node))

    def _container(self, node: Built) -> None:
        # The arguments are a factory, which is a Symbol, or a maxlen, which is a number: no part has to be built first.
        for arg in node.args:
            self._argument(arg)
        target = self._made[id(node)] = EMPTY[node.kind](node, self._of)
        items = node.items
        if isinstance(items, dict):
            self._soon(items)
            self._soon(items.values())
        elif target.__class__ is ChainMap:
            self._later.append(items)
        elif items:
            self._soon(items)
        if node.state:
            self._later.extend(node.state.values())
        size = len(items) if isinstance(items, dict) else None

        def complete() -> None:
            fill(node, target, self._of, self._own)
            if size is not None and len(target) != size:
                raise Malformed("a mapping holds two keys that are equal once they are built")

        self._fills.append(complete)

    def _argument(self, arg: object) -> None:
        while isinstance(arg, Cell):
            cell, arg = arg, arg.value
            if isinstance(arg, Symbol):
                self._symbol(arg)
                self._made[id(cell)] = self._made[id(arg)]
        if isinstance(arg, Symbol):
            self._symbol(arg)

    def _wrapped(self, node: WrappedTensor) -> None:
        def finish(spec: Any) -> None:
            tensor = self._made[id(spec)] = self._tensors.wrapped(spec, self._of)
            if isinstance(spec.state, dict):
                self._fills.append(lambda: _set_attributes(tensor, spec.state, self._of))

        children = [node.data] if not isinstance(node.data, Built) else []
        if isinstance(node.state, dict):
            self._later.extend(node.state.values())
        self._after(node, finish, *children)

    def _tensor(self, node: object) -> None:
        self._made[id(node)] = self._tensors.leaf(node, self._of)

    def _storage(self, node: StorageValue) -> None:
        self._made[id(node)] = self._tensors.storage(node)

    def _array(self, node: ArraySpec) -> None:
        from safeload.loading import arrays

        made = self._made[id(node)] = arrays.array(node, self._storage_bytes)
        if node.objects is not None:
            objects = node.objects
            self._later.extend(objects)
            self._fills.append(lambda: arrays.fill_objects(made, [self._of(item) for item in objects]))

    def _storage_bytes(self, spec: StorageSpec) -> bytes:
        return bytes(memoryview(self._storages.get(spec)))  # type: ignore[arg-type]

    def _enclosed(self, node: Enclosed) -> None:
        # This recurses once for each file in a file, which limits.nesting bounds.
        _hold_something(node.document)
        inner = Rebuild(node.document, self._storages.within(node.document), self._placement, self._trust)
        self._made[id(node)] = inner._walk(node.document.root)

    def _record(self, node: Record) -> None:
        target = self._trust.shell(node)
        self._made[id(node)] = node if target is None else target
        state, items = node.state, node.items
        self._later += (node.args, node.kwargs, state, items)

        def complete() -> None:
            node.args = None if node.args is None else self._of(node.args)
            node.kwargs = None if node.kwargs is None else self._of(node.kwargs)
            node.state = self._of(state)
            node.items = None if items is None else self._of(items)
            if target is not None:
                self._trust.finish(target, node)

        self._fills.append(complete)


def _plain(items: Any) -> bool:
    """Whether all of `items` are scalars, so that none of them has to be built."""
    return _SCALARS.issuperset(map(type, items))


def _parts(node: Built) -> list[object]:
    """The parts of an immutable value, which have to exist before it."""
    parts: list[object] = [arg for arg in node.args if type(arg) not in _SCALARS and not _data(arg)]
    todo: list[object] = list(node.state.values()) if node.state else []
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.values())
        elif not _data(item):
            parts.append(item)
    return parts


def _data(arg: object) -> bool:
    """Whether `arg` is a tuple or list of numbers and text, which the shape has checked and a maker takes as it is."""
    return isinstance(arg, tuple | list) and not any(isinstance(item, Cell | ArraySpec | Built) for item in arg)


def _set_attributes(tensor: Any, state: dict[str, object], of: Callable[[object], Any]) -> None:
    """Set attributes. `vetted/torch/tensors.py` (`tensor_state`) has checked that none is an attribute of Tensor."""
    for name, value in state.items():
        setattr(tensor, name, of(value))


def _fill_list(node: list[object], of: Callable[[object], Any]) -> None:
    node[:] = [of(item) for item in node]


def _fill_dict(node: dict[object, object], of: Callable[[object], Any], own: Container[type]) -> None:
    if _plain(node):
        for key, value in node.items():
            if type(value) not in _SCALARS:
                node[key] = of(value)
        return
    keys = distinguishable([of(key) for key in node], own)
    pairs = list(zip(keys, map(of, node.values()), strict=True))
    node.clear()
    node.update(pairs)
    if len(node) != len(pairs):
        raise Malformed("a dict holds two keys that are equal once they are built")


def _fill_set(node: set[object], of: Callable[[object], Any], own: Container[type]) -> None:
    items = distinguishable([of(item) for item in node], own)
    node.clear()
    node.update(items)
    if len(node) != len(items):
        raise Malformed("a set holds two elements that are equal once they are built")


_WITHOUT_OBJECT = frozenset({"npy", "npz", "zip", "zip-sequence", "tar"})


def _hold_something(document: Document) -> None:
    """Raise for a Document without an object: a load would return None, as if that were the content of the file."""
    if document.root is None and document.container in _WITHOUT_OBJECT:
        raise LoadFailed(
            "the file holds no object that can be built: an archive is loaded member by member, and arrays of text or "
            "of fields with numpy.load(allow_pickle=False)"
        )


_VISITS: dict[type, Callable[[Rebuild, Any], None]] = {
    list: Rebuild._list,
    dict: Rebuild._dict,
    set: Rebuild._set,
    tuple: Rebuild._frozen,
    frozenset: Rebuild._frozen,
    Symbol: Rebuild._symbol,
    Built: Rebuild._built,
    WrappedTensor: Rebuild._wrapped,
    TensorSpec: Rebuild._tensor,
    QuantizedSpec: Rebuild._tensor,
    SparseSpec: Rebuild._tensor,
    NestedTensorSpec: Rebuild._tensor,
    StorageValue: Rebuild._storage,
    ArraySpec: Rebuild._array,
    Enclosed: Rebuild._enclosed,
    Record: Rebuild._record,
}
