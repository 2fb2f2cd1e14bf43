"""Was a float rounded to the nearest one, ties to even? Told from the result and its neighbours.

Nothing is rounded again: the values of bfloat16, float16 and float32 and the middles between two of them are exact in
float64, and so is every comparison here. Knows element types and bytes only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

_FORMATS = {"bfloat16": (8, 7), "float16": (5, 10), "float32": (8, 23)}
"""Bits of exponent and of fraction."""


def nearest(given: Array, source: str, result: Array, target: str) -> bool:
    """Whether each of `result` (rows of bytes, type `target`) is nearest to its element of `given` (type `source`)."""
    value = _values(given, source)
    exponent, fraction = _FORMATS[target]
    width = 1 + exponent + fraction
    bits = result.reshape(-1).view(f"<u{width // 8}").astype(np.int64)
    negative = bits >> (width - 1) == 1
    size = bits & ((1 << (width - 1)) - 1)
    infinite = ((1 << exponent) - 1) << fraction

    nan = np.isnan(value)
    if not np.array_equal(nan, size > infinite):
        return False
    if not np.array_equal(np.signbit(value)[~nan], negative[~nan]):
        return False
    value, size = np.abs(value[~nan]), size[~nan]
    at = _magnitude(size, exponent, fraction)
    # Beyond infinity lies nothing; below zero its own mirror image, which the sign has ruled out.
    above = np.where(size == infinite, np.inf, (at + _magnitude(size + 1, exponent, fraction)) / 2)
    below = np.where(size == 0, -1.0, (at + _magnitude(np.maximum(size - 1, 0), exponent, fraction)) / 2)
    even = size % 2 == 0
    good = (below < value) & (value < above) | even & ((value == below) | (value == above))
    return bool(np.all(good))


def _magnitude(size: Array, exponent: int, fraction: int) -> Array:
    """The value of a bit pattern without sign. Infinity counts as the power of two that would follow."""
    power = size >> fraction
    rest = size & ((1 << fraction) - 1)
    bias = (1 << (exponent - 1)) - 1
    normal = power > 0
    return np.ldexp(
        np.where(normal, rest + (1 << fraction), rest).astype(np.float64),
        (np.where(normal, power, 1) - bias - fraction).astype(np.int64),
    )


def _values(given: Array, source: str) -> Array:
    if source == "bfloat16":
        wide = np.zeros((given.size // 2, 4), np.uint8)
        wide[:, 2:] = given.reshape(-1, 2)
        return wide.reshape(-1).view("<f4").astype(np.float64)
    kind = {"float16": "<f2", "float32": "<f4", "float64": "<f8"}[source]
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes a quiet one
        return given.reshape(-1).view(kind).astype(np.float64)
