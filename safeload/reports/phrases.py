"""Phrases that several reports for people share: where a finding is, what a scan comes to, the next step.

All of them are escaped by the rules of `escape.py`: one line of plain characters. What else a format has to escape
(markup, workflow commands) is the format's own. Computes no verdict.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report, left, passes
from safeload.reports import escape
from safeload.reports.interface import Outcome

# How many names are given of what is only counted.
NAMED = 5
# Longer evidence is cut for the eye; the JSON report has all that was kept.
EVIDENCE = 240

WORST_FIRST = (Verdict.DANGEROUS, Verdict.UNJUDGED, Verdict.UNVETTED, Verdict.CLEAN, Verdict.SKIPPED)

_NEXT = {
    Verdict.DANGEROUS: "Do not load the dangerous files.",
    Verdict.UNJUDGED: "What could not be judged may hold anything: do not load it as it is.",
    Verdict.UNVETTED: "Load the unvetted files only if you trust the code they name.",
    Verdict.CLEAN: "All that they would do is in the vetted table.",
}


def where(finding: Finding, report: Report) -> str:
    """Member and byte offset; "" when no place applies."""
    parts = [escape.name(finding.member)] if finding.member else []
    if finding.offset is not None:
        parts.append(f"at {finding.offset:#x} (byte {finding.offset})")
    if parts and finding.stream is not None and report.streams > 1:
        parts.append(f"in pickle {finding.stream + 1} of {report.streams}")
    return " ".join(parts)


def remedy(finding: Finding, report: Report) -> str:
    """What to do about a finding; "" where the file is dangerous for another one: how to load it is no advice then."""
    loads = finding.verdict == Verdict.UNVETTED and report.verdict == Verdict.DANGEROUS
    return "" if loads else finding.remedy


def names(findings: Iterable[Finding]) -> str:
    """The globals that findings are about, the first few."""
    found = list(dict.fromkeys(finding.name for finding in findings if finding.name))
    if not found:
        return ""
    more = ", ..." if len(found) > NAMED else ""
    return f" ({', '.join(escape.name(name) for name in found[:NAMED])}{more})"


def cut(text: str, longest: int = EVIDENCE) -> str:
    """`text`, or its beginning and how much is left out."""
    return text if len(text) <= longest else f"{text[:longest]}... ({len(text) - longest} characters more)"


def counts(outcome: Outcome) -> str:
    """How many files there are, in how long, how many have each verdict, and how many were left out."""
    fields = outcome.summary
    each = ", ".join(f"{fields[verdict]} {verdict}" for verdict in WORST_FIRST if fields[verdict])
    files = len(outcome.reports)
    said = f"{files} file{'' if files == 1 else 's'} in {outcome.seconds:.2f} s{f' ({each})' if each else ''}"
    return said + left_out(outcome)


def left_out(outcome: Outcome) -> str:
    """What the caller's patterns left out, as the end of a phrase; "" for nothing."""
    kinds = (("file", outcome.excluded.files), ("folder", outcome.excluded.folders))
    said = " and ".join(f"{count} {kind}{'' if count == 1 else 's'}" for kind, count in kinds if count)
    return f", {said} excluded" if said else ""


def next_step(outcome: Outcome) -> str:
    """What to do now."""
    if all(report.verdict == Verdict.SKIPPED for report in outcome.reports):
        return _nothing(outcome)
    accepted = sum(map(passes, outcome.reports))
    if accepted and all(left(report) in {Verdict.CLEAN, Verdict.SKIPPED} for report in outcome.reports):
        return "All that is not clean was accepted, and does not count for the exit code: the verdicts stay."
    fields = outcome.summary
    if fields[Verdict.DANGEROUS] and fields[Verdict.UNJUDGED]:
        return "Do not load the dangerous files, nor those that could not be judged."
    unjudged = [report for report in outcome.reports if report.verdict == Verdict.UNJUDGED]
    if unjudged and all(f.rule == "not-found" for report in unjudged for f in main_findings(report)):
        return "Check the paths: what is not there was not judged."
    if outcome.verdict == Verdict.CLEAN and fields[Verdict.CLEAN] == 1:
        return "All that it would do is in the vetted table."
    return _NEXT[outcome.verdict]


def _nothing(outcome: Outcome) -> str:
    """The next step when no file was judged."""
    if sum(outcome.excluded) and not outcome.reports:
        said = "Nothing was judged: --exclude and --include left nothing over"
        return f"{said}, and that is allowed here." if outcome.allow_empty else f"{said}; --allow-empty accepts it."
    if outcome.allow_empty:
        if outcome.reports:
            return "Nothing was judged: every file was skipped, and that is allowed here. --verbose says why."
        return "There was nothing to judge, and that is allowed here."
    if outcome.reports:
        return "Nothing was judged: every file was skipped. --verbose says why; --allow-empty accepts it."
    return "There was nothing to scan. Name files or folders with checkpoints; --allow-empty accepts it."


def main_findings(report: Report) -> tuple[Finding, ...]:
    """The findings that make a file what it is: without remarks, and what could not be kept stands for itself.

    The list of a file that is not clean is never empty, so no format can lose the file with its findings.
    """
    found = tuple(f for f in report.findings if f.verdict not in {Verdict.CLEAN, Verdict.SKIPPED})
    if report.verdict in {Verdict.CLEAN, Verdict.SKIPPED} or any(f.verdict == report.verdict for f in found):
        return found
    said = f"the file is {report.verdict}, and the findings that say why were not kept"
    severity = Severity.CRITICAL if report.verdict == Verdict.DANGEROUS else Severity.MEDIUM
    kept = Finding(report.verdict.value, report.verdict, severity, said, "--limit findings=NUMBER keeps more of them")
    return (kept, *found)


def pressing(report: Report) -> tuple[Finding, ...]:
    """The main findings that nobody accepted: empty for a file that passes. Where findings are missing, all of them."""
    found = main_findings(report)
    if report.omitted:
        return found
    return tuple(finding for finding in found if not finding.accepted)


def place(path: str, folder: str) -> str:
    """A path as services that know the project's files want it: with slashes, from `folder` when it lies inside.

    Unescaped. Only a leading "./" and `folder` itself are taken away: links may give ".." another meaning.
    """
    shown = path.replace(os.sep, "/")
    inside = folder.replace(os.sep, "/").rstrip("/") + "/"
    if folder and shown.startswith(inside) and len(shown) > len(inside):
        shown = shown[len(inside) :]
    while shown.startswith("./"):
        shown = shown[2:].lstrip("/")
    return shown or path
