"""Verdicts and findings: what a scan says, as data.

One function, `worst`, computes a verdict, and nothing ever lowers it. Knows no other file of safeload.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Verdict(StrEnum):
    """What is known of a file. Compare by name; it has no order of its own and no truth value worth testing."""

    CLEAN = "clean"
    UNVETTED = "unvetted"
    UNJUDGED = "unjudged"
    DANGEROUS = "dangerous"
    SKIPPED = "skipped"


class Severity(StrEnum):
    """How much a finding matters to a reader; never used to compute a verdict."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"


class Finding(NamedTuple):
    """One thing a scan has to say about one place of one file.

    rule      stable id; rules/README.md has a heading for each
    verdict   the best verdict that a file with this finding can have (CLEAN for a remark)
    severity  for the reader
    message   one sentence: what is there and what it would do
    remedy    one sentence: what to do next
    member    the member of the container, "" when the file has none
    offset    byte offset in the member (in the file when there is no member), None when no place applies
    stream    index of the pickle in the file, None outside pickles
    name      "module.name" of the global concerned, or None
    evidence  the call with its arguments, or the bytes concerned: untrusted text, bounded in length
    accepted  who lets it pass and why ("record-safe: ...", "baseline: ..."), "" for nobody: for exit codes, and no
              verdict is computed from it
    """

    rule: str
    verdict: Verdict
    severity: Severity
    message: str
    remedy: str = ""
    member: str = ""
    offset: int | None = None
    stream: int | None = None
    name: str | None = None
    evidence: str = ""
    accepted: str = ""


_RANK = {
    Verdict.SKIPPED: -1,
    Verdict.CLEAN: 0,
    Verdict.UNVETTED: 1,
    Verdict.UNJUDGED: 2,
    Verdict.DANGEROUS: 3,
}


def worst(verdicts: Iterable[Verdict], *, empty: Verdict) -> Verdict:
    """The worst of `verdicts` (dangerous, unjudged, unvetted, clean, skipped), or `empty` when there are none."""
    return max(verdicts, key=_RANK.__getitem__, default=empty)
