"""A tar of anything: each member is judged by its content, like a file of its own.

Extracts nothing. The tar that torch wrote before 0.1.12 is `torch_tar.py`.
"""

from __future__ import annotations

from safeload.containers.interface import Layout, Nested, Reading
from safeload.containers.sniff import is_tar_header
from safeload.containers.tar_directory import BLOCK, Entry, entries
from safeload.containers.torch_tar import is_torch_tar
from safeload.document import Extent
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source


class TarArchive:
    """See the module."""

    name = "tar"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return is_tar_header(source.peek(0, BLOCK)) and not is_torch_tar(source)

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        seen: set[str] = set()
        for entry in entries(source.read, source.size, limits.members):
            if entry.name in seen:
                yield _finding(
                    "duplicate-member", "two members have this name; programs differ in which they take", entry
                )
            seen.add(entry.name)
            if entry.name.startswith(("/", "\\")) or ".." in entry.name.replace("\\", "/").split("/"):
                yield _finding("unsafe-member-name", "extracting this member would write outside the folder", entry)
            if entry.kind == "file":
                yield Nested(entry.name, Extent(entry.offset, entry.size, entry.size))
            elif entry.kind != "directory":
                yield _finding("tar-member", f"a {entry.kind} in an archive: it points outside of what was read", entry)
        return Layout()


def _finding(rule: str, message: str, entry: Entry) -> Finding:
    return Finding(
        rule, Verdict.UNJUDGED, Severity.MEDIUM, message, "make the archive again from plain files",
        member=entry.name, offset=entry.header,
    )  # fmt: skip
