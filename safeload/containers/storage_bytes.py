"""The bytes of one storage, inflated when they are compressed. The one reader of storage contents below the loader."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from safeload.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.source import Source

_CHUNK = 1 << 20


def storage_bytes(source: Source, extent: Extent, most: int) -> bytes:
    """Exactly `extent.size` bytes; raises LimitExceeded past `most`, Malformed when the file does not give them."""
    if extent.size > most:
        raise LimitExceeded(f"a storage of {extent.size} bytes has to be read", limit="validated_bytes")
    if extent.stored and extent.length != extent.size:
        raise Malformed(f"a stored storage has two sizes: {extent.length} and {extent.size}", offset=extent.offset)
    raw = source.read(extent.offset, extent.length)
    if extent.stored:
        return raw
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        # SECURITY: bounded by the size that the directory announced, never by what the stream would give.
        data = inflater.decompress(raw, extent.size + 1)
    except zlib.error as error:
        raise Malformed(f"a compressed storage does not inflate: {error}", offset=extent.offset) from error
    if len(data) != extent.size or not inflater.eof or inflater.unused_data:
        raise Malformed(f"a compressed storage does not inflate to {extent.size} bytes", offset=extent.offset)
    return data


def inflated(source: Source, extent: Extent) -> Iterator[bytes]:
    """The bytes of a compressed storage in small pieces, `extent.size` together; nothing is kept as judged.

    Raises Malformed when the stream gives anything else.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    done = 0
    try:
        for offset in range(extent.offset, extent.offset + extent.length, _CHUNK):
            rest = source.peek(offset, min(_CHUNK, extent.offset + extent.length - offset))
            while rest:
                data = inflater.decompress(rest, _CHUNK)
                done += len(data)
                # SECURITY: bounded by the size that the directory announced, never by what the stream would give.
                if done > extent.size:
                    raise Malformed("a compressed storage inflates to more than its size", offset=extent.offset)
                yield data
                rest = inflater.unconsumed_tail
                if not data and not rest:
                    break
        while done < extent.size and (data := inflater.decompress(b"", _CHUNK)):
            done += len(data)
            yield data[: len(data) - max(done - extent.size, 0)]
    except zlib.error as error:
        raise Malformed(f"a compressed storage does not inflate: {error}", offset=extent.offset) from error
    if done != extent.size or not inflater.eof:
        raise Malformed(f"a compressed storage does not inflate to {extent.size} bytes", offset=extent.offset)
