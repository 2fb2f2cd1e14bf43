"""Elements of the output against elements of the source, where the bytes are not the same in the same order.

Elements that lie apart in the source are gathered, and casts are not computed again: each result is held against its
two neighbours instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from safeload.converting.interface import Stored
from safeload.converting.portions import Told
from safeload.converting.verify.gathered import Boxes
from safeload.converting.verify.nearest import nearest
from safeload.converting.verify.reread import Bytes

Array = npt.NDArray[Any]


def disagreement(stored: Stored, source: Bytes, base: int, output: Bytes, offset: int, told: Told) -> int | None:
    """Where the tensor, whose storage begins at `base`, is not what the output has at `offset`; None for nowhere."""
    for start, mine, theirs in Boxes(stored, source, base, output, offset):
        if not _agree(stored, mine, theirs):
            return start
        told(theirs.nbytes)
    return None


def _agree(stored: Stored, mine: Array, theirs: Array) -> bool:
    """Whether elements of the source (n x width bytes) gave those of the output."""
    unit = stored.piece.unit
    if unit > 1:
        mine = mine.reshape(-1, unit)[:, ::-1].reshape(mine.shape)
    if stored.negated:
        halves = mine.shape[1] // _halves(stored)
        mine = mine.copy().reshape(-1, halves)
        # The sign is the highest bit of the last byte of each float.
        every, first = (1, 0) if stored.negated == "neg" else (2, stored.negated != "conj-neg")
        mine[int(first) :: every, -1] ^= 0x80
        mine = mine.reshape(-1, theirs.shape[1] if stored.source is None else stored.piece.width)
    if stored.source is not None:
        return nearest(np.ascontiguousarray(mine), stored.source, np.ascontiguousarray(theirs), stored.dtype)
    return bool(np.array_equal(mine, theirs))


def _halves(stored: Stored) -> int:
    """Floats in one element: 2 for complex64 and for the types that stand as pairs of floats."""
    pair = stored.dtype == "complex64" or len(stored.shape) == len(stored.piece.shape) + 1
    return 2 if pair else 1
