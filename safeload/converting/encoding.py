"""How each element type stands in a safetensors file. Knows names and sizes only.

The format has no complex128, complex32, quantized, packed or sub-byte integer types: their bytes are kept as they are
under a type that the format has, and the tree says what they are (`Kept`).
"""

from __future__ import annotations

from typing import Final

from safeload.containers.safetensors_file import DTYPES
from safeload.document.dtypes import BITS, COMPLEX

CODES = {name: code for code, name in DTYPES.items()}
"""torch's name of an element type -> the format's."""

CASTS = frozenset({"float64", "float32", "float16", "bfloat16"})
"""Types that a cast changes: float8 values have scales of their own, complex ones two halves."""

_PAIRS = {"complex128": "float64", "complex32": "float16"}
_QUANTIZED = {"qint8": "int8", "quint8": "uint8", "qint32": "int32", "quint4x2": "uint8", "quint2x4": "uint8"}
_PACKED = {"bits16": "uint16"}


class Encoded:
    """dtype and shape of the header; `suffix` of the name, and `kept` for the tree, where they are not the tensor's."""

    __slots__ = ("dtype", "shape", "suffix", "kept")

    def __init__(self, dtype: str, shape: tuple[int, ...], suffix: str = "", kept: str | None = None) -> None:
        self.dtype: Final = dtype
        self.shape: Final = shape
        self.suffix: Final = suffix
        self.kept: Final = kept


def encoded(dtype: str, shape: tuple[int, ...]) -> Encoded:
    """How a tensor of torch's `dtype` stands in the file."""
    if dtype in _PAIRS:
        return Encoded(_PAIRS[dtype], (*shape, 2), ".view_as_real", dtype)
    if dtype in _QUANTIZED:
        return Encoded(_QUANTIZED[dtype], shape, "", dtype)
    if dtype == "float4_e2m1fn_x2":
        # The format counts single values, torch pairs of them.
        return Encoded(dtype, (*shape[:-1], shape[-1] * 2)) if shape else Encoded("uint8", shape, ".bits", dtype)
    if dtype in CODES:
        return Encoded(dtype, shape)
    return Encoded(_PACKED.get(dtype, "uint8"), shape, ".bits", dtype)


def unit(dtype: str | None) -> int:
    """Bytes of what has a byte order in one element; 1 when nothing has."""
    if dtype is None:
        return 1
    return BITS[dtype] // (16 if dtype in COMPLEX else 8)
