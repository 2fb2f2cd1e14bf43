"""A zip of no kind known here: a folder, packed. Each member is judged and told as a file in a folder would be."""

from __future__ import annotations

from safeload.containers.kinds.interface import Kind
from safeload.containers.zip.flavour import OTHER

KIND = Kind(OTHER, rows=(), unpacked=True)
