"""SQLite 3 databases (sqlite.org, Database File Format): as many pages as the header says, each of a kind there is."""

from __future__ import annotations

from struct import Struct

from safeload.containers.whole.interface import DATA, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

MAGIC = b"SQLite format 3\0"
_HEADER = Struct(">16sHBBBBBBIIIIIIIIIIII20sII")
_TREES = (2, 5, 10, 13)


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    fields = view.unpack(_HEADER, 0)
    page = 65536 if fields[1] == 1 else fields[1]
    need(512 <= page <= 65536 and page & page - 1 == 0, 16)
    need(fields[2] in (1, 2) and fields[3] in (1, 2) and fields[5:8] == (64, 32, 32), 18)
    changes, pages, schema, encoding, zeros, valid = (
        fields[8],
        fields[9],
        fields[13],
        fields[16],
        fields[20],
        fields[21],
    )
    need(pages > 0 and pages * page == view.size and changes == valid, 24)
    # A database to which nothing was written has no format and no encoding yet: 0.
    need(schema in (0, 1, 2, 3, 4) and encoding in (0, 1, 2, 3) and zeros == bytes(20), 44)
    need(view.get(100, 1)[0] in _TREES, 100)
    need(fields[10] <= pages and fields[11] < pages, 32)
    return Whole(DATA, "SQLite database")


FORMS = (WholeFormat(((0, MAGIC),), holds),)
