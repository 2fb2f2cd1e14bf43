"""Names: which tensors a Document holds, under which dotted paths, and which name each part of a composite one gets.

A plain tensor has its path. What the format has no type or no layout for never stands under the path alone, where a
reader would take it for the tensor; its parts stand under the path and a suffix that says what they are:

    .view_as_real                       complex128, complex32: pairs of floats in a last dimension of 2
    .int_repr .scale .zero_point        quantized: the integers, and per-channel parameters
    .indices .values                    sparse COO; .crow_indices .col_indices .values CSR and BSR; .ccol_indices
                                        .row_indices .values CSC and BSC
    .buffer .sizes .strides .offsets    nested
    .bits                               packed and sub-byte integers, as they lie in memory
    .unresolved                         the bytes below a lazily conjugated or negated view; the path holds its values
    .fortran .bytes                     numpy arrays in column order (axes reversed); of types that torch lacks

An array that stands in a dropped object is no part of the tree: it goes over by value, in C order, under its path.

Reads no bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple, TypeGuard

from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageValue,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.elements import numel
from safeload.document.record import Record
from safeload.errors import LimitExceeded
from safeload.limits import Limits
from safeload.tree.encode import contents
from safeload.tree.paths import enclosed_leaves, named_leaves

EMPTY = "torch.Tensor"
FROM_NUMPY = "torch.from_numpy"
_TRANSPOSED = "numpy.ndarray.transpose"
WITHOUT_VALUES = ("UninitializedParameter", "UninitializedBuffer")

_INDICES = {
    "torch.sparse_coo": ("indices",),
    "torch.sparse_csr": ("crow_indices", "col_indices"),
    "torch.sparse_bsr": ("crow_indices", "col_indices"),
    "torch.sparse_csc": ("ccol_indices", "row_indices"),
    "torch.sparse_bsc": ("ccol_indices", "row_indices"),
}

_FROM_NUMPY = {
    "f2": "float16", "f4": "float32", "f8": "float64", "i1": "int8", "i2": "int16", "i4": "int32", "i8": "int64",
    "u1": "uint8", "u2": "uint16", "u4": "uint32", "u8": "uint64", "b1": "bool", "c8": "complex64", "c16": "complex128",
}  # fmt: skip
"""numpy's type string without byte order -> element type of the tensor that such an array is without its object."""

Leaf = TensorSpec | QuantizedSpec | SparseSpec | NestedTensorSpec | StorageValue | ArraySpec | Built


class Named:
    """A leaf that has bytes. `part`: "" for a tensor under its own path, else what of a composite it is."""

    __slots__ = ("name", "leaf", "part")

    def __init__(self, name: str, leaf: Leaf, part: str = "") -> None:
        self.name: Final = name
        self.leaf: Final = leaf
        self.part: Final = part


def is_tensor(value: object) -> bool:
    """Whether a resolved value is a tensor-like leaf, or an array that is stored as one."""
    if isinstance(value, TensorSpec | WrappedTensor):
        return True
    if isinstance(value, ArraySpec):
        return value.objects is None and not value.scalar
    if isinstance(value, Built):
        return value.kind in (EMPTY, FROM_NUMPY, _TRANSPOSED)
    return isinstance(value, QuantizedSpec | SparseSpec | NestedTensorSpec)


def has_bytes(value: object) -> bool:
    """Whether a resolved value is to be named: a tensor, an array, or a storage used as a value."""
    return is_tensor(value) or isinstance(value, StorageValue)


def leaves(document: Document, limits: Limits) -> dict[str, object]:
    """Dotted path -> leaf, in the order of the file. Raises NotConvertible for paths that make no names."""
    found = named_leaves(document.root, has_bytes, limits, strict=True)
    arrays = {name: leaf for name, leaf in found.items() if is_lone_array(leaf)}
    outside = arrays_outside(document, arrays, limits)
    if not outside.taken and not outside.left:
        return found
    return {name: outside.taken.get(name, leaf) for name, leaf in found.items() if name not in outside.left}


