"""Builds tensors from specs: one function for each kind of leaf. All geometry is checked before torch is called.

Uses only constructors that take data, and looks up no name from a file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import torch

from safeload.document.document import (
    Built,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageValue,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.dtypes import BITS
from safeload.document.elements import numel
from safeload.loading.placement import Placement
from safeload.loading.storages import TorchStorages

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in BITS if hasattr(torch, name)}
_SWITCH = threading.Lock()
_EMPTY = (0,)


class Tensors:
    """Builds the tensors of one document over its storages."""

    def __init__(self, storages: TorchStorages, placement: Placement) -> None:
        self._storages = storages
        self._placement = placement
        self._typed: dict[tuple[int, torch.dtype], Any] = {}

    def strided(self, spec: TensorSpec) -> torch.Tensor:
        """A strided (or meta) tensor."""
        dtype = DTYPES[spec.dtype]
        if spec.storage is None:
            return torch.empty_strided(
                spec.shape, spec.stride, dtype=dtype, device="meta", requires_grad=spec.requires_grad
            )
        tensor = self._storages.first(spec.storage, dtype)
        if tensor is None:
            storage = self._storages.get(spec.storage)
            tensor = torch.empty(_EMPTY, dtype=dtype, device=storage.device)
            tensor.set_(storage, spec.offset, spec.shape, spec.stride)
        else:
            tensor.as_strided_(spec.shape, spec.stride, spec.offset)
        if spec.conj:
            torch._C._set_conj(tensor, True)
        if spec.neg:
            torch._C._set_neg(tensor, True)
        if spec.requires_grad:
            tensor.requires_grad_(True)
        return tensor

    def quantized(self, spec: QuantizedSpec) -> torch.Tensor:
        """A quantized tensor, per tensor or per channel."""
        data = spec.data
        storage = self._storages.get(data.storage) if data.storage is not None else torch.UntypedStorage(0)
        dtype, device = DTYPES[data.dtype], storage.device
        if spec.axis is None:
            tensor = torch._empty_affine_quantized(
                data.shape, scale=spec.scale, zero_point=spec.zero_point, dtype=dtype, device=device
            )
        else:
            floating = spec.scheme == "torch.per_channel_affine_float_qparams"
            numbers = torch.float if floating else torch.double
            points = torch.float if floating else torch.long
            tensor = torch._empty_per_channel_affine_quantized(
                data.shape,
                scales=torch.tensor(spec.scale, dtype=numbers, device=device),
                zero_points=torch.tensor(spec.zero_point, dtype=points, device=device),
                axis=spec.axis,
                dtype=dtype,
                device=device,
            )
        # On a quantized tensor, set_ takes a typed storage. The judge has compared the sizes with it.
        tensor.set_(_typed(storage, dtype), data.offset, data.shape, data.stride)
        return tensor

    def sparse(self, spec: SparseSpec) -> torch.Tensor:
        """A sparse tensor over private copies of the checked indices. torch checks them again."""
        values = self.strided(spec.values)
        indices = [_private(data, part, values.device) for data, part in zip(spec.checked, spec.indices, strict=True)]
        # The switch for torch's check is one per process, and torch puts back the value that it found. Of two threads
        # at once, the second would find the value of the first, and leave it behind for good.
        with _SWITCH:
            if spec.layout == "torch.sparse_coo":
                tensor = torch.sparse_coo_tensor(
                    indices[0], values, spec.shape, is_coalesced=spec.coalesced, check_invariants=not values.is_meta
                )
            else:
                tensor = torch.sparse_compressed_tensor(
                    indices[0], indices[1], values, spec.shape, layout=_LAYOUTS[spec.layout], check_invariants=True
                )
        if spec.requires_grad:
            tensor.requires_grad_(True)
        return tensor

    def nested(self, spec: NestedTensorSpec) -> torch.Tensor:
        """A strided nested tensor."""
        buffer = self.strided(spec.buffer)
        rank = len(spec.sizes[0]) if spec.sizes else 0
        return torch._nested_view_from_buffer(
            buffer,
            torch.tensor(spec.sizes, dtype=torch.int64).reshape(len(spec.sizes), rank),
            torch.tensor(spec.strides, dtype=torch.int64).reshape(len(spec.sizes), rank),
            torch.tensor(spec.offsets, dtype=torch.int64),
        )

    def storage(self, spec: StorageValue) -> Any:
        """A storage that stands as a value. torch always gives a typed one: of bytes for an untyped storage."""
        untyped = self._storages.get(spec.storage)
        dtype = torch.uint8 if spec.storage.dtype is None else DTYPES[spec.storage.dtype]
        # One key gives one object, however often a file names it. `TorchStorages` keeps the storage alive, so no other
        # object gets its id.
        key = (id(untyped), dtype)
        if key not in self._typed:
            self._typed[key] = _typed(untyped, dtype)
        return self._typed[key]

    def leaf(self, spec: object, built: Callable[[object], Any]) -> Any:
        """The tensor for any tensor-like leaf. `built` takes an inner Cell and returns the object built for it."""
        if isinstance(spec, TensorSpec):
            return self.strided(spec)
        if isinstance(spec, WrappedTensor):
            return self.wrapped(spec, built)
        if isinstance(spec, QuantizedSpec):
            return self.quantized(spec)
        if isinstance(spec, SparseSpec):
            return self.sparse(spec)
        if isinstance(spec, NestedTensorSpec):
            return self.nested(spec)
        raise AssertionError(f"no tensor leaf: {type(spec).__name__}")

    def wrapped(self, spec: WrappedTensor, built: Callable[[object], Any]) -> Any:
        """A Parameter, Buffer, uninitialized parameter or plain tensor. The caller sets its attributes."""
        inner = resolve(spec.data)
        if isinstance(inner, Built) and inner.kind == "torch.Tensor":
            device = self._placement.target or torch.device("cpu")
            if spec.kind in _UNINITIALIZED:
                return _UNINITIALIZED[spec.kind](requires_grad=spec.requires_grad, device=device)
            data = torch.empty(0, dtype=DTYPES[str(inner.args[0])], device=device)
        else:
            data = built(spec.data)
        if spec.kind == "Parameter":
            return torch.nn.Parameter(data, spec.requires_grad)
        if spec.kind == "Buffer":
            return data.as_subclass(torch.nn.parameter.Buffer)
        return data


_UNINITIALIZED: dict[str, Callable[..., Any]] = {
    "UninitializedParameter": torch.nn.parameter.UninitializedParameter,
    "UninitializedBuffer": torch.nn.parameter.UninitializedBuffer,
}

_LAYOUTS = {
    "torch.sparse_csr": torch.sparse_csr,
    "torch.sparse_csc": torch.sparse_csc,
    "torch.sparse_bsr": torch.sparse_bsr,
    "torch.sparse_bsc": torch.sparse_bsc,
}


def _typed(storage: torch.UntypedStorage, dtype: torch.dtype) -> Any:
    make: Any = torch.storage.TypedStorage
    return make(wrap_storage=storage, dtype=dtype, _internal=True)


def _private(data: bytes, spec: TensorSpec, device: torch.device) -> torch.Tensor:
    if numel(spec.shape) == 0:
        return torch.empty(spec.shape, dtype=DTYPES[spec.dtype], device=device)
    return torch.frombuffer(bytearray(data), dtype=DTYPES[spec.dtype]).reshape(spec.shape).to(device)
