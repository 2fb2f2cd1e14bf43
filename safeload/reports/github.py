"""`--format github`: annotations of a GitHub workflow, one for each file that is not clean, then the summary as text.

    ::error file=models/a.pt,title=dangerous%3A runs-programs::calls posix.system: starts a program%0A...

GitHub shows ten annotations of a kind for one step, so a file has one, with its worst findings in it, and the worst
files come first. Error: dangerous or unjudged; warning: unvetted; notice: what was accepted, with --verbose.

The runner takes a line that starts with `::` for a command, up to the next `::`; properties end at a comma. It turns
back %25, %0D and %0A in the text, and %3A and %2C in properties as well. Text is escaped by `escape.py` first, so
that all of it is printable, and then for the runner.
"""

from __future__ import annotations

from safeload.findings import Finding, Verdict
from safeload.report import Report
from safeload.reports import escape, phrases
from safeload.reports.interface import Outcome, Style

# Findings of one file that are told in its annotation, and characters in one line of them: together under 4 KiB, so
# that no long name pushes the rest out of what GitHub keeps of a message.
SHOWN = 4
LONGEST = 200

_KINDS = {Verdict.DANGEROUS: "error", Verdict.UNJUDGED: "error", Verdict.UNVETTED: "warning"}


class Github:
    """Workflow commands, for the log of a step."""

    name = "github"

    def render(self, outcome: Outcome, style: Style) -> str:
        """One line for each annotation, and the summary."""
        lines = []
        for verdict in phrases.WORST_FIRST:
            for report in outcome.reports:
                if report.verdict == verdict:
                    lines += _annotation(report, outcome.folder, style)
        summary = f"{outcome.verdict}: {phrases.counts(outcome)}. {phrases.next_step(outcome)}"
        if outcome.unscanned:
            lines.append(f"::error title={_property('safeload judged nothing')}::{_data(phrases.next_step(outcome))}")
        if not style.quiet or outcome.verdict != Verdict.CLEAN:
            lines.append(summary)
        return "".join(f"{line}\n" for line in lines)


def _annotation(report: Report, folder: str, style: Style) -> list[str]:
    """The command for one file; none for a clean, a skipped or a wholly accepted one."""
    found = phrases.pressing(report)
    kind = _KINDS.get(report.verdict, "notice")
    if not found:
        found = tuple(finding for finding in report.findings if finding.accepted)
        if not (found and style.verbose):
            return []
        kind = "notice"
    file = escape.bare(phrases.place(report.path, folder))
    title = f"{report.verdict}: {escape.exact(found[0].rule)}"
    text = [part for finding in found[:SHOWN] for part in _told(finding, report)]
    rest = max(len(found) - SHOWN, 0) + report.omitted
    if rest:
        text.append(f"and {rest} more; safeload scan --verbose {escape.argument(report.path)}")
    return [f"::{kind} file={_property(file)},title={_property(title)}::{_data(chr(10).join(text))}"]


def _told(finding: Finding, report: Report) -> list[str]:
    """The lines of one finding."""
    lines = [escape.exact(finding.message)]
    if finding.evidence:
        lines.append(f"what: {escape.exact(finding.evidence)}")
    if where := phrases.where(finding, report):
        lines.append(f"where: {where}")
    if finding.accepted:
        lines.append(f"accepted: {escape.exact(finding.accepted)}")
    elif remedy := phrases.remedy(finding, report):
        lines.append(f"do: {escape.exact(remedy)}")
    return [phrases.cut(line, LONGEST) for line in lines]


def _data(text: str) -> str:
    """The text of a command. The percent sign first: it is in the other replacements."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The value of a property."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
