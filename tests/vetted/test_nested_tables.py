"""The tables of a nested tensor, where the archive states two sizes for the storage of one."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import safeload
from tests.containers.zip_builder import Archive, Member


def test_a_stored_table_with_two_sizes_is_no_table(root: Path) -> None:
    """The check of a nested tensor read 7 bytes where 16 were announced, and raised a TypeError."""
    data = (root / "samples/files/memory/nested-outside-buffer.pt").read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [Member(info.filename.encode(), old.read(info)) for info in old.infolist()]
    at = next(n for n, member in enumerate(members) if member.name.endswith(b"data/2"))
    members[at] = replace(members[at], data=members[at].data[:7], central={"size": 16, "length": 7})
    report = safeload.scan(Archive(tuple(members)).build())
    assert str(report.verdict) == "dangerous"
    assert "a stored storage has two sizes: 7 and 16" in {finding.message for finding in report.findings}
