"""Checks that a zlib stream inflates and ends where it should. Keeps none of its content; knows no format."""

from __future__ import annotations

import zlib

from safeload.containers.whole.interface import need
from safeload.containers.whole.view import BLOCK, FileView
from safeload.errors import LimitExceeded, Malformed


class ZlibStream:
    """A stream that has to end with its last piece, and to inflate to `size` bytes when that is not None.

    Its methods raise LimitExceeded, too.
    """

    def __init__(self, view: FileView, size: int | None) -> None:
        most = view.blocks.limits.inflated_bytes
        if size is not None and size > most:
            raise LimitExceeded(f"a stream of {size} bytes once inflated", limit="inflated_bytes")
        self._view = view
        self._sized = size is not None
        self._left = most if size is None else size
        self._stream = zlib.decompressobj()

    def feed(self, piece: bytes, at: int) -> None:
        """Take the next piece. Raises Malformed."""
        stream = self._stream
        while piece:
            # SECURITY: nothing may follow the stream in the bytes that the format gives it.
            need(not stream.eof, at)
            self._inflate(piece, at)
            need(not stream.unused_data, at)
            piece = stream.unconsumed_tail

    def close(self, at: int) -> None:
        """Raise Malformed unless the stream is at its end."""
        # The last call may have held back content because its output was full.
        while not self._stream.eof:
            need(self._inflate(b"", at) > 0, at)
        need(self._left == 0 or not self._sized, at)

    def _inflate(self, piece: bytes, at: int) -> int:
        try:
            out = len(self._stream.decompress(piece, BLOCK))
        except zlib.error as error:
            raise Malformed(f"a stream does not inflate: {error}", offset=at) from error
        self._view.step(1 + out // 4096)
        self._left -= out
        if self._left < 0 and not self._sized:
            raise LimitExceeded("a stream inflates to more than is allowed", limit="inflated_bytes", offset=at)
        need(self._left >= 0, at)
        return out
