"""What may be converted: the one place of this folder that looks at a verdict. A verdict is never lowered here."""

from __future__ import annotations

from safeload.converting.interface import Dropped, Options
from safeload.errors import UnsafeCheckpoint
from safeload.findings import Finding, Verdict
from safeload.report import Report

_SHOWN = 8


def admit(report: Report, options: Options) -> None:
    """Return when `options` allow the file to be converted, raise UnsafeCheckpoint otherwise."""
    # SECURITY: dangerous outranks unjudged in the verdict of a file that is both, and what was not understood may hide
    # what would be listed: each finding is asked, and findings that were left out count as the worst.
    unjudged = report.verdict is Verdict.UNJUDGED or any(f.verdict is Verdict.UNJUDGED for f in report.findings)
    if report.verdict is Verdict.CLEAN:
        return
    if unjudged or report.verdict is Verdict.SKIPPED:
        raise _refused(report, "it could not be understood completely")
    if report.omitted:
        raise _refused(report, f"{report.omitted} findings were left out of the list, so it would not be complete")
    if report.verdict is Verdict.UNVETTED and (options.allow == "unvetted" or options.disarm or options.records):
        return
    if report.verdict is Verdict.DANGEROUS and options.disarm:
        return
    what = "it would do something dangerous" if report.verdict is Verdict.DANGEROUS else "it names other classes"
    raise _refused(report, what)


def calls(report: Report) -> tuple[Dropped, ...]:
    """Every finding of an admitted file that is not clean: what it would have done, and where."""
    return tuple(
        Dropped("call", f.name or f.rule, "", f.member, f.offset, f.evidence or f.message)
        for f in report.findings
        if f.verdict is not Verdict.CLEAN
    )


def _refused(report: Report, what: str) -> UnsafeCheckpoint:
    lines = [f"{_text(report.path)} was not converted: {what} (verdict: {report.verdict.value})"]
    listed = [f for f in report.findings if f.verdict is not Verdict.CLEAN]
    lines += [f"  {_one(finding)}" for finding in listed[:_SHOWN]]
    more = len(listed) - _SHOWN + report.omitted
    if more > 0:
        lines.append(f"  ... and {more} more")
    lines.append("Ways forward:")
    lines += [f"  - {way}" for way in _ways(report)]
    return UnsafeCheckpoint("\n".join(lines), report=report)


def _ways(report: Report) -> list[str]:
    if report.omitted and report.verdict is not Verdict.UNJUDGED:
        return [f"list them all: --limit findings={len(report.findings) + report.omitted}"]
    if any(f.verdict is Verdict.UNJUDGED for f in report.findings) or report.verdict is Verdict.UNJUDGED:
        return ["download the file again, or ask its author to save it with current tools"]
    if report.verdict is Verdict.UNVETTED:
        return [
            "--allow unvetted converts it without the objects of those classes, and lists each",
            "--records converts the state_dict of a pickled module",
        ]
    return ["--disarm takes the tensors out of it: nothing runs, and every call that is dropped is listed"]


def _one(finding: Finding) -> str:
    at = "" if finding.offset is None else f" at byte {finding.offset:#x}"
    evidence = f": {_text(finding.evidence)}" if finding.evidence and finding.verdict is Verdict.DANGEROUS else ""
    return f"{_text(finding.message)} ({_text(finding.member or 'the file')}{at}){evidence}"


def _text(text: str) -> str:
    """Text of the file for a terminal: printable ASCII, the rest escaped."""
    return ascii(text)[1:-1]
