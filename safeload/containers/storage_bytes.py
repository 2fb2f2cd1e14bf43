"""Reads the bytes of one storage, and inflates compressed ones. Nothing else below the loader reads storages."""

from __future__ import annotations

from collections.abc import Iterator

from safeload.containers.zip.inflating import inflated_pieces
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.source import Source

_WHAT = "a compressed storage"


def storage_bytes(source: Source, extent: Extent, most: int) -> bytes:
    """The `extent.size` bytes of a storage.

    Raises LimitExceeded for a storage of more than `most` bytes, Malformed when the file does not give them all.
    """
    if extent.size > most:
        raise LimitExceeded(f"a storage of {extent.size} bytes has to be read", limit="validated_bytes")
    if extent.stored and extent.length != extent.size:
        raise Malformed(f"a stored storage has two sizes: {extent.length} and {extent.size}", offset=extent.offset)
    if extent.stored:
        return source.read(extent.offset, extent.length)
    return b"".join(inflated_pieces(source.read, extent.offset, extent.length, extent.size, _WHAT))


def inflated(source: Source, extent: Extent) -> Iterator[bytes]:
    """The `extent.size` bytes of a compressed storage in small pieces. They do not count as judged.

    Raises Malformed when the stream gives more, less, or does not inflate.
    """

    def take(offset: int, length: int) -> bytes:
        data = source.peek(offset, length)
        if len(data) != length:
            raise Malformed(f"{_WHAT} ends before its end", offset=offset)
        return data

    yield from inflated_pieces(take, extent.offset, extent.length, extent.size, _WHAT)
