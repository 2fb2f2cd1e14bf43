"""What was read is kept, so that what was judged is what is loaded.

Sources that read from outside the process build on KeptSource: it remembers every byte range that `read` handed out and
answers from memory when any part of it is asked for again. Knows no files and no formats.
"""

from __future__ import annotations

import errno
import hashlib
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable

from safeload.errors import InputError, Malformed

_RUN = struct.Struct("<QQ")


def outside(offset: int, length: int, size: int) -> Malformed:
    """The Malformed for a range that does not lie inside an input of `size` bytes."""
    return Malformed(
        f"needs {length} bytes at offset {offset}, but the input is {size} bytes long: it is truncated or damaged",
        offset=offset if 0 <= offset <= size else None,
    )


def digest(pieces: Iterable[tuple[int, bytes | memoryview]]) -> str:
    """sha256 over `pieces` (ascending, disjoint), adjacent ones merged into runs.

    Each run counts as its offset and its length, both 8 bytes little-endian, then its bytes.
    """
    runs: list[tuple[int, list[bytes | memoryview]]] = []
    end = -1
    for offset, data in pieces:
        if offset != end:
            runs.append((offset, []))
        runs[-1][1].append(data)
        end = offset + len(data)
    total = hashlib.sha256()
    for offset, parts in runs:
        total.update(_RUN.pack(offset, len(parts[0]) if len(parts) == 1 else sum(map(len, parts))))
        for part in parts:
            total.update(part)
    return total.hexdigest()


class Passed:
    """The sha256 of each range that was judged and not kept."""

    def __init__(self) -> None:
        self._digests: dict[tuple[int, int], bytes] = {}

    def add(self, offset: int, data: bytes, name: str) -> None:
        """Take `data` at `offset`. Raises InputError when the range gave other bytes before."""
        found = hashlib.sha256(data).digest()
        # SECURITY: a structure is followed back and forth, and a file changed in between must not be two files in one.
        if self._digests.setdefault((offset, len(data)), found) != found:
            raise InputError(errno.EIO, f"was changed while it was read (offset {offset})", name)

    def bind(self, kept: str) -> str:
        """The digest over what was kept, `kept`, and over what was passed over; `kept` itself when nothing was."""
        if not self._digests:
            return kept
        total = hashlib.sha256(kept.encode("ascii"))
        for (offset, length), found in sorted(self._digests.items()):
            total.update(_RUN.pack(offset, length) + found)
        return total.hexdigest()

    def holds(self, fetch: Callable[[int, int], bytes]) -> bool:
        """Whether `fetch` still gives the same bytes for every range."""
        return all(
            hashlib.sha256(fetch(offset, length)).digest() == found for (offset, length), found in self._digests.items()
        )


class KeptSource:
    """A Source over `fetch`, which a subclass gives. Not for use by several threads at once."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        # Disjoint pieces in ascending order; two lists because bisect is fastest over plain integers.
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self._passed = Passed()

    def fetch(self, offset: int, length: int) -> bytes:
        """Exactly `length` > 0 bytes from inside the input, or InputError."""
        raise NotImplementedError

    def read(self, offset: int, length: int) -> bytes:
        """See `Source.read`."""
        end = offset + length
        # SECURITY: before anything is allocated, or a length from the file allocates terabytes.
        if offset < 0 or length < 0 or end > self.size:
            raise outside(offset, length, self.size)
        if not length:
            return b""
        starts, pieces = self._starts, self._pieces
        after = bisect_right(starts, offset)
        if after:
            last = pieces[after - 1]
            inside = offset - starts[after - 1]
            if inside + length <= len(last):
                return last if length == len(last) else last[inside : inside + length]
            touches = inside < len(last)
        else:
            touches = False
        if touches or (after < len(starts) and starts[after] < end):
            return self._patchwork(offset, end, after - touches)
        data = self.fetch(offset, length)
        starts.insert(after, offset)
        pieces.insert(after, data)
        return data

    def peek(self, offset: int, length: int) -> bytes:
        """See `Source.peek`."""
        length = min(length, self.size - offset)
        if offset < 0 or length <= 0:
            return b""
        return self.fetch(offset, length)

    def pass_over(self, offset: int, length: int) -> bytes:
        """See `Source.pass_over`."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise outside(offset, length, self.size)
        if not length:
            return b""
        data = self.fetch(offset, length)
        self._passed.add(offset, data, self.name)
        return data

    def _patchwork(self, offset: int, end: int, first: int) -> bytes:
        """[offset, end) from the pieces from index `first` on, with the gaps between them read now and kept."""
        starts, pieces = self._starts, self._pieces
        last = first
        new_starts: list[int] = []
        new_pieces: list[bytes] = []
        at = offset
        while at < end:
            if last < len(starts) and starts[last] <= at:
                start, piece = starts[last], pieces[last]
                last += 1
            else:
                stop = min(end, starts[last]) if last < len(starts) else end
                start, piece = at, self.fetch(at, stop - at)
            new_starts.append(start)
            new_pieces.append(piece)
            at = start + len(piece)
        starts[first:last] = new_starts
        pieces[first:last] = new_pieces
        whole = b"".join(new_pieces)
        return whole[offset - new_starts[0] : end - new_starts[0]]

    def judged_sha256(self) -> str:
        """See `Source.judged_sha256` and `digest`."""
        return self._passed.bind(digest(zip(self._starts, self._pieces, strict=True)))

    def kept_bytes(self) -> int:
        """How much memory holds of what was read."""
        return sum(map(len, self._pieces))

    def still_judged(self) -> bool:
        """Whether every range that was judged still holds the same bytes. Raises InputError if it cannot say."""
        kept = zip(self._starts, self._pieces, strict=True)
        return all(self.fetch(start, len(piece)) == piece for start, piece in kept) and self._passed.holds(self.fetch)

    def close(self) -> None:
        """See `Source.close`."""


class FetchedSource(KeptSource):
    """A KeptSource over a function, for what is no class of this folder.

    fetch   as `KeptSource.fetch`
    """

    def __init__(self, name: str, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__(name, size)
        self._fetch = fetch

    def fetch(self, offset: int, length: int) -> bytes:
        """See `KeptSource.fetch`."""
        return self._fetch(offset, length)
