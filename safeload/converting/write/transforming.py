"""Tensors whose bytes in the output are not those of the source, or lie apart there: through numpy, in blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from safeload.converting.interface import Stored
from safeload.converting.portions import Told
from safeload.converting.write.blocks import blocks, dimensions, read_block, write_block
from safeload.converting.write.casting import changed, changes, overflowed
from safeload.document.elements import numel

__all__ = ["changes", "transform"]


def transform(
    stored: Stored,
    read: Callable[[int, int], bytes],
    write: Callable[[int, memoryview], None],
    told: Told,
) -> int:
    """Write a tensor block by block; how many finite elements a cast made infinite.

    read    bytes of its storage: offset, length
    write   to the tensor's place in the output: offset in it, bytes
    told    called with bytes more
    """
    piece = stored.piece
    dims = dimensions(piece.shape, piece.stride, piece.width)
    width = stored.nbytes // numel(piece.shape)
    infinite = 0
    for starts, sizes in blocks(dims, piece.width):
        block = read_block(dims, starts, sizes, piece.start, piece.width, read)
        data = changed(block, stored)
        if stored.source is not None:
            before = np.ascontiguousarray(block).reshape(-1)
            if piece.unit > 1:
                before = before.view(f"u{piece.unit}").byteswap().view(np.uint8)
            infinite += overflowed(before, data, stored.source, stored.dtype)
        write_block(dims, starts, sizes, data, width, lambda at, part: write(at, part.data))
        told(len(data))
    return infinite
