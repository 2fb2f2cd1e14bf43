"""The Document: the torch-free object tree that was judged, and that is loaded or converted.

Plain data is plain Python (None, bool, int, float, str, bytes, bytearray, list, tuple, dict, set, frozenset); wherever
an object would have been built stands a `Cell` whose `value` is one of the leaves below, or a `Record`. A cell is one
object: met twice, it is the same object twice. Trees may be cyclic and may double at every level, so walk iteratively
and visit each cell and container once (`resolve` strips the cells). Sizes are elements for tensors, bytes for
storages. Imports no torch and no numpy; knows no format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from safeload.cell import UNSET, Cell
from safeload.source import Source


@dataclass(frozen=True, slots=True)
class Extent:
    """Where the bytes of a storage or member lie in the input. `stored` is False when they are compressed.

    offset, length   in the input; `length` is what the file occupies
    size             bytes after inflation (== length when stored)
    """

    offset: int
    length: int
    size: int
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Symbol:
    """A vetted name used as a value: a dtype, a layout, a class handed to a constructor ("torch.float32")."""

    name: str


@dataclass(frozen=True, slots=True)
class StorageSpec:
    """One storage. `key` names it in Document.storages; one key always has one dtype, size and location.

    dtype     a name of `safeload.dtypes`, None for an untyped storage
    nbytes    size of the whole storage in bytes
    location  device tag of the file ("cpu", "cuda:0", ...), validated
    view      legacy files: (byte offset, bytes) of the part that this object shows, None for all
    home      the Document whose `storages` hold the key, None for the one that holds this spec
    """

    key: str
    dtype: str | None
    nbytes: int
    location: str = "cpu"
    view: tuple[int, int] | None = None
    home: Document | None = None


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A strided tensor inside its storage: every bound has been checked. `storage` is None for a meta tensor.

    shape, stride, offset   in elements of `dtype`; offset counts from the start of the storage (of its view)
    """

    storage: StorageSpec | None
    dtype: str
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int = 0
    requires_grad: bool = False
    conj: bool = False
    neg: bool = False


@dataclass(frozen=True, slots=True)
class QuantizedSpec:
    """A quantized tensor. `scale` and `zero_point` are numbers (per tensor), or TensorSpecs or lists (per channel)."""

    data: TensorSpec
    scheme: str
    scale: Any
    zero_point: Any
    axis: int | None = None


@dataclass(frozen=True, slots=True)
class SparseSpec:
    """A sparse tensor whose indices were read and checked.

    layout    "torch.sparse_coo", "torch.sparse_csr", ..._csc, ..._bsr, ..._bsc
    indices   coo: (indices,); compressed: (compressed indices, plain indices)
    checked   the bytes of each of `indices` as they were validated: build from these, never from the file again
    """

    layout: str
    indices: tuple[TensorSpec, ...]
    values: TensorSpec
    shape: tuple[int, ...]
    coalesced: bool | None
    checked: tuple[bytes, ...]
    requires_grad: bool = False


@dataclass(frozen=True, slots=True)
class NestedTensorSpec:
    """A strided nested tensor: `sizes` and `strides` are rows of ints, `offsets` one int a piece; all were checked."""

    buffer: TensorSpec
    sizes: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class WrappedTensor:
    """A tensor-like leaf with python class or attributes of its own.

    data    TensorSpec, QuantizedSpec, SparseSpec, NestedTensorSpec, or a Cell of one
    kind    "Parameter", "Buffer", "Tensor", "UninitializedParameter", "UninitializedBuffer"
    state   attributes to set: dict of str (identifiers, no dunder, no attribute of Tensor) to any value; None when none
    """

    data: object
    kind: str
    requires_grad: bool = False
    state: object = None


@dataclass(frozen=True, slots=True)
class StorageValue:
    """A storage used as a value of its own: `typed` a TypedStorage of `storage.dtype`, else an UntypedStorage."""

    storage: StorageSpec
    typed: bool


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """A numpy array. `dtype` is numpy's type string with byte order ("<f8", "|b1", "|S3", "<U4", "<M8[ns]").

    data      its bytes, exactly prod(shape) elements; or a StorageSpec when they lie in the container
    objects   for dtype "|O": the elements in C order instead of bytes
    fields    for structured dtypes: the description numpy.dtype() takes, plain data only
    scalar    a numpy scalar (shape ()) instead of an array
    """

    dtype: str
    shape: tuple[int, ...]
    fortran: bool
    data: bytes | StorageSpec
    objects: list[object] | None = None
    fields: object = None
    scalar: bool = False


@dataclass(slots=True, eq=False)
class Built:
    """An object of a vetted plain type, by the recipe that was checked.

    kind    "collections.OrderedDict", "datetime.datetime", "pathlib.PurePosixPath", ...: a key of the loader's table
    args    checked constructor arguments: plain data, Cells
    items   a dict (mappings) or list (sequences, sets) of content given by the stream, None when the type has none
    state   checked state: a dict of attributes, or None
    """

    kind: str
    args: tuple[Any, ...] = ()
    items: dict[Any, Any] | list[Any] | None = None
    state: dict[str, Any] | None = None


@dataclass(slots=True, eq=False)
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

    root: object
    source: Source
    storages: Mapping[str, Extent] = field(default_factory=dict)
    big_endian: bool = False
    container: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    others: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A leaf that is a file of its own (bytes handed to a nested loader): its Document stands in its place."""

    document: Document


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
