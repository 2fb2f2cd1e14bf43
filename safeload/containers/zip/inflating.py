"""Raw deflate, a small piece at a time and never more than was announced. Knows no archive."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator

from safeload.errors import Malformed

_PIECE = 1 << 20


def inflated_pieces(
    take: Callable[[int, int], bytes], start: int, length: int, size: int, what: str
) -> Iterator[bytes]:
    """The content of a stream of `length` bytes from `start`, `size` bytes together.

    take   gives exactly so many bytes: offset, length
    what   the stream belongs to, for the message

    Raises Malformed, at the latest after the last piece, when the stream gives anything else than `size` bytes, does
    not end with itself, or has bytes behind its end.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    at, stop = start, start + length
    # SECURITY: one byte more than announced, never all: what a stream inflates to is the attacker's choice.
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
