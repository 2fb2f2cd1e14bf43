"""A zlib stream, inflated in pieces that are not kept: it ends where it should. Knows no format that has one."""

from __future__ import annotations

import zlib

from safeload.containers.whole.interface import need
from safeload.containers.whole.view import BLOCK, View
from safeload.errors import LimitExceeded, Malformed


class Inflated:
    """A stream that has to inflate to `size` bytes if it is told, and to end with its last piece.

    Raises LimitExceeded.
    """

    def __init__(self, view: View, size: int | None) -> None:
        most = view.blocks.limits.inflated_bytes
        if size is not None and size > most:
            raise LimitExceeded(f"a stream of {size} bytes once inflated", limit="inflated_bytes")
        self._view = view
        self._told = size is not None
        self._left = most if size is None else size
        self._stream = zlib.decompressobj()

    def feed(self, piece: bytes, at: int) -> None:
        """Take the next piece. Raises Malformed."""
        stream = self._stream
        while piece:
            # SECURITY: nothing may stand behind the stream where it is said to be.
            need(not stream.eof, at)
            self._inflate(piece, at)
            need(not stream.unused_data, at)
            piece = stream.unconsumed_tail

    def close(self, at: int) -> None:
        """Raise Malformed unless the stream is at its end."""
        # What the last call held back because its output was full.
        while not self._stream.eof:
            need(self._inflate(b"", at) > 0, at)
        need(self._left == 0 or not self._told, at)

    def _inflate(self, piece: bytes, at: int) -> int:
        try:
            out = len(self._stream.decompress(piece, BLOCK))
        except zlib.error as error:
            raise Malformed(f"a stream does not inflate: {error}", offset=at) from error
        self._view.step(1 + out // 4096)
        self._left -= out
        if self._left < 0 and not self._told:
            raise LimitExceeded("a stream inflates to more than is allowed", limit="inflated_bytes", offset=at)
        need(self._left >= 0, at)
        return out
