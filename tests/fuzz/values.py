"""Whether two loaded objects hold the same values, wherever those lie: what a conversion and a lazy read must keep.

As `tests.loading.equality`, but strides, offsets and the sharing of storages may differ: a conversion lays tensors out
anew, and a tensor that is read alone has a storage of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from safeload.document.record import Record
from tests.loading.equality import _inner, _Walk

_MOST = 1 << 20
"""Bytes of a tensor that are compared: a stride of 0 makes terabytes of four."""

_PARTS = ("args", "kwargs", "state", "items")


def changed(got: Any, wanted: Any) -> str:
    """ "" when both hold the same, else the first place where they differ."""
    return _Values().run(got, wanted)


class _Values(_Walk):
    def compare(self, where: str, a: Any, b: Any) -> str:
        if not isinstance(b, Record):
            return super().compare(where, a, b)
        if (a.module, a.qualname) != (b.module, b.qualname):
            return f"a record of {a.module}.{a.qualname} instead of {b.module}.{b.qualname}"
        self.todo += [(f"{where}.{part}", getattr(a, part), getattr(b, part)) for part in _PARTS]
        return ""

    def tensor(self, where: str, a: torch.Tensor, b: torch.Tensor) -> str:
        if isinstance(b, torch.nn.parameter.UninitializedTensorMixin):
            return super().tensor(where, a, b)
        for name in ("dtype", "layout", "is_quantized", "is_nested", "is_meta"):
            if getattr(a, name) != getattr(b, name):
                return f"{name} {getattr(a, name)} instead of {getattr(b, name)}"
        inner = _inner(a), _inner(b)
        if inner[1] is not None:
            self.todo.append((f"{where}.inner", inner[0], inner[1]))
            return ""
        if a.shape != b.shape:
            return f"shape {tuple(a.shape)} instead of {tuple(b.shape)}"
        return "" if elements(a) == elements(b) else "other values"

    def shared(self, a: torch.UntypedStorage, b: torch.UntypedStorage) -> str:
        return "" if a.nbytes() == b.nbytes() and bytes(a.tolist()) == bytes(b.tolist()) else "other bytes"

    def array(self, where: str, a: Any, b: Any) -> str:
        if b.dtype.hasobject or a.dtype != b.dtype or a.shape != b.shape:
            return super().array(where, a, b)
        return (
            ""
            if a.nbytes > _MOST or np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
            else "other values"
        )


def elements(tensor: torch.Tensor) -> bytes | None:
    """The elements in C order; None when there are too many, none at all, or none that torch can move."""
    plain = tensor.detach()
    if plain.is_meta or plain.numel() * plain.element_size() > _MOST:
        return None
    plain = plain.int_repr() if plain.is_quantized else plain.resolve_conj().resolve_neg()
    try:
        made = plain.clone(memory_format=torch.contiguous_format)
    except (RuntimeError, NotImplementedError):
        return None
    return bytes(made.untyped_storage().tolist())
