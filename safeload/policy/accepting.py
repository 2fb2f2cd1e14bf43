"""Marks the findings that a team accepts. It never changes a verdict.

An accepted finding keeps its rule, its verdict and its place. `Finding.accepted` says who accepted it, for people, for
the wire formats and for the exit code. Knows neither files nor command lines.
"""

from __future__ import annotations

from safeload.findings import Finding, Verdict
from safeload.policy.decide import Policy
from safeload.report import Report

NAMED = frozenset({"known-class", "unknown-global"})
"""Rules that only say that a class is outside the table. A pack can accept findings of these rules, and no others."""


def with_record_safe(report: Report, policy: Policy) -> Report:
    """`report` with the findings about record-safe names marked as accepted.

    SECURITY: only in an unvetted file. In a dangerous or unjudged one, the rest of the file may act on the objects that
    these records stand for.
    """
    if report.verdict is not Verdict.UNVETTED or not policy.rules.record_safe:
        return report
    return report._replace(findings=tuple(_marked(finding, policy) for finding in report.findings))


def _marked(finding: Finding, policy: Policy) -> Finding:
    if finding.verdict is not Verdict.UNVETTED or finding.rule not in NAMED or finding.name is None:
        return finding
    rule = policy.record_safe(finding.name)
    return finding if rule is None else finding._replace(accepted=f"record-safe: {rule.reason}")
