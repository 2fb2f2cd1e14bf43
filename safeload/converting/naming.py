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

Reads no bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from safeload.document import (
    ArraySpec,
    Built,
    Document,
    Enclosed,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageValue,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.limits import Limits
from safeload.tree.paths import named_leaves

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

Leaf = TensorSpec | QuantizedSpec | SparseSpec | NestedTensorSpec | StorageValue | ArraySpec | Built


class Named(NamedTuple):
    """A leaf that has bytes. `part`: "" for a tensor under its own path, else what of a composite it is."""

    name: str
    leaf: Leaf
    part: str = ""


def is_tensor(value: object) -> bool:
    """Whether a resolved value is a tensor-like leaf, or an array that is stored as one."""
    if isinstance(value, WrappedTensor):
        return True
    if isinstance(value, ArraySpec):
        return value.objects is None and not value.scalar
    if isinstance(value, Built):
        return value.kind in (EMPTY, FROM_NUMPY, _TRANSPOSED)
    return isinstance(value, TensorSpec | QuantizedSpec | SparseSpec | NestedTensorSpec)


def has_bytes(value: object) -> bool:
    """Whether a resolved value is to be named: a tensor, an array, or a storage used as a value."""
    return isinstance(value, StorageValue) or is_tensor(value)


def leaves(document: Document, limits: Limits) -> dict[str, object]:
    """Dotted path -> leaf, in the order of the file. Raises NotConvertible for paths that make no names."""
    return named_leaves(document.root, has_bytes, limits, strict=True)


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
    found: dict[int, Document] = {}
    todo = [document]
    seen = {id(document)}
    while todo:
        outer = todo.pop()
        root = resolve(outer.root)
        inside = named_leaves(root, lambda value: isinstance(value, Enclosed), limits).values()
        for inner in (root,) if isinstance(root, Enclosed) else inside:
            below = inner.document
            if id(below) in seen:
                continue
            seen.add(id(below))
            todo.append(below)
            for name, leaf in named_leaves(below.root, has_bytes, limits).items():
                for part in parts(name, leaf, limits):
                    found[id(part.leaf)] = below
    return found
