"""Findings that several container readers give: one place for their rule ids and their wording."""

from __future__ import annotations

from safeload.findings import Finding, Severity, Verdict


def trailing_bytes(offset: int, length: int, after: str, member: str = "") -> Finding:
    """The finding for `length` bytes from `offset` on that belong to nothing: another reader may see a file there."""
    return Finding(
        "trailing-bytes", Verdict.UNJUDGED, Severity.MEDIUM,
        f"{length} bytes after {after} belong to nothing that was read; another program may see another file in them",
        "save the checkpoint again, or cut the file there if you know what appended them",
        member=member, offset=offset,
    )  # fmt: skip


def nothing_to_scan(members: int) -> Finding:
    """The finding for an archive without a judged member: it is empty, or all `members` are proven to be no model."""
    return Finding(
        "zip-nothing-to-scan", Verdict.UNJUDGED, Severity.INFO,
        f"none of the {members} members is a model, a pickle or an archive: nothing was judged",
        "check that this is the file you meant",
    )  # fmt: skip
