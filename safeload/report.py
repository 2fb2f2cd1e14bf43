"""Reports: the answer of a scan as data, and its wire format.

The wire format is its own list of fields with a version, never a dump of a class: readers must accept added fields, and
adding one never changes the schema's number. Paths, members and evidence are untrusted text; each sink escapes them.
Knows findings only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from safeload.findings import Finding, Verdict, worst

SCHEMA = "safeload.scan/1"
VERSION = "0.1.0"


class Report(NamedTuple):
    """What is known of one file.

    path           as the caller named it; "-" for stdin, "<bytes>", "<file object>"
    container      name of the physical format(s), "+" between those of a polyglot; "" when unknown
    size           bytes of the input, None when it could not be read
    judged_sha256  hex digest over the byte ranges that were read, None when none were
    streams        pickles interpreted;  opcodes: over all of them
    findings       most severe verdict first, bounded; `omitted` counts those left out
    reason         why a file was skipped, "" otherwise
    policy_digest  which rules judged it
    """

    path: str
    verdict: Verdict
    container: str = ""
    size: int | None = None
    judged_sha256: str | None = None
    streams: int = 0
    opcodes: int = 0
    findings: tuple[Finding, ...] = ()
    omitted: int = 0
    reason: str = ""
    policy_digest: str = ""

    def to_json(self) -> str:
        """This report as the JSON document of `safeload scan --format json`, for one file."""
        return dumps((self,), self.policy_digest)


class Excluded(NamedTuple):
    """What the caller's patterns left out of a scan: files, and folders that were not entered."""

    files: int = 0
    folders: int = 0


_NOTHING_EXCLUDED = Excluded()


def verdict_of(reports: Iterable[Report], *, allow_empty: bool = False) -> Verdict:
    """The whole verdict: the worst that is not SKIPPED; nothing judged is UNJUDGED unless an empty scan is fine."""
    return worst(
        (r.verdict for r in reports if r.verdict != Verdict.SKIPPED),
        empty=Verdict.CLEAN if allow_empty else Verdict.UNJUDGED,
    )


def left(report: Report, *, strict: bool = False) -> Verdict:
    """What the exit code counts a file as: its verdict, less the findings that somebody accepted.

    Where findings were left out, or the verdict does not come from findings, it is the verdict. `strict`: nothing is
    accepted, and a remark counts as unvetted.
    """
    if strict:
        return Verdict.UNVETTED if report.verdict is Verdict.CLEAN and remarks(report) else report.verdict
    if report.omitted or not any(f.accepted for f in report.findings):
        return report.verdict
    counted = (f.verdict for f in report.findings if not f.accepted and f.verdict is not Verdict.SKIPPED)
    return worst(counted, empty=Verdict.CLEAN)


def passes(report: Report) -> bool:
    """Whether a file is not clean, and all that keeps it from being so was accepted."""
    return report.verdict is not Verdict.CLEAN and left(report) is Verdict.CLEAN


def remarks(report: Report) -> tuple[Finding, ...]:
    """The remarks of a file: findings that leave it clean, and that a strict policy does not let pass."""
    return tuple(finding for finding in report.findings if finding.verdict is Verdict.CLEAN)


def finding_fields(finding: Finding) -> dict[str, object]:
    """One finding on the wire."""
    return {
        "rule": finding.rule,
        "verdict": finding.verdict.value,
        "global": finding.name,
        "stream": finding.stream,
        "severity": finding.severity.value,
        "message": finding.message,
        "member": finding.member,
        "offset": finding.offset,
        "evidence": finding.evidence,
        "remedy": finding.remedy,
        "accepted": finding.accepted,
    }


def report_fields(report: Report) -> dict[str, object]:
    """One file on the wire."""
    return {
        "path": report.path,
        "verdict": report.verdict.value,
        "container": report.container,
        "size": report.size,
        "judged_sha256": report.judged_sha256,
        "streams": report.streams,
        "opcodes": report.opcodes,
        "reason": report.reason,
        "omitted": report.omitted,
        "accepted": passes(report),
        "findings": [finding_fields(f) for f in report.findings],
    }


def summary_fields(
    reports: tuple[Report, ...], *, allow_empty: bool = False, excluded: Excluded = _NOTHING_EXCLUDED
) -> dict[str, object]:
    """The counts on the wire."""
    counts = dict.fromkeys(Verdict, 0)
    for report in reports:
        counts[report.verdict] += 1
    return {
        "verdict": verdict_of(reports, allow_empty=allow_empty).value,
        "files": len(reports),
        **{verdict.value: counts[verdict] for verdict in Verdict},
        "excluded": sum(excluded),
        "excluded_folders": excluded.folders,
    }


def dumps(
    reports: tuple[Report, ...],
    policy_digest: str,
    *,
    allow_empty: bool = False,
    excluded: Excluded = _NOTHING_EXCLUDED,
) -> str:
    """The whole document of `--format json`. Pure ASCII: names that are not UTF-8 survive as lone surrogates."""
    import json

    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "policy_digest": policy_digest,
        "summary": summary_fields(reports, allow_empty=allow_empty, excluded=excluded),
        "files": [report_fields(r) for r in reports],
    }
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"
