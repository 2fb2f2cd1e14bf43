"""The gate in front of every load: it compares the verdict with what the caller accepts, and writes the refusal.

Only this file decides whether a Document may be built. It never lowers a verdict. The caller says with
`unvetted="record"` and `trust` what it accepts of an unvetted file; dangerous and unjudged files are never accepted.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from safeload.errors import UnsafeCheckpoint, UsageError
from safeload.findings import Finding, Verdict
from safeload.loading.trust import Trust
from safeload.policy import Policy
from safeload.policy.accepting import NAMED
from safeload.report import Report, remarks

UNVETTED = ("refuse", "record")
"""What a caller may choose for classes outside the table."""

_LIMITS = frozenset({"limit-reached", "tensor-expansion", "zip-limit"})
_SHOWN = 8


def admit(report: Report, *, unvetted: str, trust: Trust, narrowed: bool, policy: Policy) -> None:
    """Return when the objects of the judged file may be built; raise UnsafeCheckpoint otherwise.

    Args:
        report: The judgement of the file.
        unvetted: "refuse", or "record" to admit classes outside the table as inert records.
        trust: The classes that the caller trusts.
        narrowed: Whether weights_only=True has shortened the table. Only the message says so.
        policy: The policy that judged the file. Its record-safe names are admitted as records; a strict one admits no
            file with a remark.
    """
    if unvetted not in UNVETTED:
        raise UsageError(f"unvetted must be 'refuse' or 'record', not {unvetted!r}")
    if policy.strict:
        _strict(report, narrowed=narrowed, excused=unvetted == "record" or trust.given)
        return
    if report.verdict is Verdict.CLEAN:
        return
    if report.verdict is Verdict.UNVETTED:
        if unvetted == "record":
            return
        if report.omitted == 0 and all(_covered(f, trust, policy) for f in report.findings):
            return
    raise UnsafeCheckpoint(message(report, narrowed=narrowed), report=report)


def _strict(report: Report, *, narrowed: bool, excused: bool) -> None:
    """The same as `admit` for a strict policy. Raises UsageError when the caller accepts what it never accepts."""
    if excused:
        raise UsageError("the policy 'strict' admits no records: leave out unvetted='record' and trust")
    if report.verdict is not Verdict.CLEAN:
        raise UnsafeCheckpoint(message(report, narrowed=narrowed), report=report)
    found = remarks(report)
    if found:
        lines = [f"{_text(report.path)} was not loaded: it is clean, and the policy 'strict' admits no remark"]
        lines += [f"  {_one(finding)}" for finding in found[:_SHOWN]]
        raise UnsafeCheckpoint("\n".join(lines), report=report)


def _covered(finding: Finding, trust: Trust, policy: Policy) -> bool:
    if finding.verdict is Verdict.CLEAN:
        return True
    if finding.rule not in NAMED or finding.name is None:
        return False
    return trust.covers(finding.name) or policy.record_safe(finding.name) is not None


def message(report: Report, *, narrowed: bool = False) -> str:
    """The message of a refusal: what is outside the table, where it is, and what the user can do."""
    what = {
        Verdict.UNVETTED: "it needs names outside the vetted table",
        Verdict.DANGEROUS: "it would do something dangerous",
        Verdict.UNJUDGED: "it could not be understood completely",
    }[report.verdict]
    lines = [f"{_text(report.path)} was not loaded: {what} (verdict: {report.verdict.value})"]
    listed = [f for f in report.findings if f.verdict is not Verdict.CLEAN]
    lines += [f"  {_one(finding)}" for finding in listed[:_SHOWN]]
    more = len(listed) - _SHOWN + report.omitted
    if more > 0:
        lines.append(f"  ... and {more} more")
    lines.append("Ways forward:")
    lines += [f"  - {way}" for way in _ways(report, listed, narrowed)]
    return "\n".join(lines)


def _one(finding: Finding) -> str:
    place = finding.member or "the file"
    at = "" if finding.offset is None else f" at byte {finding.offset:#x}"
    evidence = f": {_text(finding.evidence)}" if finding.evidence and finding.verdict is Verdict.DANGEROUS else ""
    return f"{_text(finding.message)} ({_text(place)}{at}){evidence}"


def _ways(report: Report, listed: list[Finding], narrowed: bool) -> Iterable[str]:
    if report.verdict is Verdict.UNVETTED:
        if narrowed:
            yield "leave out weights_only=True: the whole vetted table (numpy, dates...) runs nothing either"
        yield "unvetted='record' gives you everything in it, with inert records in place of those classes"
        names = sorted({f.name for f in listed if f.name and f.rule in NAMED})
        if names and len(names) <= _SHOWN:
            shown = ", ".join(f"'{_text(name)}'" for name in names)
            yield f"trust=[{shown}] rebuilds those classes, if you know and import them yourself"
    elif report.verdict is Verdict.UNJUDGED:
        if any(f.rule in _LIMITS for f in listed):
            yield "raise the limit named above if you trust the size: limits=safeload.Limits(NAME=VALUE)"
        yield "download the file again, or ask its author to save it with current tools, as safetensors if possible"
    else:
        yield "do not load it with anything else; ask its author for a safetensors file"
    if report.path and not report.path.startswith("<"):
        yield f"the full report: safeload scan {_text(shlex.quote(report.path))}"


def _text(text: str) -> str:
    """A text of the file for a terminal: printable ASCII, with everything else escaped."""
    return ascii(text)[1:-1]
