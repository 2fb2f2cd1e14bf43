"""Findings that several container readers give. Rule ids and wording live here so that they cannot drift apart."""

from __future__ import annotations

from safeload.findings import Finding, Severity, Verdict


def trailing_bytes(offset: int, length: int, after: str, member: str = "") -> Finding:
    """`length` bytes from `offset` on that belong to nothing: another reader may see another file in them."""
    return Finding(
        "trailing-bytes", Verdict.UNJUDGED, Severity.MEDIUM,
        f"{length} bytes after {after} belong to nothing that was read; another program may see another file in them",
        "save the checkpoint again, or cut the file there if you know what appended them",
        member=member, offset=offset,
    )  # fmt: skip


def nothing_to_scan(members: int) -> Finding:
    """An archive of `members` of which none was judged: there is none, or all were proven to be no model."""
    return Finding(
        "zip-nothing-to-scan", Verdict.UNJUDGED, Severity.INFO,
        f"none of the {members} members is a model, a pickle or an archive: nothing was judged",
        "check that this is the file you meant",
    )  # fmt: skip
