"""Gives a proof the bytes of a file, or of a range of it, in any order and in bounded memory. Knows no format.

SECURITY: a proof gets bytes only through `Source.pass_over`, in fixed blocks. So they count as judged, and a block that
is read again is the same block as before, or the source raises InputError: a file cannot change under a proof.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from struct import Struct
from typing import Any

from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.source import Source

_SHIFT = 20
BLOCK = 1 << _SHIFT
"""How many bytes are read at once."""

# How many blocks are kept in memory, and how many steps it costs to read one: a table that jumps through a large file
# reaches the limit after 10,000 reads.
_HELD = 32
_COST = 2000
# How many bytes a sum, a comparison or a search does in the time of one step.
_WORK = 256


class Blocks:
    """The blocks of one source."""

    def __init__(self, source: Source, limits: Limits) -> None:
        self.source = source
        self.limits = limits
        self.steps = 0
        self.seen: set[int] = set()
        self._held: dict[int, bytes] = {}

    def block(self, index: int) -> bytes:
        """Block number `index`, which has to begin inside the source."""
        found = self._held.get(index)
        if found is None:
            self.spend(_COST)
            start = index << _SHIFT
            found = self.source.pass_over(start, min(BLOCK, self.source.size - start))
            if len(self._held) >= _HELD:
                del self._held[next(iter(self._held))]
            self._held[index] = found
            self.seen.add(index)
        return found

    def spend(self, steps: int) -> None:
        """Count `steps`. Raises LimitExceeded."""
        self.steps += steps
        if self.steps > self.limits.passive_steps:
            raise LimitExceeded(f"has more than {self.limits.passive_steps} parts", limit="passive_steps")

    def rest(self) -> None:
        """Read every block that was not read yet, so that all bytes of the file count as judged."""
        for index in range(-(-self.source.size // BLOCK)):
            if index not in self.seen:
                self.block(index)


class FileView:
    """The `size` bytes from `start` on of the source of `blocks`. Offsets count from `start`.

    Every method raises Malformed for bytes outside.
    """

    def __init__(self, blocks: Blocks, start: int, size: int) -> None:
        self.blocks = blocks
        self.start = start
        self.size = size

    def part(self, offset: int, length: int) -> FileView:
        """A view of a range of this one."""
        self._inside(offset, length)
        return FileView(self.blocks, self.start + offset, length)

    def step(self, count: int = 1) -> None:
        """Count `count` parts of the format against `Limits.passive_steps`."""
        self.blocks.spend(count)

    def get(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes, all of them in memory. For a large range use `runs`."""
        self._inside(offset, length)
        at = self.start + offset
        inside = at & (BLOCK - 1)
        if inside + length <= BLOCK:
            # An empty range may lie at the very end, where no block begins.
            return self.blocks.block(at >> _SHIFT)[inside : inside + length] if length else b""
        return b"".join(piece for _, piece in self.runs(offset, offset + length))

    def number(self, offset: int, length: int, *, little: bool = False) -> int:
        """An unsigned whole number."""
        return int.from_bytes(self.get(offset, length), "little" if little else "big")

    def unpack(self, form: Struct, offset: int) -> tuple[Any, ...]:
        """The fields of `form`."""
        return form.unpack(self.get(offset, form.size))

    def runs(self, offset: int, end: int) -> Iterator[tuple[int, bytes]]:
        """[offset, end) in pieces, each with its offset."""
        self._inside(offset, end - offset)
        at, stop = self.start + offset, self.start + end
        while at < stop:
            inside = at & (BLOCK - 1)
            piece = self.blocks.block(at >> _SHIFT)[inside : inside + stop - at]
            self.blocks.spend(len(piece) // _WORK)
            yield at - self.start, piece
            at += len(piece)

    def crc32(self, offset: int, end: int) -> int:
        """The CRC-32 of [offset, end)."""
        crc = 0
        for _, piece in self.runs(offset, end):
            crc = zlib.crc32(piece, crc)
        return crc

    def zeros(self, offset: int, end: int) -> bool:
        """Whether [offset, end) holds nothing but zero bytes."""
        return all(piece.count(0) == len(piece) for _, piece in self.runs(offset, end))

    def search(self, pattern: re.Pattern[bytes], longest: int, offset: int) -> int:
        """Where `pattern`, of at most `longest` bytes, is found first at or after `offset`; -1 if nowhere."""
        at, stop = self.start + offset, self.start + self.size
        self._inside(offset, self.size - offset)
        kept = b""
        while at < stop:
            block = self.blocks.block(at >> _SHIFT)
            inside = at & (BLOCK - 1)
            end = min(len(block), inside + stop - at)
            if kept:
                # A match may lie across the border of two blocks.
                found = pattern.search(kept + block[inside : min(end, inside + longest - 1)])
                if found:
                    return at - len(kept) + found.start() - self.start
            found = pattern.search(block, inside, end)
            self.blocks.spend(((found.start() if found else end) - inside) // _WORK)
            if found:
                return at + found.start() - inside - self.start
            kept = block[max(inside, end - longest + 1) : end] if longest > 1 else b""
            at += end - inside
        return -1

    def _inside(self, offset: int, length: int) -> None:
        # SECURITY: before any memory is allocated: the length may come from the file, and say terabytes.
        if offset < 0 or length < 0 or offset + length > self.size:
            raise Malformed("a part does not lie inside the file", offset=max(0, min(offset, self.size)))
