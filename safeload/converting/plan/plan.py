"""Document -> what lies in the output under which name, and where the tree finds it. Reads no tensor.

The order of decisions: names (`naming`), equal and nested views (`views`), encodings (`encoding`), then one `Stored`
for each tensor of the output. Everything follows from the Document and the options, so that `verify` can plan again.
"""

from __future__ import annotations

from collections.abc import Mapping

from safeload.converting.encoding import CASTS, encoded, unit
from safeload.converting.interface import DTYPES, Options, Piece, Stored
from safeload.converting.plan.naming import EMPTY, Named, all_parts, homes, leaves
from safeload.converting.plan.views import View, joined, steps, view_of, whole_of
from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    Extent,
    NestedTensorSpec,
    StorageSpec,
    StorageValue,
    TensorSpec,
    resolve,
)
from safeload.document.dtypes import COMPLEX, FLOATING, itemsize
from safeload.document.elements import numel
from safeload.document.record import Record
from safeload.errors import LimitExceeded, NotConvertible
from safeload.inputs import MemorySource
from safeload.tree.encode import contents
from safeload.tree.interface import Blob, Contents, Kept, Placed

_LOOSE = "safeload"
_SIGNED = FLOATING - COMPLEX


class FilePlan:
    """What an output holds. It is the `Plan` that the tree's encoder asks.

    stored   name -> tensor of the output, in the order of the source
    ties     name left out -> name of the tensor with the same elements
    notes    what a reader should know
    wanted   the contents of the tree
    """

    def __init__(self, document: Document, options: Options) -> None:
        self.document = document
        self.stored: dict[str, Stored] = {}
        self.ties: dict[str, str] = {}
        self.notes: list[str] = []
        self.storages: dict[str, Kept] = {}
        self.records: tuple[Record, ...] = ()
        self.wanted: Contents | None = None
        self._options = options
        self._cast = None if options.dtype is None else DTYPES[options.dtype]
        self._aside: tuple[str, ...] = ()
        self._placed: dict[int, Placed] = {}
        self._wholes: dict[int, str] = {}
        self._blobs: dict[tuple[int, str], str] = {}
        # Specs stand in dicts by their id: they must not go away meanwhile.
        self._alive: list[object] = []

    # The Plan of the tree

    @property
    def aside(self) -> tuple[str, ...]:
        """See `Plan.aside`."""
        return self._aside

    def tensor(self, spec: TensorSpec, home: Document) -> Placed:
        """See `Plan.tensor`."""
        return self._placed[id(spec)]

    def storage(self, spec: StorageSpec, home: Document) -> str:
        """See `Plan.storage`."""
        return self._wholes[id(spec)]

    def blob(self, owner: object, part: str) -> str | None:
        """See `Plan.blob`."""
        return self._blobs.get((id(owner), part))

    def drops(self, record: Record) -> bool:
        """See `Plan.drops`."""
        return self._options.allow == "unvetted" or self._options.disarm

    def forget(self) -> None:
        """Let go of what only the tree asks for."""
        self.wanted = None
        self._placed.clear()
        self._wholes.clear()
        self._blobs.clear()
        self._alive.clear()

    # Making it

    def put(self, stored: Stored) -> str:
        """Add a tensor to the output."""
        name = stored.name
        if name in self.stored or name in self.ties or name == "__metadata__":
            raise _taken(name)
        if not name.isascii():
            try:
                name.encode("utf-8")
            except UnicodeEncodeError:
                raise NotConvertible(f"the name {name[:200]!a} cannot be written as UTF-8: rename it") from None
        self.stored[name] = stored
        return name

    def put_bytes(self, name: str, dtype: str, shape: tuple[int, ...], data: bytes | bytearray) -> str:
        """Add a tensor whose bytes lie in no storage."""
        return self.put(Stored(name, dtype, shape, len(data), in_memory(data, shape, itemsize(dtype))))

    def put_views(self, views: list[View]) -> None:
        """Add tensors with storages, and where the tree finds them."""
        found, overlapping = joined(views)
        if overlapping:
            self.notes.append(
                f"{len(overlapping)} tensors share memory and none holds the others: each is stored by value, "
                f"first {overlapping[0]!a}"
            )
        for view in found:
            self._put_view(view)
        for view in found:
            if view.inside is not None:
                self._place_inside(view, view.inside)

    def _put_view(self, view: View) -> None:
        name, shape = view.names[0], view.shape
        form = encoded(view.target, shape)
        name += form.suffix
        inside = view.inside is not None
        if not (inside and (view.whole or view.raw)):
            cast = view.dtype if view.target != view.dtype else None
            size = numel(shape) * itemsize(view.target)
            self.put(Stored(name, form.dtype, form.shape, size, piece_of(view), cast))
            for other in () if view.whole or view.raw else view.names[1:]:
                self._tie(other + form.suffix, name)
        if inside:
            return
        if form.kept is not None or view.storage.location != "cpu":
            self.storages[name] = Kept(form.kept, view.storage.location)
        # The header's shape is that of another type where pairs stand for one value.
        placed = Placed(name) if form.shape == shape or form.kept is None else Placed(name, shape)
        for spec in view.specs:
            self._put_spec(spec, name, placed)

    def _tie(self, name: str, kept: str) -> None:
        if name in self.stored or name in self.ties:
            raise _taken(name)
        self.ties[name] = kept

    def _place_inside(self, view: View, root: View) -> None:
        name = root.names[0] + encoded(root.target, root.shape).suffix
        width = itemsize(view.dtype)
        dtype = None if view.dtype == root.dtype else view.dtype
        placed = Placed(name, view.shape, view.stride, (view.start - root.start) // width, dtype)
        for spec in view.specs:
            self._put_spec(spec, name, placed)

    def _put_spec(self, spec: TensorSpec | StorageSpec, name: str, placed: Placed) -> None:
        self._alive.append(spec)
        if isinstance(spec, StorageSpec):
            self._wholes[id(spec)] = name
        else:
            self._placed[id(spec)] = placed

    def put_resolved(self, name: str, spec: TensorSpec, home: Document) -> None:
        """Add the values of a lazily conjugated or negated tensor, for readers that know no such thing."""
        if spec.dtype not in (COMPLEX if spec.conj else FLOATING):
            raise NotConvertible(f"{name!a} is a {spec.dtype} with a lazy conjugate or negative")
        negated = "conj-neg" if spec.conj and spec.neg else "conj" if spec.conj else "neg"
        view = view_of(name, spec, home, self._cast)
        form = encoded(view.target, spec.shape)
        cast = view.dtype if view.target != view.dtype else None
        size = numel(spec.shape) * itemsize(view.target)
        self.put(Stored(name + form.suffix, form.dtype, form.shape, size, piece_of(view), cast, negated))

    def set_aside(self, wanted: Contents) -> None:
        """Note what the tree does not use: copies of views, tensors of dropped objects."""
        used = {self._placed[id(spec)].name for spec, _ in wanted.tensors}
        used.update(self._wholes[id(value.storage)] for value, _ in wanted.storages)
        used.update(self._blobs.values())
        self._aside = tuple(name for name in self.stored if name not in used)

    def put_blob(self, blob: Blob, name: str) -> None:
        """Add bytes that the tree wants placed."""
        self._alive.append(blob.owner)
        self._blobs[id(blob.owner), blob.part] = self.put_bytes(name, blob.dtype, blob.shape, blob.data)

    def put_built(self, name: str, built: Built) -> None:
        """Add a tensor that the tree makes without the file: an empty one, or one of a numpy array."""
        if built.kind == EMPTY:
            form = encoded(str(built.args[0]), (0,))
            self.put(Stored(name, form.dtype, form.shape, 0, in_memory(b"", (0,), itemsize(form.dtype))))
            return
        array, dtype = resolve(built.args[0]), str(built.args[1])
        if not isinstance(array, ArraySpec) or not isinstance(array.data, bytes) or array.dtype[0] == ">":
            raise NotConvertible(f"{name!a} is made of an array of an unusual form")
        given = _NUMPY_FLOATS.get(array.dtype[1:])
        width = len(array.data) // max(numel(array.shape), 1)
        target = self._cast if self._cast is not None and dtype in CASTS else dtype
        form = encoded(target, array.shape)
        cast = given if given is not None and given != target else None
        if (cast is not None and target not in CASTS) or (cast is None and width != itemsize(target)):
            raise NotConvertible(f"{name!a} is a {dtype} made of an array of {array.dtype!a}")
        piece = in_memory(array.data, array.shape, width)
        if array.fortran:
            piece = piece._replace(stride=tuple(reversed(steps(tuple(reversed(array.shape))))))
        size = numel(array.shape) * itemsize(target)
        self.put(Stored(name + form.suffix, form.dtype, form.shape, size, piece, cast))


def _taken(name: str) -> NotConvertible:
    return NotConvertible(f"two tensors of the output would be called {name[:200]!a}: rename one of them")


_NUMPY_FLOATS = {"f2": "float16", "f4": "float32", "f8": "float64"}


def planned(document: Document, original: Document, options: Options, *, bare: bool = False) -> FilePlan:
    """The plan of `document`, whose leaves are those of `original`. `bare`: tensors and arrays alone.

    Raises NotConvertible for names that the format cannot hold, LimitExceeded for too many of them or for copies that
    would be far larger than the file.
    """
    limits = options.limits
    plan = FilePlan(document, options)
    named = all_parts(leaves(document, limits), limits)
    wanted = contents(document)
    plan.wanted, plan.records = wanted, wanted.records
    inner = {id(spec): home for spec, home in wanted.tensors}
    inner |= {id(value.storage): home for value, home in wanted.storages}
    if document is not original or wanted.records or any(home is not document for home in inner.values()):
        # Leaves of dropped objects, and of a selection, do not say in which file they stand.
        inner |= homes(original, limits)
    plan.put_views(_views(plan, [*named, *_loose(named, wanted)], inner, document))
    arrays = {id(part.leaf): part for part in reversed(named) if isinstance(part.leaf, ArraySpec | NestedTensorSpec)}
    blobs = [blob for blob in wanted.blobs if not bare or isinstance(blob.owner, ArraySpec | NestedTensorSpec)]
    for number, blob in enumerate(blobs):
        plan.put_blob(blob, _blob_name(blob, arrays.get(id(blob.owner)), number))
    plan.set_aside(wanted)
    _bounded(plan, limits.expansion, limits.expansion_bytes)
    if plan.records and not plan.drops(plan.records[0]):
        first = plan.records[0]
        raise NotConvertible(
            f"the object holds {len(plan.records)} objects of other classes, first {ascii(first.module)[1:-1]}."
            f"{ascii(first.qualname)[1:-1]}: --allow unvetted leaves them out"
        )
    return plan


def _views(plan: FilePlan, named: list[Named], inner: Mapping[int, Document], document: Document) -> list[View]:
    views: list[View] = []
    meta = 0
    for part in named:
        name, leaf = part.name, part.leaf
        if isinstance(leaf, TensorSpec):
            if leaf.storage is None:
                meta += 1
                continue
            home = leaf.storage.home or inner.get(id(leaf)) or document
            if leaf.conj or leaf.neg:
                plan.put_resolved(name, leaf, home)
                # Uncast: the tree's bytes are those of the file, and it knows no cast of a part.
                views.append(view_of(f"{name}.unresolved", leaf, home, None, raw=True))
            else:
                views.append(view_of(name, leaf, home, plan._cast))
        elif isinstance(leaf, Built):
            plan.put_built(name, leaf)
        elif isinstance(leaf, StorageValue):
            spec = leaf.storage
            views.append(whole_of(name, spec, spec.home or inner.get(id(spec)) or inner.get(id(leaf)) or document))
        elif isinstance(leaf, ArraySpec) and isinstance(leaf.data, StorageSpec):
            home = leaf.data.home or inner.get(id(leaf.data)) or document
            views.append(whole_of(f"{name}.bytes", leaf.data, home))
    if meta:
        plan.notes.append(f"{meta} tensors are on the device meta and have no values: the tree alone holds them")
    return views


def _loose(named: list[Named], wanted: Contents) -> list[Named]:
    """Names for what the tree needs and no path leads to: elements of sets, parts of keys."""
    known: set[int] = set()
    for part in named:
        leaf = part.leaf
        known.add(id(leaf))
        if isinstance(leaf, StorageValue):
            known.add(id(leaf.storage))
        elif isinstance(leaf, ArraySpec):
            known.add(id(leaf.data))
    tensors = [spec for spec, _ in wanted.tensors if id(spec) not in known]
    storages = [value for value, _ in wanted.storages if id(value.storage) not in known]
    return [
        *(Named(f"{_LOOSE}.tensor.{number}", spec) for number, spec in enumerate(tensors)),
        *(Named(f"{_LOOSE}.storage.{number}", value) for number, value in enumerate(storages, len(tensors))),
    ]


def _blob_name(blob: Blob, named: Named | None, number: int) -> str:
    if named is None:
        return f"{_LOOSE}.bytes.{number}"
    if blob.part:
        return f"{named.name}.{blob.part}"
    array = blob.owner
    if named.part or not isinstance(array, ArraySpec) or (blob.dtype == "uint8" and array.dtype[1:] != "u1"):
        return named.name if named.part else f"{named.name}.bytes"
    return f"{named.name}.fortran" if array.fortran and len(array.shape) > 1 else named.name


def piece_of(view: View) -> Piece:
    """Where the elements of a view are."""
    width = itemsize(view.dtype)
    swapped = unit(view.storage.dtype) if view.home.big_endian else 1
    if width % swapped:
        raise NotConvertible(f"{view.names[0]!a} shows parts of the elements of a big-endian storage")
    return Piece(view.home, view.extent, view.start, view.shape, view.stride, width, swapped)


def in_memory(data: bytes | bytearray, shape: tuple[int, ...], width: int) -> Piece:
    """Bytes that were read already, as a piece."""
    home = Document(None, MemorySource(data))
    return Piece(home, Extent(0, len(data), len(data)), 0, shape, steps(shape), width)


def _bounded(plan: FilePlan, factor: int, free: int) -> None:
    """SECURITY: many views of one storage multiply; each alone stays within the limit of a scan."""
    total = sum([stored.nbytes for stored in plan.stored.values()])
    if total <= free:
        return
    held = {
        (id(stored.piece.document.source), stored.piece.extent.offset): stored.piece.extent.size
        for stored in plan.stored.values()
    }
    if total > factor * sum(held.values()):
        raise LimitExceeded(
            f"the tensors take {total} bytes by value, and the file holds {sum(held.values())}", limit="expansion"
        )
