"""The Document: the torch-free object tree that was judged, and that is loaded or converted.

Plain data is plain Python (None, bool, int, float, str, bytes, bytearray, list, tuple, dict, set, frozenset); wherever
an object would have been built stands a `Cell` whose `value` is one of the leaves below, or a `Record`. A cell is one
object: met twice, it is the same object twice. Trees may be cyclic and may double at every level, so walk iteratively
and visit each cell and container once (`resolve` strips the cells). Sizes are elements for tensors, bytes for
storages. Imports no torch and no numpy; knows no format.

The leaves are frozen: their attributes are Final, which the type checker holds everywhere and the compiled form also at
run time. They are no dataclasses, for their cost: one frozen dataclass takes 0.4 ms to define, a hundredth of all the
time that a scan has to start, and five times as long to make, of which a checkpoint may need 30,000.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self

from safeload.document.cell import UNSET, Cell
from safeload.source import Source


class Leaf:
    """Base of the leaves: equal when of one type with equal attributes, and never changed once made."""

    __match_args__: ClassVar[tuple[str, ...]] = ()
    __slots__ = ()

    def parts(self) -> dict[str, object]:
        """The attributes by their names, in the order of the constructor."""
        # Not from __slots__, which a compiled class does not have.
        return {name: getattr(self, name) for name in type(self).__match_args__}

    def but(self, **changes: object) -> Self:
        """A leaf like this one, but for `changes`."""
        return type(self)(**{**self.parts(), **changes})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Leaf) and self.parts() == other.parts()

    def __hash__(self) -> int:
        return hash(tuple(self.parts().values()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([f'{name}={value!r}' for name, value in self.parts().items()])})"


class Extent(Leaf):
    """Where the bytes of a storage or member lie in the input. `stored` is False when they are compressed.

    offset, length   in the input; `length` is what the file occupies
    size             bytes after inflation (== length when stored)
    """

    __match_args__ = ("offset", "length", "size", "stored")
    __slots__ = __match_args__

    def __init__(self, offset: int, length: int, size: int, stored: bool = True) -> None:
        self.offset: Final = offset
        self.length: Final = length
        self.size: Final = size
        self.stored: Final = stored


class Symbol(Leaf):
    """A vetted name used as a value: a dtype, a layout, a class handed to a constructor ("torch.float32")."""

    __match_args__ = ("name",)
    __slots__ = __match_args__

    def __init__(self, name: str) -> None:
        self.name: Final = name


class StorageSpec(Leaf):
    """One storage. `key` names it in Document.storages; one key always has one dtype, size and location.

    dtype     a name of `safeload.document.dtypes`, None for an untyped storage
    nbytes    size of the whole storage in bytes
    location  device tag of the file ("cpu", "cuda:0", ...), validated
    view      legacy files: (byte offset, bytes) of the part that this object shows, None for all
    home      the Document whose `storages` hold the key, None for the one that holds this spec
    """

    __match_args__ = ("key", "dtype", "nbytes", "location", "view", "home")
    __slots__ = __match_args__

    def __init__(
        self,
        key: str,
        dtype: str | None,
        nbytes: int,
        location: str = "cpu",
        view: tuple[int, int] | None = None,
        home: Document | None = None,
    ) -> None:
        self.key: Final = key
        self.dtype: Final = dtype
        self.nbytes: Final = nbytes
        self.location: Final = location
        self.view: Final = view
        self.home: Final = home


class TensorSpec(Leaf):
    """A strided tensor inside its storage: every bound has been checked. `storage` is None for a meta tensor.

    shape, stride, offset   in elements of `dtype`; offset counts from the start of the storage (of its view)
    """

    __match_args__ = ("storage", "dtype", "shape", "stride", "offset", "requires_grad", "conj", "neg")
    __slots__ = __match_args__

    def __init__(
        self,
        storage: StorageSpec | None,
        dtype: str,
        shape: tuple[int, ...],
        stride: tuple[int, ...],
        offset: int = 0,
        requires_grad: bool = False,
        conj: bool = False,
        neg: bool = False,
    ) -> None:
        self.storage: Final = storage
        self.dtype: Final = dtype
        self.shape: Final = shape
        self.stride: Final = stride
        self.offset: Final = offset
        self.requires_grad: Final = requires_grad
        self.conj: Final = conj
        self.neg: Final = neg


class QuantizedSpec(Leaf):
    """A quantized tensor. `scale` and `zero_point` are numbers (per tensor), or TensorSpecs or lists (per channel)."""

    __match_args__ = ("data", "scheme", "scale", "zero_point", "axis")
    __slots__ = __match_args__

    def __init__(self, data: TensorSpec, scheme: str, scale: Any, zero_point: Any, axis: int | None = None) -> None:
        self.data: Final = data
        self.scheme: Final = scheme
        self.scale: Final = scale
        self.zero_point: Final = zero_point
        self.axis: Final = axis


class SparseSpec(Leaf):
    """A sparse tensor whose indices were read and checked.

    layout    "torch.sparse_coo", "torch.sparse_csr", ..._csc, ..._bsr, ..._bsc
    indices   coo: (indices,); compressed: (compressed indices, plain indices)
    checked   the bytes of each of `indices` as they were validated: build from these, never from the file again
    """

    __match_args__ = ("layout", "indices", "values", "shape", "coalesced", "checked", "requires_grad")
    __slots__ = __match_args__

    def __init__(
        self,
        layout: str,
        indices: tuple[TensorSpec, ...],
        values: TensorSpec,
        shape: tuple[int, ...],
        coalesced: bool | None,
        checked: tuple[bytes, ...],
        requires_grad: bool = False,
    ) -> None:
        self.layout: Final = layout
        self.indices: Final = indices
        self.values: Final = values
        self.shape: Final = shape
        self.coalesced: Final = coalesced
        self.checked: Final = checked
        self.requires_grad: Final = requires_grad


class NestedTensorSpec(Leaf):
    """A strided nested tensor: `sizes` and `strides` are rows of ints, `offsets` one int a piece; all were checked."""

    __match_args__ = ("buffer", "sizes", "strides", "offsets")
    __slots__ = __match_args__

    def __init__(
        self,
        buffer: TensorSpec,
        sizes: tuple[tuple[int, ...], ...],
        strides: tuple[tuple[int, ...], ...],
        offsets: tuple[int, ...],
    ) -> None:
        self.buffer: Final = buffer
        self.sizes: Final = sizes
        self.strides: Final = strides
        self.offsets: Final = offsets


class WrappedTensor(Leaf):
    """A tensor-like leaf with python class or attributes of its own.

    data    TensorSpec, QuantizedSpec, SparseSpec, NestedTensorSpec, or a Cell of one
    kind    "Parameter", "Buffer", "Tensor", "UninitializedParameter", "UninitializedBuffer"
    state   attributes to set: dict of str (identifiers, no dunder, no attribute of Tensor) to any value; None when none
    """

    __match_args__ = ("data", "kind", "requires_grad", "state")
    __slots__ = __match_args__

    def __init__(self, data: object, kind: str, requires_grad: bool = False, state: object = None) -> None:
        self.data: Final = data
        self.kind: Final = kind
        self.requires_grad: Final = requires_grad
        self.state: Final = state


class StorageValue(Leaf):
    """A storage used as a value of its own: `typed` a TypedStorage of `storage.dtype`, else an UntypedStorage."""

    __match_args__ = ("storage", "typed")
    __slots__ = __match_args__

    def __init__(self, storage: StorageSpec, typed: bool) -> None:
        self.storage: Final = storage
        self.typed: Final = typed


class ArraySpec(Leaf):
    """A numpy array. `dtype` is numpy's type string with byte order ("<f8", "|b1", "|S3", "<U4", "<M8[ns]").

    data      its bytes, exactly prod(shape) elements; or a StorageSpec when they lie in the container
    objects   for dtype "|O": the elements in C order instead of bytes
    fields    for structured dtypes: the description numpy.dtype() takes, plain data only
    scalar    a numpy scalar (shape ()) instead of an array
    """

    __match_args__ = ("dtype", "shape", "fortran", "data", "objects", "fields", "scalar")
    __slots__ = __match_args__

    def __init__(
        self,
        dtype: str,
        shape: tuple[int, ...],
        fortran: bool,
        data: bytes | StorageSpec,
        objects: list[object] | None = None,
        fields: object = None,
        scalar: bool = False,
    ) -> None:
        self.dtype: Final = dtype
        self.shape: Final = shape
        self.fortran: Final = fortran
        self.data: Final = data
        self.objects: Final = objects
        self.fields: Final = fields
        self.scalar: Final = scalar


class Built:
    """An object of a vetted plain type, by the recipe that was checked.

    kind    "collections.OrderedDict", "datetime.datetime", "pathlib.PurePosixPath", ...: a key of the loader's table
    args    checked constructor arguments: plain data, Cells
    items   a dict (mappings) or list (sequences, sets) of content given by the stream, None when the type has none
    state   checked state: a dict of attributes, or None
    """

    __slots__ = ("kind", "args", "items", "state")

    def __init__(
        self,
        kind: str,
        args: tuple[Any, ...] = (),
        items: dict[Any, Any] | list[Any] | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:
        self.kind = kind
        self.args = args
        self.items = items
        self.state = state


class Document:
    """What one file holds.

    root        the object a load returns
    source      the bytes it was judged from
    storages    storage key -> extent in `source`
    big_endian  storages hold big-endian values
    container   name of the physical format
    metadata    str -> str of the container itself
    others      values of further streams (stacked pickles, extra members), by member name and index
    """

    __slots__ = ("root", "source", "storages", "big_endian", "container", "metadata", "others")

    def __init__(
        self,
        root: object,
        source: Source,
        storages: Mapping[str, Extent] | None = None,
        big_endian: bool = False,
        container: str = "",
        metadata: Mapping[str, str] | None = None,
        others: tuple[tuple[str, object], ...] = (),
    ) -> None:
        self.root = root
        self.source = source
        self.storages: Mapping[str, Extent] = {} if storages is None else storages
        self.big_endian = big_endian
        self.container = container
        self.metadata: Mapping[str, str] = {} if metadata is None else metadata
        self.others = others


class Enclosed(Leaf):
    """A leaf that is a file of its own (bytes handed to a nested loader): its Document stands in its place."""

    __match_args__ = ("document",)
    __slots__ = __match_args__

    def __init__(self, document: Document) -> None:
        self.document: Final = document


def resolve(value: object) -> object:
    """What stands at a place of a tree: the denotation of a Cell, anything else as it is.

    A chain of cells (a wrapper that denotes the same object) is followed; UNSET means that judging broke off before
    this place, and is the caller's to refuse.
    """
    while isinstance(value, Cell):
        value = value.value
        if value is UNSET:
            return UNSET
    return value
