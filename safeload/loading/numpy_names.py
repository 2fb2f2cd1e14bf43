"""The values that numpy's vetted names stand for: scalar types and dtype classes. Imported when a file uses one."""

from __future__ import annotations

from typing import Any

import numpy as np

_SCALARS = (
    "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "intc", "uintc", "intp", "uintp",
    "longlong", "ulonglong", "byte", "ubyte", "short", "ushort", "float16", "float32", "float64", "longdouble",
    "complex64", "complex128", "clongdouble", "half", "single", "double", "csingle", "cdouble", "str_", "bytes_",
    "void", "object_", "datetime64", "timedelta64",
)  # fmt: skip

_GENERATORS = ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")

SYMBOLS: dict[str, Any] = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    **{f"numpy.{name}": getattr(np, name) for name in _SCALARS if hasattr(np, name)},
    **{f"numpy.dtypes.{name}": getattr(np.dtypes, name) for name in dir(np.dtypes) if name.endswith("DType")},
    **{
        f"numpy.random.{name}": getattr(np.random, name)
        for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
    },
}
"""Vetted name -> the type."""
