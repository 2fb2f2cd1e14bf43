"""Bytes that were read stay in memory, so that what was judged is what is loaded.

Sources that read from outside the process build on CachedSource. It keeps every byte range that `read` gave, and
answers from memory when any part of it is asked for again. Nothing ever leaves this cache: the same range read twice
must give the same bytes, whatever happens to the file. Knows no files and no formats.
"""

from __future__ import annotations

import errno
import hashlib
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterable

from safeload.errors import InputError, Malformed
from safeload.source import JudgedRanges, Range

_RUN = struct.Struct("<QQ")

PassedOver = dict[Range, bytes]
"""Each range that was judged and did not stay in memory -> its sha256."""


def outside(offset: int, length: int, size: int) -> Malformed:
    """The Malformed for a range that does not lie inside an input of `size` bytes."""
    return Malformed(
        f"needs {length} bytes at offset {offset}, but the input is {size} bytes long: it is truncated or damaged",
        offset=offset if 0 <= offset <= size else None,
    )


def remember(passed: PassedOver, offset: int, data: bytes, name: str) -> None:
    """Add the sha256 of `data`, which stands at `offset`, to `passed`. Raises InputError when it was another before."""
    found = hashlib.sha256(data).digest()
    # SECURITY: a structure is followed back and forth, and a file changed in between must not be two files in one.
    if passed.setdefault((offset, len(data)), found) != found:
        raise InputError(errno.EIO, f"was changed while it was read (offset {offset})", name)


def merged(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Ascending ranges, with those that touch or overlap made into one."""
    found: list[Range] = []
    for offset, length in ranges:
        start, size = found[-1] if found else (0, -1)
        if offset <= start + size:
            found[-1] = start, max(size, offset + length - start)
        else:
            found.append((offset, length))
    return tuple(found)


def digest(pieces: Iterable[tuple[int, bytes | memoryview]], passed: PassedOver) -> str:
    """The sha256 of everything that was judged: of `pieces` (ascending, disjoint), and of what was passed over.

    Adjacent pieces make one run. Each run counts as its offset and its length, both 8 bytes little-endian, then its
    bytes. Where ranges were passed over, the digest is that of the first one in hex, and of each range's offset, length
    and sha256.
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
    if passed:
        total = hashlib.sha256(total.hexdigest().encode("ascii"))
        for (offset, length), found in sorted(passed.items()):
            total.update(_RUN.pack(offset, length) + found)
    return total.hexdigest()


class CachedSource:
    """A Source over `fetch`, which a subclass provides. Only one thread may use it at a time."""

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        # Disjoint pieces in ascending order; two lists because bisect is fastest over plain integers.
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self._passed: PassedOver = {}

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
        remember(self._passed, offset, data, self.name)
        return data

    def _patchwork(self, offset: int, end: int, first: int) -> bytes:
        """The bytes of [offset, end): the pieces from index `first` on, and the gaps between them, read now."""
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
        return digest(zip(self._starts, self._pieces, strict=True), self._passed)

    def judged_ranges(self) -> JudgedRanges:
        """See `Source.judged_ranges`."""
        read = zip(self._starts, map(len, self._pieces), strict=True)
        return JudgedRanges(merged(read), tuple(sorted(self._passed)))

    def bytes_in_memory(self) -> int:
        """How many of the bytes that were read are in memory."""
        return sum(map(len, self._pieces))

    def still_judged(self) -> bool:
        """Whether every range that was judged still has the same bytes. Raises InputError if it cannot be read."""
        for start, piece in zip(self._starts, self._pieces, strict=True):
            if self.fetch(start, len(piece)) != piece:
                return False
        for (offset, length), found in self._passed.items():
            if hashlib.sha256(self.fetch(offset, length)).digest() != found:
                return False
        return True

    def close(self) -> None:
        """See `Source.close`."""


class FetchedSource(CachedSource):
    """A CachedSource over a function, for callers outside of this folder.

    fetch   see `CachedSource.fetch`
    """

    def __init__(self, name: str, size: int, fetch: Callable[[int, int], bytes]) -> None:
        super().__init__(name, size)
        self._fetch = fetch

    def fetch(self, offset: int, length: int) -> bytes:
        """See `CachedSource.fetch`."""
        return self._fetch(offset, length)
