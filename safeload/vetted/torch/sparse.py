"""Sparse and nested tensors: the two kinds whose *values* decide whether using them is safe.

Semantics: torch/_utils.py `_rebuild_sparse_tensor`, `_rebuild_nested_tensor`; the invariants are those of
`torch._validate_sparse_coo_tensor_args` and `torch._validate_sparse_compressed_tensor_args` (torch 2.13). torch checks
them only when asked, and an index out of range crashes the process on the first use.

SECURITY: the check keeps a copy of the values (`checked`), and the loader builds from this copy. If it read the file
again, the file could have changed in between.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from math import prod

from safeload.document.document import NestedTensorSpec, SparseSpec, Symbol, TensorSpec, resolve
from safeload.document.dtypes import itemsize
from safeload.findings import Verdict
from safeload.machine.program import Call
from safeload.vetted.interface import Context, ShapeError, arguments
from safeload.vetted.torch.geometry import check_expansion, outside, sizes

_COMPRESSED = ("torch.sparse_csr", "torch.sparse_csc", "torch.sparse_bsr", "torch.sparse_bsc")


def rebuild_sparse(call: Call, ctx: Context) -> SparseSpec:
    """`_rebuild_sparse_tensor(layout, data)`. A deferred check reads the indices, when the storages are known."""
    layout, data = arguments(call, object, tuple)
    outside(layout)
    if type(layout) is not Symbol or type(data) is not tuple:
        raise ShapeError("takes (layout, data)")
    if layout.name == "torch.sparse_coo" and len(data) in (3, 4):
        spec = _coo(data)
    elif layout.name in _COMPRESSED and len(data) == 4:
        spec = _compressed(layout.name, data)
    else:
        raise ShapeError(f"no sparse layout {layout.name} with {len(data)} parts")
    check = _check_coo if layout.name == "torch.sparse_coo" else _check_compressed
    ctx.deferred.append((call, lambda: check(spec, ctx)))
    return spec


def _strided(value: object, what: str) -> TensorSpec:
    leaf = resolve(value)
    outside(leaf)
    if type(leaf) is not TensorSpec or leaf.storage is None:
        raise ShapeError(f"the {what} of a sparse tensor must be a plain tensor")
    return leaf


def _index(value: object, what: str) -> TensorSpec:
    leaf = _strided(value, what)
    if leaf.dtype not in ("int64", "int32"):
        raise ShapeError(f"the {what} of a sparse tensor must be integers, not {leaf.dtype}")
    return leaf


def _coo(data: tuple[object, ...]) -> SparseSpec:
    indices, values, shape = _index(data[0], "indices"), _strided(data[1], "values"), sizes(data[2], "size")
    coalesced = data[3] if len(data) == 4 else None
    if coalesced is not None and type(coalesced) is not bool:
        raise ShapeError("the coalesced flag must be a bool")
    if indices.dtype != "int64" or len(indices.shape) != 2:
        raise ShapeError("the indices of a sparse tensor must be a matrix of int64")
    dims, count = indices.shape
    if dims > len(shape) or values.shape != (count, *shape[dims:]):
        raise ShapeError("indices, values and size of a sparse tensor do not fit together", rule="tensor-bounds")
    return SparseSpec("torch.sparse_coo", (indices,), values, shape, coalesced, ())


def _compressed(layout: str, data: tuple[object, ...]) -> SparseSpec:
    compressed, plain = _index(data[0], "compressed indices"), _index(data[1], "plain indices")
    values, shape = _strided(data[2], "values"), sizes(data[3], "size")
    block = 2 if layout.endswith(("bsr", "bsc")) else 0
    batch = len(compressed.shape) - 1
    if compressed.dtype != plain.dtype or batch < 0 or len(plain.shape) != batch + 1 or len(shape) < batch + 2:
        raise ShapeError("the indices of a sparse tensor do not fit its size", rule="tensor-bounds")
    lead, count = shape[:batch], plain.shape[-1]
    if compressed.shape[:-1] != lead or plain.shape[:-1] != lead or values.shape[: batch + 1] != (*lead, count):
        raise ShapeError("indices, values and size of a sparse tensor do not fit together", rule="tensor-bounds")
    edge = values.shape[batch + 1 : batch + 3] if block else (1, 1)
    if len(edge) != 2 or 0 in edge or values.shape[batch + 1 + block :] != shape[batch + 2 :]:
        raise ShapeError("the blocks of a sparse tensor do not fit its size", rule="tensor-bounds")
    rows, columns = shape[batch : batch + 2]
    if rows % edge[0] or columns % edge[1]:
        raise ShapeError("the size of a sparse tensor is no multiple of its blocks", rule="tensor-bounds")
    outer = rows // edge[0] if layout.endswith(("csr", "bsr")) else columns // edge[1]
    if compressed.shape[-1] != outer + 1:
        raise ShapeError("the compressed indices of a sparse tensor do not fit its size", rule="tensor-bounds")
    return SparseSpec(layout, (compressed, plain), values, shape, None, ())


def _integers(spec: TensorSpec, data: bytes) -> memoryview:
    if sys.byteorder == "big":  # pragma: no cover - values() gives little-endian bytes
        raise ShapeError("sparse indices cannot be checked on a big-endian machine", Verdict.UNJUDGED)
    return memoryview(data).cast("q" if spec.dtype == "int64" else "i")


def _check_coo(spec: SparseSpec, ctx: Context) -> SparseSpec:
    (indices,) = spec.indices
    data = ctx.values(indices)
    flat = _integers(indices, data)
    dims, count = indices.shape
    rows = [flat[d * count : (d + 1) * count] for d in range(dims)]
    for row, size in zip(rows, spec.shape, strict=False):
        if count and not (min(row) >= 0 and max(row) < size):
            raise ShapeError("a sparse tensor has indices outside its size", rule="tensor-bounds")
    if spec.coalesced and count > 1 and dims == 0:
        raise ShapeError("a sparse tensor without sparse dimensions claims to be coalesced", rule="tensor-bounds")
    if spec.coalesced and count > 1:
        # SECURITY: the tensor says that it is coalesced. torch then sums no duplicates, and relies on the order.
        before: tuple[int, ...] = (-1,)
        for entry in zip(*rows, strict=True):
            if entry <= before:
                raise ShapeError("a sparse tensor claims to be coalesced and is not", rule="tensor-bounds")
            before = entry
    return spec.but(checked=(data,))


def _check_compressed(spec: SparseSpec, ctx: Context) -> SparseSpec:
    compressed, plain = spec.indices
    pointers, columns = ctx.values(compressed), ctx.values(plain)
    starts, flat = _integers(compressed, pointers), _integers(plain, columns)
    width, count = compressed.shape[-1], plain.shape[-1]
    batch = len(compressed.shape) - 1
    block = spec.values.shape[batch + 1 : batch + 3] if spec.layout.endswith(("bsr", "bsc")) else (1, 1)
    size = spec.shape[batch + 1] // block[1]
    if spec.layout.endswith(("csc", "bsc")):
        size = spec.shape[batch] // block[0]
    pieces = 1
    for n in spec.shape[:batch]:
        pieces *= n
    for piece in range(pieces):
        ends = starts[piece * width : (piece + 1) * width]
        row = flat[piece * count : (piece + 1) * count]
        if ends[0] != 0 or ends[-1] != count or (count and not (min(row) >= 0 and max(row) < size)):
            raise ShapeError("a sparse tensor has indices outside its size", rule="tensor-bounds")
        for low, high in pairwise(ends):
            if not 0 <= high - low <= size:
                raise ShapeError("the compressed indices of a sparse tensor do not ascend", rule="tensor-bounds")
            part = row[low:high]
            if any(a >= b for a, b in pairwise(part)):
                raise ShapeError("the plain indices of a sparse tensor are not sorted", rule="tensor-bounds")
    return spec.but(checked=(pointers, columns))


def rebuild_nested(call: Call, ctx: Context) -> NestedTensorSpec:
    """`_rebuild_nested_tensor(buffer, sizes, strides, offsets)`. Every piece has to lie inside the buffer."""
    buffer, *tables = arguments(call, object, object, object, object)
    outside(buffer)
    if type(buffer) is not TensorSpec or buffer.storage is None or len(buffer.shape) != 1 or buffer.stride != (1,):
        raise ShapeError("the buffer of a nested tensor must be a flat tensor")
    size, stride, offset = (_index(table, "sizes, strides and offsets") for table in tables)
    if {size.dtype, stride.dtype, offset.dtype} != {"int64"}:
        raise ShapeError("sizes, strides and offsets of a nested tensor must be int64")
    if size.shape != stride.shape or len(size.shape) != 2 or offset.shape != size.shape[:1]:
        raise ShapeError("sizes, strides and offsets of a nested tensor do not fit together", rule="tensor-bounds")
    spec = NestedTensorSpec(buffer, (), (), ())
    ctx.deferred.append((call, lambda: _check_nested(spec, size, stride, offset, ctx)))
    return spec


def _check_nested(
    spec: NestedTensorSpec, size: TensorSpec, stride: TensorSpec, offset: TensorSpec, ctx: Context
) -> NestedTensorSpec:
    pieces, rank = size.shape
    rows = []
    for table in (size, stride):
        flat = _integers(table, ctx.values(table)).tolist()
        rows.append(tuple(tuple(flat[i * rank : (i + 1) * rank]) for i in range(pieces)))
    starts = tuple(_integers(offset, ctx.values(offset)).tolist())
    held = spec.buffer.shape[0]
    copied = 0
    for shape, step, start in zip(*rows, starts, strict=True):
        if min((*shape, *step, start)) < 0:
            raise ShapeError("a piece of a nested tensor has negative sizes", rule="tensor-bounds")
        last = start + sum((n - 1) * s for n, s in zip(shape, step, strict=True))
        if (0 in shape and start > held) or (0 not in shape and last >= held):
            raise ShapeError("a piece of a nested tensor lies outside its buffer", rule="tensor-bounds")
        numel = prod(shape)
        if numel >= 1 << 63:
            raise ShapeError("the sizes of a nested tensor multiply to more than 64 bits", rule="tensor-bounds")
        copied += numel
    width = itemsize(spec.buffer.dtype)
    check_expansion(copied * width, held * width, ctx)
    return NestedTensorSpec(spec.buffer, rows[0], rows[1], starts)
