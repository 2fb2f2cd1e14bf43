"""skops's archive: a schema in JSON that names every class and function, and arrays beside it.

Layout and semantics: skops/io/_persist.py and its nodes. `load` imports what the schema names and the caller trusts.
"""

from __future__ import annotations

from safeload.containers.kinds.interface import ArchiveKind, AsContent, AsFile, MemberRow
from safeload.containers.kinds.readers import Description
from safeload.containers.zip.flavour import SKOPS

KIND = ArchiveKind(
    SKOPS,
    rows=(
        MemberRow(r"schema\.json", AsContent(Description.SKOPS_SCHEMA)),
        MemberRow(r"[^/]+\.(?:npy|npz|bin)|\d+", AsFile()),
    ),
)
