"""What a team lets pass, finding by finding: marked in the report, and never a word of the verdict changed.

An accepted finding keeps its rule, its verdict and its place; `Finding.accepted` says who accepted it, for people, the
wire and the exit code. Knows neither files nor command lines.
"""

from __future__ import annotations

from safeload.findings import Finding, Verdict
from safeload.policy.decide import Policy
from safeload.report import Report

NAMED = frozenset({"known-class", "unknown-global"})
"""Rules whose findings say no more than that a class is outside the table: all that record-safe can be about."""


def with_record_safe(report: Report, policy: Policy) -> Report:
    """`report` with the findings about record-safe names marked as accepted.

    SECURITY: only in an unvetted file. What else a file does may be done to the very objects that a record stands for.
    """
    if report.verdict is not Verdict.UNVETTED or not policy.rules.record_safe:
        return report
    return report._replace(findings=tuple(_marked(finding, policy) for finding in report.findings))


def _marked(finding: Finding, policy: Policy) -> Finding:
    if finding.verdict is not Verdict.UNVETTED or finding.rule not in NAMED or finding.name is None:
        return finding
    rule = policy.record_safe(finding.name)
    return finding if rule is None else finding._replace(accepted=f"record-safe: {rule.reason}")
