"""Whether a converted object is the one it was made from: values, types and one-object identity, not memory layout.

A conversion lays strided tensors out anew, so strides and the sizes of storages may differ from the original; elements,
as bytes, may not.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import torch

from tests.loading.equality import _inner, _quantizer, _Walk


def different(got: Any, wanted: Any) -> str:
    """ "" when the two are the same, else the first place where they differ."""
    return _Values().run(got, wanted)


def elements(tensor: torch.Tensor) -> bytes:
    """The elements in C order, whatever their type: torch has no operators for some."""
    width = tensor.element_size()
    if not tensor.numel():
        return b""
    storage = tensor.untyped_storage()
    held = ctypes.string_at(storage.data_ptr(), storage.nbytes())
    raw = np.frombuffer(held, np.uint8)[tensor.storage_offset() * width :]
    strides = [step * width for step in tensor.stride()]
    return np.lib.stride_tricks.as_strided(raw, (*tensor.shape, width), (*strides, 1)).tobytes()


class _Values(_Walk):
    def tensor(self, where: str, a: torch.Tensor, b: torch.Tensor) -> str:
        if isinstance(b, torch.nn.parameter.UninitializedTensorMixin):
            return "" if (a.dtype, a.requires_grad) == (b.dtype, b.requires_grad) else "another uninitialized tensor"
        for name in ("dtype", "device", "layout", "shape", "requires_grad", "is_quantized", "is_nested", "is_leaf"):
            if not (name == "shape" and b.is_nested) and getattr(a, name) != getattr(b, name):
                return f"{name} {getattr(a, name)} instead of {getattr(b, name)}"
        if problem := self.attributes(where, a, b):
            return problem
        inner = _inner(a), _inner(b)
        if inner[1] is not None:
            self.todo.append((f"{where}.inner", inner[0], inner[1]))
            return ""
        if a.is_meta:
            return ""
        if (a.is_conj(), a.is_neg()) != (b.is_conj(), b.is_neg()):
            return "lazily conjugated or negated on one side only"
        if b.is_quantized and (problem := _quantizer(a, b)):
            return problem
        return "" if elements(a) == elements(b) else "other elements"
