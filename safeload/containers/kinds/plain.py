"""A zip of no known kind is a packed folder: the scanner judges and reports each member like a file in a folder."""

from __future__ import annotations

from safeload.containers.kinds.interface import ArchiveKind
from safeload.containers.zip.flavour import OTHER

KIND = ArchiveKind(OTHER, rows=(), unpacked=True)