def is_lone_array(value: object) -> TypeGuard[ArraySpec]:
    """Whether a resolved value is an array that brings its own bytes."""
    return isinstance(value, ArraySpec) and is_tensor(value) and isinstance(value.data, bytes)


class Outside(NamedTuple):
    """Arrays in dropped objects.

    taken   path -> the tensor that stands for the array
    left    path -> why there is none
    """

    taken: Mapping[str, Built]
    left: Mapping[str, str]


def arrays_outside(document: Document, arrays: Mapping[str, ArraySpec], limits: Limits) -> Outside:
    """Which of `arrays` (path -> array) no part of the tree asks for, because they stand in dropped objects alone.

    SECURITY: each goes over once, however many paths lead to it: copies could be far larger than the file.
    """
    if not arrays or not _has_records(document, limits):
        return Outside({}, {})
    inside = {id(blob.owner) for blob in contents(document).blobs}
    taken: dict[str, Built] = {}
    left: dict[str, str] = {}
    first: dict[int, str] = {}
    for name, array in arrays.items():
        if id(array) in inside:
            continue
        dtype = _FROM_NUMPY.get(array.dtype[1:]) if array.dtype[0] in "<|" else None
        if id(array) in first:
            left[name] = f"the same array as {first[id(array)][:200]}"
        elif dtype is not None and numel(array.shape):
            taken[name] = Built(FROM_NUMPY, (array, dtype))
            first[id(array)] = name
        else:
            left[name] = "an array of a type or shape that is no tensor, in an object that was left out"
    return Outside(taken, left)


def _has_records(document: Document, limits: Limits) -> bool:
    try:
        return bool(named_leaves(document.root, lambda value: isinstance(value, Record), limits))
    except LimitExceeded:  # on more paths than can be named
        return True


def all_parts(found: Mapping[str, object], limits: Limits) -> list[Named]:
    """`parts` of all that `leaves` found."""
    named: list[Named] = []
    for name, leaf in found.items():
        if isinstance(leaf, TensorSpec):  # nearly all are
            named.append(Named(name, leaf))
        else:
            named += parts(name, leaf, limits)
    return named


def parts(name: str, leaf: object, limits: Limits) -> Iterator[Named]:
    """What of the leaf at `name` has bytes, each with its name."""
    leaf = resolve(leaf)
    match leaf:
        case WrappedTensor():
            if leaf.kind not in WITHOUT_VALUES:
                yield from parts(name, leaf.data, limits)
            if leaf.state is not None:
                for path, inner in named_leaves(leaf.state, has_bytes, limits, strict=True).items():
                    yield from parts(f"{name}.{path}", inner, limits)
        case QuantizedSpec():
            yield Named(f"{name}.int_repr", leaf.data, "int_repr")
            for part, value in (("scale", resolve(leaf.scale)), ("zero_point", resolve(leaf.zero_point))):
                if isinstance(value, TensorSpec):
                    yield Named(f"{name}.{part}", value, part)
        case SparseSpec():
            for part, indices in zip(_INDICES[leaf.layout], leaf.indices, strict=True):
                yield Named(f"{name}.{part}", indices, part)
            yield Named(f"{name}.values", leaf.values, "values")
        case NestedTensorSpec():
            yield Named(f"{name}.buffer", leaf.buffer, "buffer")
            yield Named(name, leaf, "tables")
        case Built() if leaf.kind == _TRANSPOSED:
            yield Named(f"{name}.fortran", resolve(leaf.args[0]), "fortran")  # type: ignore[arg-type]
        case TensorSpec() | StorageValue() | ArraySpec() | Built():
            yield Named(name, leaf)


def homes(document: Document, limits: Limits) -> dict[int, Document]:
    """Id of a leaf -> the Document that it stands in, for leaves below an enclosed file."""
    return {
        id(part.leaf): home
        for name, leaf, home in enclosed_leaves(document, has_bytes, limits)
        for part in parts(name, leaf, limits)
    }
