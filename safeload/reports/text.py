"""`--format text`: for people. One block for each file that is not clean, then one line that says what it comes to.

    DANGEROUS  models/a.pt  torch zip
      runs-programs: calls a function that runs programs
        what   posix.system('echo pwned')
        where  archive/data.pkl at 0x1f (byte 31)
        do     Do not load this file.

    dangerous: 2 files in 0.02 s (1 dangerous, 1 clean). Do not load the dangerous files.

Everything that comes from a file goes through `escape.py`. Computes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.findings import Finding, Verdict
from safeload.report import Report
from safeload.reports import escape, phrases
from safeload.reports.interface import Outcome, Style

# Findings of one rule shown in full before the rest is counted.
SHOWN = 3

_COLORS = {
    Verdict.DANGEROUS: "1;31",
    Verdict.UNJUDGED: "1;35",
    Verdict.UNVETTED: "1;33",
    Verdict.CLEAN: "32",
    Verdict.SKIPPED: "2",
}


class Text:
    """The report on a terminal."""

    name = "text"

    def render(self, outcome: Outcome, style: Style) -> str:
        """Blocks and summary, by the style."""
        lines: list[str] = []
        if not style.quiet:
            for report in outcome.reports:
                block = list(_file(report, style))
                if len(block) > 1 and lines and lines[-1]:
                    lines.append("")
                lines += block
        if not style.quiet or outcome.verdict != Verdict.CLEAN:
            if lines and lines[-1]:
                lines.append("")
            lines.append(_summary(outcome, style))
        return "".join(f"{line}\n" for line in lines)


def _paint(text: str, code: str, style: Style) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if style.color else text


def _file(report: Report, style: Style) -> Iterator[str]:
    """The block of one file; nothing for what the style leaves out."""
    quiet = report.verdict in {Verdict.CLEAN, Verdict.SKIPPED}
    if quiet and not style.verbose:
        return
    word = report.verdict.value if quiet else report.verdict.value.upper()
    words = [_paint(f"{word:9}", _COLORS[report.verdict], style), escape.path(report.path)]
    if report.container:
        words.append(escape.exact(report.container))
    if report.reason:
        words.append(f"({escape.exact(report.reason)})")
    yield "  ".join(words)
    groups: dict[tuple[str, Verdict], list[Finding]] = {}
    for finding in report.findings:
        if finding.verdict is Verdict.SKIPPED and not style.verbose:
            continue
        groups.setdefault((finding.rule, finding.verdict), []).append(finding)
    for group in groups.values():
        yield from _group(group, report, style)
    if not style.verbose and any(len(_shown(group, style)) < len(group) for group in groups.values()):
        yield f"  every finding: safeload scan --verbose {escape.argument(report.path)}"
    if report.omitted:
        yield f"  {report.omitted} more findings were counted, not kept; --limit findings=NUMBER keeps more"
    if not quiet or report.findings:
        yield ""


def _shown(findings: list[Finding], style: Style) -> list[Finding]:
    """Those of one rule that are shown in full: a count of one is not worth its line."""
    return findings if style.verbose or len(findings) <= SHOWN + 1 else findings[:SHOWN]


def _group(findings: list[Finding], report: Report, style: Style) -> Iterator[str]:
    """The findings of one rule: some in full, a count of the rest, and a remedy that they share once."""
    shown = _shown(findings, style)
    for at, finding in enumerate(shown):
        follower = shown[at + 1] if at + 1 < len(shown) else None
        yield f"  {_paint(escape.exact(finding.rule), '1', style)}: {escape.exact(finding.message)}"
        if finding.evidence:
            yield f"    {_paint('what ', '2', style)}  {phrases.cut(escape.exact(finding.evidence))}"
        where = phrases.where(finding, report)
        if where:
            yield f"    {_paint('where', '2', style)}  {where}"
        if finding.accepted:
            yield f"    {_paint('pass ', '2', style)}  {escape.exact(finding.accepted)}"
        remedy = phrases.remedy(finding, report)
        if remedy and (follower is None or follower.remedy != finding.remedy):
            yield f"    {_paint('do   ', '2', style)}  {escape.exact(remedy)}"
    rest = findings[len(shown) :]
    if rest:
        yield f"  and {len(rest)} more of {escape.exact(rest[0].rule)}{phrases.names(rest)}"


def _summary(outcome: Outcome, style: Style) -> str:
    """The last line: verdict, counts, time, next step."""
    verdict = _paint(outcome.verdict.value, _COLORS[outcome.verdict], style)
    return f"{verdict}: {phrases.counts(outcome)}. {phrases.next_step(outcome)}"
