"""Tensors over one storage: which have the same elements, and which lie inside another.

Equal ones are stored once; a view inside a contiguous tensor is stored by value for readers that know names only, and
placed in that tensor by the tree, so that a load gives shared memory back. Reads no bytes.
"""

from __future__ import annotations

from bisect import bisect_right

from safeload.converting.encoding import CASTS
from safeload.document.document import Document, Extent, StorageSpec, TensorSpec
from safeload.document.dtypes import itemsize
from safeload.document.elements import numel
from safeload.errors import Malformed


class View:
    """Named elements of one storage. Equal ones share a View: `names` and `specs` hold all of them.

    start, end   bytes of the storage from the first element to behind the last
    whole        a storage used as a value of its own, not a tensor
    raw          lies below a lazily conjugated or negated tensor, whose values are stored beside it
    target       element type after a cast, else `dtype`
    inside       the contiguous View whose bytes the tree uses for this one
    """

    __slots__ = (
        "names", "specs", "home", "storage", "extent", "dtype", "target", "shape", "stride", "start", "end", "whole",
        "raw", "inside",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        spec: TensorSpec | StorageSpec,
        home: Document,
        storage: StorageSpec,
        extent: Extent,
        dtype: str,
        target: str,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        start: int,
        end: int,
        whole: bool = False,
        raw: bool = False,
    ) -> None:
        self.names = [name]
        self.specs = [spec]
        self.home = home
        self.storage = storage
        self.extent = extent
        self.dtype = dtype
        self.target = target
        self.shape = shape
        self.stride = stride
        self.start = start
        self.end = end
        self.whole = whole
        self.raw = raw
        self.inside: View | None = None

    @property
    def contiguous(self) -> bool:
        """Whether all bytes from `start` to `end` are its elements, in C order."""
        return self.end - self.start == numel(self.shape) * itemsize(self.dtype) and self.stride == steps(
            self.shape, self.stride
        )


def steps(shape: tuple[int, ...], given: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Strides of C order; where a size is 1 the one `given`, which means nothing."""
    found = []
    step = 1
    for index in range(len(shape) - 1, -1, -1):
        found.append(given[index] if given and shape[index] == 1 else step)
        step *= max(shape[index], 1)
    return tuple(reversed(found))


def view_of(name: str, spec: TensorSpec, home: Document, cast: str | None, *, raw: bool = False) -> View:
    """The View of a tensor that has a storage."""
    storage = spec.storage
    if storage is None:
        raise Malformed(f"{name!a} has no storage")
    extent = extent_of(storage, home)
    width = itemsize(spec.dtype)
    start = (storage.view[0] if storage.view is not None else 0) + spec.offset * width
    last = 0
    for axis, size in enumerate(spec.shape):
        last += (size - 1) * spec.stride[axis]
    end = start + (last + 1) * width if numel(spec.shape) else start
    if end > extent.size:
        raise Malformed(f"a tensor reaches behind the end of storage {storage.key}")
    target = cast if cast is not None and spec.dtype in CASTS else spec.dtype
    return View(name, spec, home, storage, extent, spec.dtype, target, spec.shape, spec.stride, start, end, raw=raw)


def whole_of(name: str, storage: StorageSpec, home: Document) -> View:
    """The View of all of a storage (of its view) as a value."""
    extent = extent_of(storage, home)
    dtype = storage.dtype or "uint8"
    start, length = (0, extent.size) if storage.view is None else storage.view
    shape = (length // itemsize(dtype),)
    return View(name, storage, home, storage, extent, dtype, dtype, shape, (1,), start, start + length, whole=True)


def extent_of(storage: StorageSpec, home: Document) -> Extent:
    """Where the bytes of a storage are."""
    extent = home.storages.get(storage.key)
    if extent is None or extent.size != storage.nbytes:
        # The judge has refused this; a Document that gets here otherwise is refused again.
        raise Malformed(f"storage {storage.key} is not in the file as it was declared")
    return extent


def joined(views: list[View]) -> tuple[list[View], list[str]]:
    """One View for all that have the same elements, in the order of their first names, `inside` set where one is.

    Also the names of those that may overlap all the same.
    """
    overlapping: list[str] = []
    gone: set[int] = set()
    for group in _sharing(views):
        left = _merged(group)
        gone.update(set(map(id, group)).difference(map(id, left)))
        if len(left) > 1:
            overlapping += _nested(left)
    return [view for view in views if id(view) not in gone], overlapping


def _sharing(views: list[View]) -> list[list[View]]:
    """The Views that have elements, for each storage of which there are several."""
    storages: dict[tuple[int, str], list[View]] = {}
    for view in views:
        if view.end > view.start:
            storages.setdefault((id(view.home), view.storage.key), []).append(view)
    return [group for group in storages.values() if len(group) > 1]


def _merged(group: list[View]) -> list[View]:
    found: dict[tuple[object, ...], View] = {}
    for view in group:
        stride = tuple([step if size > 1 else 0 for size, step in zip(view.shape, view.stride, strict=True)])
        key = (view.start, view.dtype, view.target, view.shape, stride, view.whole)
        first = found.setdefault(key, view)
        if first is not view:
            _join(first, view)
    return list(found.values())


def _join(first: View, view: View) -> None:
    if first.raw and not view.raw:
        # A tensor of its own has these bytes: its name is the one that readers know.
        first.names = view.names
        first.specs += view.specs
        first.raw = False
        return
    if view.raw:
        first.specs += view.specs
        return
    first.names += view.names
    first.specs += view.specs


def _nested(group: list[View]) -> list[str]:
    roots: list[View] = []
    end = -1
    order = {id(view): number for number, view in enumerate(group)}
    for view in sorted(
        (v for v in group if v.contiguous), key=lambda v: (v.start, -v.end, v.whole, v.raw, order[id(v)])
    ):
        if view.end > end:
            roots.append(view)
            end = view.end
    chosen = {id(view) for view in roots}
    starts = [view.start for view in roots]
    alone = []
    for view in group:
        if id(view) not in chosen:
            at = bisect_right(starts, view.start) - 1
            if at >= 0 and _holds(roots[at], view):
                view.inside = roots[at]
                continue
        alone.append(view)
    alone.sort(key=lambda v: (v.start, v.end))
    found = []
    end, last = -1, ""
    for view in alone:
        if view.start < end:
            found += [last, view.names[0]]
        if view.end > end:
            end, last = view.end, view.names[0]
    return list(dict.fromkeys(found))


def _holds(root: View, view: View) -> bool:
    """Whether the tree can say where `view` lies in `root`."""
    if view.end > root.end or (view.start - root.start) % itemsize(view.dtype):
        return False
    if view.whole:
        same = (root.start, root.end) == (view.start, view.end) and root.dtype == root.target
        return same and view.storage.dtype in (None, root.dtype)
    if (root.end - root.start) % itemsize(view.dtype):
        return False
    return view.dtype == root.dtype or (view.dtype == view.target and root.dtype == root.target)
