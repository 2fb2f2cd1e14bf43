"""The element types that checkpoints hold, by torch's names, without torch.

Sizes in bits, from torch 2.13's c10/core/ScalarType.h; `storage` names are those of torch's typed storages.
"""

from __future__ import annotations

BITS: dict[str, int] = {
    "float64": 64, "float32": 32, "float16": 16, "bfloat16": 16,
    "complex128": 128, "complex64": 64, "complex32": 32,
    "int64": 64, "int32": 32, "int16": 16, "int8": 8,
    "uint64": 64, "uint32": 32, "uint16": 16, "uint8": 8, "bool": 8,
    "float8_e4m3fn": 8, "float8_e5m2": 8, "float8_e4m3fnuz": 8, "float8_e5m2fnuz": 8, "float8_e8m0fnu": 8,
    "float4_e2m1fn_x2": 8,
    "qint8": 8, "quint8": 8, "qint32": 32, "quint4x2": 8, "quint2x4": 8,
    "bits1x8": 8, "bits2x4": 8, "bits4x2": 8, "bits8": 8, "bits16": 16,
    **{f"int{n}": 8 for n in range(1, 8)},
    **{f"uint{n}": 8 for n in range(1, 8)},
}  # fmt: skip
"""dtype name -> bits an element takes in memory (sub-byte integers take a byte, packed types hold several values)."""

FLOATING = frozenset(name for name in BITS if name.startswith(("float", "bfloat", "complex")))
"""dtypes that can require gradients."""

COMPLEX = frozenset(name for name in BITS if name.startswith("complex"))

QUANTIZED: dict[str, tuple[int, int]] = {
    "qint8": (-128, 127), "quint8": (0, 255), "qint32": (-(2**31), 2**31 - 1),
    "quint4x2": (0, 15), "quint2x4": (0, 3),
}  # fmt: skip
"""quantized dtype -> range of its zero point."""


def itemsize(dtype: str) -> int:
    """Bytes that one element of `dtype` takes."""
    return BITS[dtype] // 8
