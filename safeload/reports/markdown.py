r"""`--format markdown`: a heading, the summary and a table, as for the summary page of a CI job.

    ## safeload: dangerous

    2 files in 0.02 s (1 dangerous, 1 clean). Do not load the dangerous files.

    | verdict | file | finding | where | do |
    |---|---|---|---|---|
    | **dangerous** | `models/a.pt` | `runs-programs` `calls posix.system: ...` `posix.system('id')` | ... |

Everything that comes from a file stands in a code span: no link, picture, mention, tag or address is recognised in one.
A span ends at a backtick and a cell at a vertical bar, also inside a span; both are shown as escapes (\x60, \x7c), like
all that is not plain by `escape.py`. So no text can get out of its span.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.findings import Finding, Verdict
from safeload.report import Report
from safeload.reports import escape, phrases
from safeload.reports.interface import Outcome, Style

# Rows of the table, and characters in one span: GitHub takes 1 MiB for one summary.
ROWS = 400
LONGEST = 160

_HEAD = ("| verdict | file | finding | where | do |", "|---|---|---|---|---|")


class Markdown:
    """GitHub's kind of Markdown, which other places read too."""

    name = "markdown"

    def render(self, outcome: Outcome, style: Style) -> str:
        """The page, by the style."""
        if style.quiet and outcome.verdict == Verdict.CLEAN:
            return ""
        lines = [
            f"## safeload: {outcome.verdict}",
            "",
            f"{phrases.counts(outcome)}. {phrases.next_step(outcome)}",
        ]
        rows = [] if style.quiet else list(_rows(outcome, style))
        if rows:
            lines += ["", *_HEAD, *rows[:ROWS]]
        if len(rows) > ROWS:
            lines += ["", f"{len(rows) - ROWS} more rows are left out; the JSON report has everything."]
        return "".join(f"{line}\n" for line in lines)


def _rows(outcome: Outcome, style: Style) -> Iterator[str]:
    """The rows, worst files first."""
    for verdict in phrases.WORST_FIRST:
        for report in outcome.reports:
            if report.verdict == verdict:
                yield from _file(report, style)


def _file(report: Report, style: Style) -> Iterator[str]:
    """One row for each rule of one file; nothing for what the style leaves out."""
    file = _code(escape.bare(report.path))
    if report.verdict in {Verdict.CLEAN, Verdict.SKIPPED}:
        if style.verbose:
            remarks = [_code(escape.exact(finding.message)) for finding in report.findings]
            yield _row(str(report.verdict), file, " ".join([*remarks, *_code_or_none(report.reason)]), "", "")
        return
    groups: dict[tuple[str, Verdict, bool], list[Finding]] = {}
    for finding in phrases.main_findings(report):
        groups.setdefault((finding.rule, finding.verdict, bool(finding.accepted)), []).append(finding)
    for group in groups.values():
        yield from _group(group, report, file, style)
    if report.omitted:
        yield _row(f"**{report.verdict}**", file, f"and {report.omitted} more, counted and not kept", "", "")


def _group(group: list[Finding], report: Report, file: str, style: Style) -> Iterator[str]:
    """The findings of one rule: the first and a count of the rest, or all of them."""
    for finding in group if style.verbose else group[:1]:
        said = [_code(escape.exact(finding.rule)), _code(escape.exact(finding.message))]
        said += _code_or_none(finding.evidence)
        if len(group) > 1 and not style.verbose:
            said.append(f"and {len(group) - 1} more of this rule")
        step = f"accepted: {_code(escape.exact(finding.accepted))}" if finding.accepted else _step(finding, report)
        where = phrases.where(finding, report)
        yield _row(f"**{finding.verdict}**", file, " ".join(said), _code(where) if where else "", step)


def _step(finding: Finding, report: Report) -> str:
    return " ".join(_code_or_none(phrases.remedy(finding, report)))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _code_or_none(text: str) -> list[str]:
    return [_code(escape.exact(text))] if text else []


def _code(text: str) -> str:
    """A code span with escaped text in it."""
    shown = phrases.cut(text, LONGEST).replace("`", "\\x60").replace("|", "\\x7c")
    return f"`{shown}`" if shown.strip() else "` `"
