"""Elements changed on their way: byte order, sign, type. numpy in memory, a block at a time.

Types that numpy lacks (bfloat16) are handled as the integers that they are made of. Rounds to nearest, ties to even,
once: a float64 never becomes a bfloat16 by way of a rounded float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from safeload.converting.interface import Stored

Array = npt.NDArray[Any]

_SIGN = {2: np.uint16(1 << 15), 4: np.uint32(1 << 31), 8: np.uint64(1 << 63)}
_FLOATS = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}


def changes(stored: Stored) -> bool:
    """Whether the elements of a tensor are not the bytes of its source."""
    return stored.piece.unit > 1 or stored.source is not None or bool(stored.negated)


def changed(block: Array, stored: Stored) -> Array:
    """`block` (C order, elements of the piece's width as bytes in the last dimension) as bytes of the output."""
    data: Array = np.ascontiguousarray(block).reshape(-1).view(np.uint8)
    if stored.piece.unit > 1:
        data = data.view(f"u{stored.piece.unit}").byteswap().view(np.uint8)
    if stored.negated:
        data = _negated(data, stored)
    if stored.source is not None:
        data = cast(data, stored.source, stored.dtype)
    return data


def _negated(data: Array, stored: Stored) -> Array:
    half = stored.negated != "neg"
    complex_ = half or _is_pair(stored)
    width = stored.piece.width // (2 if complex_ else 1)
    numbers = data.view(f"<u{width}") if width > 1 else data
    sign: Any = _SIGN.get(width, np.uint8(1 << 7))
    changed_ = numbers.copy()
    if stored.negated == "neg":
        changed_ ^= sign
    else:
        # conj: the imaginary half; the negative of a conjugate: the real one.
        changed_[0 if stored.negated == "conj-neg" else 1 :: 2] ^= sign
    return changed_.view(np.uint8)


def _is_pair(stored: Stored) -> bool:
    """Whether an element is two floats: complex64, or one of the types that stand as pairs."""
    return stored.dtype == "complex64" or stored.name.endswith(".view_as_real")


def cast(data: Array, source: str, target: str) -> Array:
    """Little-endian elements of type `source` as those of type `target`, both as bytes."""
    if source == "bfloat16":
        wide: Array = (data.view("<u2").astype("<u4") << np.uint32(16)).view("<f4")
    else:
        wide = data.view(_FLOATS[source])
    if target == "bfloat16":
        return _to_bfloat16(wide).view(np.uint8)
    with np.errstate(all="ignore"):
        return wide.astype(_FLOATS[target]).view(np.uint8)


def _to_bfloat16(wide: Array) -> Array:
    """Float values as the upper halves of float32s."""
    if wide.dtype.itemsize == 2:
        wide = wide.astype("<f4")
    nan = np.isnan(wide)
    bits = _odd(wide) if wide.dtype.itemsize == 8 else wide.view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    upper: Array = rounded.astype("<u2")
    if nan.any():
        # The sum could carry a NaN's payload into infinity, or over it.
        sign = (bits[nan] >> np.uint32(16)).astype("<u2") & np.uint16(0x8000)
        upper[nan] = sign | np.uint16(0x7FC0)
    return upper


def _odd(wide: Array) -> Array:
    """float64 as float32 bits, rounded to odd: then a second rounding, to fewer bits, is as good as one."""
    with np.errstate(all="ignore"):
        near = wide.astype("<f4")
        back = near.astype("<f8")
    bits: Array = near.view("<u4").copy()
    inexact = (back != wide) & ~np.isnan(wide)
    # Away from zero it went too far: one step back. Infinity steps back to the largest float32.
    bits[inexact & (np.abs(back) > np.abs(wide))] -= np.uint32(1)
    bits[inexact] |= np.uint32(1)
    return bits


def overflowed(before: Array, after: Array, source: str, target: str) -> int:
    """How many finite elements became infinite by a cast; both as bytes."""
    return int(np.count_nonzero(_infinite(after, target))) - int(np.count_nonzero(_infinite(before, source)))


def _infinite(data: Array, dtype: str) -> Array:
    if dtype == "bfloat16":
        return np.asarray((data.view("<u2") & np.uint16(0x7FFF)) == np.uint16(0x7F80))
    return np.asarray(np.isinf(data.view(_FLOATS[dtype])))
