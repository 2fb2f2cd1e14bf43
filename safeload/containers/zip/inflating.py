"""Inflates raw deflate, a small piece at a time, and never more than the archive announces. Knows no archive."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from safeload.errors import Malformed

_PIECE = 1 << 20


def inflated_pieces(
    take: Callable[[int, int], bytes], start: int, length: int, size: int, what: str
) -> Iterator[bytes]:
    """The content of a deflate stream, in pieces.

    Args:
        take: Takes an offset and a length, and returns exactly so many bytes.
        start: Where the stream begins.
        length: Bytes of the stream.
        size: Bytes of the content, as the directory announces.
        what: What the stream belongs to, for the message.

    Raises:
        Malformed: The stream gives fewer or more than `size` bytes, is cut off, or has bytes behind its end. The caller
            may learn this only after the last piece.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    at, stop = start, start + length
    # SECURITY: at most one byte more than announced. How far a stream inflates is the attacker's choice, so an
    # unbounded call could fill the memory; the one byte more shows that the announcement is wrong.
    left, piece = size + 1, b""
    try:
        while left and not inflater.eof and (at < stop or piece):
            raw = inflater.unconsumed_tail
            if not raw and not piece:
                raw = take(at, min(_PIECE, stop - at))
                at += len(raw)
            piece = inflater.decompress(raw, min(left, _PIECE))
            left -= len(piece)
            yield piece
    except zlib.error as error:
        raise Malformed(f"{what} does not inflate: {error}", offset=start) from error
    if left != 1 or not inflater.eof or inflater.unused_data or at < stop:
        raise Malformed(f"{what} does not inflate to the {size} bytes that the directory announces", offset=start)
