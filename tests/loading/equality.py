"""Whether two loaded objects are the same: values, types, bits, and which parts are one object or share one storage.

`difference(got, wanted)` walks both at once and returns "" or where they part, and how. Identity counts: an object met
twice on one side has to be one object, met at the same two places, on the other.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import decimal
import fractions
import io
import pathlib
import random
import struct
import types
import uuid
from typing import Any

import numpy as np
import torch

_UNSHARED = (type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented), type)
_BY_EQUALITY = (
    int, str, bytes, bytearray, slice, range, datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo,
    fractions.Fraction, uuid.UUID, uuid.SafeUUID, torch.Size, torch.device, torch.dtype, torch.layout,
    torch.memory_format, torch.qscheme, pathlib.PurePath, type, np.dtype, type(...), type(NotImplemented), type(None),
)  # fmt: skip


def difference(got: Any, wanted: Any) -> str:
    """ "" when the two are the same, else the first place where they differ."""
    return _Walk().run(got, wanted)


class _Walk:
    def __init__(self) -> None:
        self.todo: list[tuple[str, Any, Any]] = []
        self.pairs: dict[int, Any] = {}
        self.back: dict[int, Any] = {}
        self.kept: list[Any] = []

    def run(self, got: Any, wanted: Any) -> str:
        self.todo.append(("", got, wanted))
        while self.todo:
            where, a, b = self.todo.pop()
            if not isinstance(b, _UNSHARED) and type(b) is not tuple:
                if id(b) in self.pairs or id(a) in self.back:
                    if self.pairs.get(id(b)) is not a or self.back.get(id(a)) is not b:
                        return f"{where}: not the same sharing of one object"
                    continue
                self.pairs[id(b)], self.back[id(a)] = a, b
                self.kept += [a, b]
            if isinstance(b, pathlib.Path):
                b = pathlib.PurePath(b)
            if type(a) is not type(b):
                return f"{where}: {type(a)} instead of {type(b)}"
            problem = self.compare(where, a, b)
            if problem:
                return f"{where}: {problem}"
        return ""

    def compare(self, where: str, a: Any, b: Any) -> str:
        if isinstance(b, torch.Tensor):
            return self.tensor(where, a, b)
        if isinstance(b, torch.UntypedStorage | torch.TypedStorage):
            return self.storage(a, b)
        if isinstance(b, np.ndarray | np.generic):
            return self.array(where, a, b)
        if isinstance(b, dict):
            if len(a) != len(b):
                return f"{len(a)} items instead of {len(b)}"
            for i, (x, y) in enumerate(zip(a.items(), b.items(), strict=True)):
                self.todo += [(f"{where}.key{i}", x[0], y[0]), (f"{where}[{y[0]!r:.30}]", x[1], y[1])]
            if isinstance(b, collections.defaultdict) and a.default_factory is not b.default_factory:
                return f"default_factory {a.default_factory}"
            return self.attributes(where, a, b)
        if isinstance(b, list | tuple | collections.deque | collections.ChainMap) and not isinstance(b, torch.Size):
            if isinstance(b, collections.ChainMap):
                a, b = a.maps, b.maps
            if isinstance(b, collections.deque) and a.maxlen != b.maxlen:
                return f"maxlen {a.maxlen}"
            if len(a) != len(b):
                return f"{len(a)} elements instead of {len(b)}"
            self.todo += [(f"{where}[{i}]", x, y) for i, (x, y) in enumerate(zip(a, b, strict=True))]
            return ""
        if isinstance(b, set | frozenset):
            return "" if a == b and {type(x) for x in a} == {type(x) for x in b} else f"{a!r:.80} instead of {b!r:.80}"
        if isinstance(b, argparse.Namespace | types.SimpleNamespace):
            return self.attributes(where, a, b)
        return _value(where, a, b, self)

    def attributes(self, where: str, a: Any, b: Any) -> str:
        x, y = getattr(a, "__dict__", {}), getattr(b, "__dict__", {})
        if list(x) != list(y):
            return f"attributes {list(x)} instead of {list(y)}"
        self.todo += [(f"{where}.{name}", x[name], y[name]) for name in y]
        return ""

    def tensor(self, where: str, a: torch.Tensor, b: torch.Tensor) -> str:
        if isinstance(b, torch.nn.parameter.UninitializedTensorMixin):
            return "" if (a.dtype, a.requires_grad) == (b.dtype, b.requires_grad) else "another uninitialized tensor"
        for name in ("dtype", "device", "layout", "shape", "requires_grad", "is_quantized", "is_nested", "is_leaf"):
            if name == "shape" and b.is_nested:
                continue
            if getattr(a, name) != getattr(b, name):
                return f"{name} {getattr(a, name)} instead of {getattr(b, name)}"
        attributes = self.attributes(where, a, b)
        if attributes:
            return attributes
        inner = _inner(a), _inner(b)
        if inner[1] is not None:
            self.todo.append((f"{where}.inner", inner[0], inner[1]))
            return ""
        if a.is_meta:
            return "" if a.stride() == b.stride() else "another stride"
        for name in ("stride", "storage_offset", "is_conj", "is_neg"):
            x, y = getattr(a, name)(), getattr(b, name)()
            if x != y:
                return f"{name} {x} instead of {y}"
        if b.is_quantized:
            problem = _quantizer(a, b)
            if problem:
                return problem
        return self.shared(a.untyped_storage(), b.untyped_storage())

    def storage(self, a: Any, b: Any) -> str:
        if isinstance(b, torch.TypedStorage):
            if a.dtype != b.dtype:
                return f"dtype {a.dtype} instead of {b.dtype}"
            a, b = a._untyped_storage, b._untyped_storage
        return self.shared(a, b)

    def shared(self, a: torch.UntypedStorage, b: torch.UntypedStorage) -> str:
        if a.nbytes() != b.nbytes():
            return f"a storage of {a.nbytes()} bytes instead of {b.nbytes()}"
        if not b.nbytes():
            return ""
        self.kept += [a, b]
        # One address is one storage on either side; an offset into another storage is a view of it.
        x, y = a.data_ptr(), b.data_ptr()
        if self.pairs.setdefault(("storage", y), x) != x or self.back.setdefault(("storage", x), y) != y:  # type: ignore[call-overload]
            return "not the same sharing of one storage"
        return "" if bytes(a.tolist()) == bytes(b.tolist()) else "other bytes"

    def array(self, where: str, a: Any, b: Any) -> str:
        for name in ("dtype", "shape", "strides"):
            if getattr(a, name) != getattr(b, name):
                return f"{name} {getattr(a, name)} instead of {getattr(b, name)}"
        if b.dtype.hasobject:
            self.todo += [
                (f"{where}[{i}]", x, y) for i, (x, y) in enumerate(zip(list(a.flat), list(b.flat), strict=True))
            ]
            return ""
        if isinstance(b, np.ndarray) and not (a.flags.writeable and a.flags.aligned):
            return "not writable or not aligned"
        return "" if a.tobytes() == b.tobytes() else "other bytes"


def _inner(t: torch.Tensor) -> list[Any] | None:
    """The plain tensors that a sparse or nested tensor is made of; indices as numbers, for they are private copies."""
    if t.layout == torch.sparse_coo:
        return [*_numbers(t._indices()), t._values(), t.is_coalesced()]
    if t.layout in (torch.sparse_csr, torch.sparse_bsr):
        return [*_numbers(t.crow_indices(), t.col_indices()), t.values()]
    if t.layout in (torch.sparse_csc, torch.sparse_bsc):
        return [*_numbers(t.ccol_indices(), t.row_indices()), t.values()]
    if t.is_nested:
        tables = t._nested_tensor_size(), t._nested_tensor_strides(), t._nested_tensor_storage_offsets()
        return [*_numbers(*tables), t.values().detach()]
    return None


def _numbers(*tables: torch.Tensor) -> list[Any]:
    return [part for table in tables for part in (table.dtype, table.shape, table.tolist())]


def _quantizer(a: torch.Tensor, b: torch.Tensor) -> str:
    if a.qscheme() != b.qscheme():
        return f"{a.qscheme()} instead of {b.qscheme()}"
    if b.qscheme() == torch.per_tensor_affine:
        same = (a.q_scale(), a.q_zero_point()) == (b.q_scale(), b.q_zero_point())
    else:
        scales = a.q_per_channel_scales(), b.q_per_channel_scales()
        points = a.q_per_channel_zero_points(), b.q_per_channel_zero_points()
        same = (
            a.q_per_channel_axis() == b.q_per_channel_axis()
            and all(x.dtype == y.dtype and torch.equal(x, y) for x, y in (scales, points))
        )  # fmt: skip
    return "" if same else "another quantizer"


def _value(where: str, a: Any, b: Any, walk: _Walk) -> str:
    if isinstance(b, float | complex):
        parts = ((x.real, x.imag) if isinstance(x, complex) else (x, 0.0) for x in (a, b))
        return "" if len({struct.pack("<2d", *p) for p in parts}) == 1 else f"{a!r} instead of {b!r}"
    if isinstance(b, decimal.Decimal):
        return "" if a.as_tuple() == b.as_tuple() else f"{a!r} instead of {b!r}"
    if isinstance(b, random.Random):
        return "" if a.getstate() == b.getstate() else "another state"
    if isinstance(b, io.BytesIO | io.StringIO):
        return "" if (a.getvalue(), a.tell()) == (b.getvalue(), b.tell()) else "another content"
    if isinstance(b, np.random.RandomState):
        walk.todo.append((f"{where}.state", a.get_state(legacy=False), b.get_state(legacy=False)))
        return ""
    if isinstance(b, np.random.Generator):
        walk.todo.append((f"{where}.bits", a.bit_generator, b.bit_generator))
        return ""
    if isinstance(b, np.random.BitGenerator):
        walk.todo += [(f"{where}.state", a.state, b.state), (f"{where}.seed", a.seed_seq, b.seed_seq)]
        return ""
    if isinstance(b, np.random.SeedSequence):
        same = a.state == b.state and np.array_equal(a.generate_state(4), b.generate_state(4))
        return "" if same else "another seed sequence"
    if type(b) is object:
        return ""
    if isinstance(b, _BY_EQUALITY):
        return "" if a == b and (isinstance(b, np.dtype) or repr(a) == repr(b)) else f"{a!r:.80} instead of {b!r:.80}"
    return f"nothing is known of {type(b)}"
