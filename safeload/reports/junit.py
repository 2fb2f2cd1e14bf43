"""`--format junit`: one test case for each file, in the XML that build servers read as test results.

A dangerous or unvetted file is a failure, an unjudged one an error, a skipped one skipped; a scan of nothing is an
error of its own, so that no server shows it as passed. What was accepted passes, and is told in the case's output.

Every text is printable after `escape.py` (XML 1.0 has no place for control characters, not even escaped), then escaped
for XML.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape as markup

from safeload.findings import Finding, Verdict
from safeload.report import VERSION, Report
from safeload.reports import escape, phrases
from safeload.reports.interface import Outcome, Style

_KINDS = {Verdict.DANGEROUS: "failure", Verdict.UNVETTED: "failure", Verdict.UNJUDGED: "error"}


class JUnit:
    """The schema of Jenkins, which other servers read too."""

    name = "junit"

    def render(self, outcome: Outcome, style: Style) -> str:
        """The document; the style changes nothing."""
        cases = [line for report in outcome.reports for line in _case(report)]
        if outcome.unscanned:
            said = markup(phrases.next_step(outcome))
            cases += _lines("(nothing was judged)", f'<error type="unjudged" message="{said}"/>')
        tests = len(outcome.reports) + outcome.unscanned
        failures, errors, skipped = (
            sum(line.startswith(f"      <{kind} ") for line in cases) for kind in ("failure", "error", "skipped")
        )
        counted = f'name="safeload" tests="{tests}" failures="{failures}" errors="{errors}"'
        time = f'time="{outcome.seconds:.3f}"'
        return "".join(
            f"{line}\n"
            for line in (
                '<?xml version="1.0" encoding="UTF-8"?>',
                f"<testsuites {counted} {time}>",
                f'  <testsuite {counted} skipped="{skipped}" {time}>',
                "    <properties>",
                f'      <property name="version" value="{VERSION}"/>',
                f'      <property name="policy_digest" value="{markup(escape.exact(outcome.policy_digest))}"/>',
                f'      <property name="verdict" value="{outcome.verdict}"/>',
                f'      <property name="excluded" value="{sum(outcome.excluded)}"/>',
                "    </properties>",
                *cases,
                "  </testsuite>",
                "</testsuites>",
            )
        )


def _case(report: Report) -> list[str]:
    """The test case of one file."""
    name = escape.bare(report.path)
    if report.verdict == Verdict.SKIPPED:
        return _lines(name, f'<skipped message="{markup(escape.exact(report.reason))}"/>')
    found = phrases.pressing(report)
    if not found:
        said = "\n".join(_told(report.findings, report))
        return _lines(name, f"<system-out>{markup(said)}</system-out>" if said else "")
    kind = _KINDS[report.verdict]
    first = f"{report.verdict}: {escape.exact(found[0].message)}"
    text = "\n".join(_told(found, report))
    if report.omitted:
        text += f"\n{report.omitted} more findings were counted, not kept; --limit findings=NUMBER keeps more"
    attributes = f'type="{markup(escape.exact(found[0].rule))}" message="{markup(first)}"'
    return _lines(name, f"<{kind} {attributes}>{markup(text)}</{kind}>")


def _lines(name: str, inside: str) -> list[str]:
    """One test case with one element in it, or with none."""
    head = f'    <testcase classname="safeload" name="{markup(name)}"'
    return [f"{head}>", f"      {inside}", "    </testcase>"] if inside else [f"{head}/>"]


def _told(findings: tuple[Finding, ...], report: Report) -> Iterator[str]:
    """The lines of findings."""
    for finding in findings:
        yield f"{escape.exact(finding.rule)}: {escape.exact(finding.message)}"
        if finding.evidence:
            yield f"  what   {phrases.cut(escape.exact(finding.evidence))}"
        if where := phrases.where(finding, report):
            yield f"  where  {where}"
        if finding.accepted:
            yield f"  pass   {escape.exact(finding.accepted)}"
        elif remedy := phrases.remedy(finding, report):
            yield f"  do     {escape.exact(remedy)}"
