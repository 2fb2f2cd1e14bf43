"""A compressed storage laid open in a nameless temporary file, so that its elements can be read in any order.

Memory stays bounded whatever the storage holds; the disk's use was asked for before. See also
`containers/storage_bytes.py`, which reads small ones whole.
"""

from __future__ import annotations

import tempfile
import zlib

from safeload.converting import system
from safeload.document import Extent
from safeload.errors import Malformed
from safeload.source import Source

_CHUNK = 1 << 20


class Inflated:
    """The content of `extent`, in a file in `folder` that nobody else sees. `fd` reads it from offset 0."""

    def __init__(self, source: Source, extent: Extent, folder: str) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".safeload.")  # noqa: SIM115 - lives as long as this
        self.fd = self._file.fileno()
        try:
            self._fill(source, extent)
        except BaseException:
            self.close()
            raise

    def _fill(self, source: Source, extent: Extent) -> None:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        done = 0
        try:
            for offset in range(extent.offset, extent.offset + extent.length, _CHUNK):
                rest = source.peek(offset, min(_CHUNK, extent.offset + extent.length - offset))
                while rest:
                    data = inflater.decompress(rest, _CHUNK)
                    # SECURITY: bounded by the size that the directory announced, never by what the stream would give.
                    if done + len(data) > extent.size:
                        raise Malformed("a compressed storage inflates to more than its size", offset=extent.offset)
                    system.write_at(self.fd, data, done)
                    done += len(data)
                    rest = inflater.unconsumed_tail
                    if not data and not rest:
                        break
        except zlib.error as error:
            raise Malformed(f"a compressed storage does not inflate: {error}", offset=extent.offset) from error
        while done < extent.size and (data := inflater.decompress(b"", _CHUNK)):
            system.write_at(self.fd, data[: extent.size - done], done)
            done += len(data)
        if done != extent.size or not inflater.eof:
            raise Malformed(f"a compressed storage does not inflate to {extent.size} bytes", offset=extent.offset)

    def close(self) -> None:
        """Remove it."""
        self._file.close()
