"""A compressed storage laid open in a nameless temporary file, so that its elements can be read in any order.

Memory stays bounded whatever the storage holds; the disk's use was asked for before. See also
`containers/storage_bytes.py`, which inflates.
"""

from __future__ import annotations

import tempfile

from safeload.containers.storage_bytes import inflated
from safeload.converting.write import system
from safeload.document.document import Extent
from safeload.source import Source


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
        done = 0
        for data in inflated(source, extent):
            system.write_at(self.fd, data, done)
            done += len(data)

    def close(self) -> None:
        """Remove it."""
        self._file.close()
