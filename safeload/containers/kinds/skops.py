"""skops's archive: a schema in JSON that names every class and function, and arrays beside it.

Layout and semantics: skops/io/_persist.py and its nodes. `load` imports what the schema names and the caller trusts.
"""

from __future__ import annotations

from safeload.containers.kinds import readers
from safeload.containers.kinds.interface import AsContent, AsFile, Kind, Row
from safeload.containers.zip.flavour import SKOPS

KIND = Kind(
    SKOPS,
    rows=(Row(r"schema\.json", AsContent(readers.skops)), Row(r"[^/]+\.(?:npy|npz|bin)|\d+", AsFile())),
)
