"""What is said of a tensor-like leaf: type, shape, bytes, and which elements of which storage it has. Reads no bytes.

A composite tensor (quantized, sparse, nested) has several strided parts; each is a `Piece`, and so is an array whose
bytes lie in the pickle. Pieces are what `streaming.py` reads.
"""

from __future__ import annotations

import re
from math import prod
from typing import NamedTuple

from safeload.document.document import (
    ArraySpec,
    Built,
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
from safeload.document.dtypes import COMPLEX, itemsize
from safeload.document.elements import is_contiguous

_NUMPY = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


class Piece(NamedTuple):
    """Strided elements.

    dtype        a name of `safeload.document.dtypes`; "" for what has none (structured arrays, text)
    width        bytes of an element; `unit`: of a number in it, which `swapped` ones have in big-endian order
    shape, stride  in elements;  start: the first element, in bytes from the start of the storage or of `data`
    storage      where the bytes are, in `home`; None for `data`, and for meta tensors, which have no bytes
    flip         "neg", "conj" or "conj-neg": signs that are turned when it is read
    """

    dtype: str
    width: int
    unit: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    start: int
    storage: StorageSpec | None
    home: Document
    data: bytes | None = None
    swapped: bool = False
    flip: str = ""

    @property
    def nbytes(self) -> int:
        """Bytes of the elements, once each."""
        return prod(self.shape) * self.width

    @property
    def has_bytes(self) -> bool:
        """Whether there is anything to read."""
        return self.nbytes > 0 and (self.storage is not None or self.data is not None)

    @property
    def source(self) -> tuple[int, object] | None:
        """Which storage, None for bytes of its own."""
        return None if self.storage is None else (id(self.storage.home or self.home), self.storage.key)


class Facts(NamedTuple):
    """A tensor-like leaf.

    kind      "tensor", "parameter", "buffer", "array" or "storage"
    dtype     torch's name; of an array whose type torch lacks, numpy's type string
    layout    "" for a strided one, else what it is ("torch.sparse_coo", "per_tensor_affine", "nested", "meta")
    extra     what makes up the value beside the pieces: scale, zero point, sizes...
    """

    kind: str
    dtype: str
    shape: tuple[int, ...]
    layout: str
    device: str
    requires_grad: bool
    contiguous: bool
    pieces: tuple[Piece, ...]
    extra: tuple[object, ...] = ()

    @property
    def nbytes(self) -> int:
        """Bytes of its elements, indices included."""
        return sum(piece.nbytes for piece in self.pieces if piece.has_bytes)


def facts(value: object, home: Document) -> Facts:
    """The facts of a value for which `places.is_tensor` is true."""
    kind, grad = "tensor", False
    while isinstance(value, WrappedTensor):
        kind = "parameter" if value.kind.endswith("Parameter") else "buffer" if value.kind.endswith("Buffer") else kind
        grad = value.requires_grad
        value = resolve(value.data)
    if isinstance(value, TensorSpec):
        piece = _strided(value, home)
        layout = "meta" if value.storage is None else ""
        return _facts(kind, value.dtype, value.shape, layout, grad or value.requires_grad, (piece,))
    if isinstance(value, QuantizedSpec):
        scales = (resolve(value.scale), resolve(value.zero_point))
        parts = (value.data, *(part for part in scales if isinstance(part, TensorSpec)))
        extra = (value.axis, *(part for part in scales if not isinstance(part, TensorSpec)))
        pieces = tuple(_strided(part, home) for part in parts)
        return _facts(kind, value.data.dtype, value.data.shape, value.scheme, grad, pieces, extra)
    if isinstance(value, SparseSpec):
        pieces = tuple(_strided(part, home) for part in (*value.indices, value.values))
        grad = grad or value.requires_grad
        return _facts(kind, value.values.dtype, value.shape, value.layout, grad, pieces, (value.coalesced,))
    if isinstance(value, NestedTensorSpec):
        extra = (value.sizes, value.strides, value.offsets)
        shape = (len(value.sizes),)
        return _facts(kind, value.buffer.dtype, shape, "nested", grad, (_strided(value.buffer, home),), extra)
    return _others(value, home, kind, grad)


def _others(value: object, home: Document, kind: str, grad: bool) -> Facts:
    """Storages, arrays, and tensors that a vetted call makes."""
    if isinstance(value, StorageValue):
        spec = value.storage
        dtype = spec.dtype or "uint8"
        length = spec.nbytes if spec.view is None else spec.view[1]
        whole = TensorSpec(spec, dtype, (length // itemsize(dtype),), (1,))
        return _facts("storage", dtype, whole.shape, "", False, (_strided(whole, home),))
    if isinstance(value, ArraySpec):
        piece = _array(value, home)
        return _facts("array", piece.dtype or value.dtype, value.shape, "", False, (piece,), (repr(value.fields),))
    if isinstance(value, Built):
        inner = resolve(value.args[0]) if value.args else None
        if isinstance(inner, ArraySpec):
            return _others(inner, home, kind, grad)._replace(kind=kind, requires_grad=grad)
        return _facts(kind, "float32", (0,), "", grad, ())  # torch.Tensor()
    return _facts(kind, "", (), "uninitialized", grad, ())


def _facts(
    kind: str, dtype: str, shape: tuple[int, ...], layout: str, grad: bool, pieces: tuple[Piece, ...],
    extra: tuple[object, ...] = (),
) -> Facts:  # fmt: skip
    device = next((piece.storage.location for piece in pieces if piece.storage is not None), "")
    contiguous = all(_in_order(piece) for piece in pieces)
    return Facts(kind, dtype, shape, layout, device, grad, contiguous, pieces, extra)


def _in_order(piece: Piece) -> bool:
    return not piece.dtype or is_contiguous(TensorSpec(None, piece.dtype, piece.shape, piece.stride))


def _strided(spec: TensorSpec, home: Document) -> Piece:
    width = itemsize(spec.dtype)
    view = 0 if spec.storage is None or spec.storage.view is None else spec.storage.view[0]
    of = home if spec.storage is None or spec.storage.home is None else spec.storage.home
    flip = "-".join(word for word, on in (("conj", spec.conj), ("neg", spec.neg)) if on)
    unit = width // (2 if spec.dtype in COMPLEX else 1)
    start = view + spec.offset * width
    swapped = of.big_endian and unit > 1
    return Piece(spec.dtype, width, unit, spec.shape, spec.stride, start, spec.storage, of, None, swapped, flip)


def _array(spec: ArraySpec, home: Document) -> Piece:
    count = prod(spec.shape)
    storage = spec.data if isinstance(spec.data, StorageSpec) else None
    data = None if isinstance(spec.data, StorageSpec) else spec.data
    length = storage.nbytes if storage is not None else len(data or b"")
    width = length // count if count else 1
    steps = []
    step = 1
    for size in spec.shape if spec.fortran else reversed(spec.shape):
        steps.append(step)
        step *= max(size, 1)
    stride = tuple(steps if spec.fortran else reversed(steps))
    dtype = numpy_name(spec.dtype) if spec.fields is None else ""
    unit = width // (2 if dtype in COMPLEX else 1)
    # The bytes of an array are compared as they are: its type says in which order they stand.
    return Piece(dtype, width, unit, spec.shape, stride, 0, storage, home, data, bool(dtype) and spec.dtype[0] == ">")


def numpy_name(dtype: str) -> str:
    """Torch's name for a type string of numpy ("<f4" -> "float32"), "" where torch has none."""
    if dtype[1:] == "b1":
        return "bool"
    found = re.fullmatch(r"[<>=|]([fiuc])([1-9][0-9]?)", dtype)
    name = "" if found is None else f"{_NUMPY[found[1]]}{int(found[2]) * 8}"
    return name if name in _KNOWN else ""


_KNOWN = frozenset(
    f"{kind}{bits}"
    for kind, sizes in (
        ("float", (16, 32, 64)),
        ("int", (8, 16, 32, 64)),
        ("uint", (8, 16, 32, 64)),
        ("complex", (64, 128)),
    )
    for bits in sizes
)
