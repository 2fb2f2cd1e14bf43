"""Applies a policy pack and a baseline to the reports of a scan: marks the findings that these accept.

Changes exit codes and no verdict. What the user has to know besides (entries that match nothing, entries that have
expired, remarks that 'strict' does not accept) goes to standard error, so that a report for a program stays one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

import click

from safeload.cli.configured import current_folder
from safeload.cli.exit_code import UNFINISHED
from safeload.errors import UsageError
from safeload.findings import Verdict
from safeload.policy import Policy
from safeload.policy.accepting import with_record_safe
from safeload.project.baselines import Applied, BaselineEntry, Hash, apply, read
from safeload.project.configuration import is_own
from safeload.report import Report, left, remarks, verdict_of
from safeload.reports import escape

_SHOWN = 20


class Terms(NamedTuple):
    """What a scan accepts: the policy, and the entries of a baseline with the name of its file."""

    policy: Policy
    baseline: str | None = None
    entries: tuple[BaselineEntry, ...] = ()


def terms(policy: Policy, baseline: str | None, paths: Iterable[str], fail_on: str = "unvetted") -> Terms:
    """The Terms of a command line, read before anything is judged. Raises UsageError for what contradicts itself.

    SECURITY: a baseline inside the scanned folder would excuse the files that came with it. So it is only read when the
    folder is the project's own.
    """
    if policy.strict and (baseline is not None or fail_on != "unvetted"):
        raise UsageError("the policy 'strict' excuses nothing: it goes with neither --baseline nor --fail-on dangerous")
    if baseline is None:
        return Terms(policy)
    if not is_own(baseline, paths, current_folder() or os.sep):
        raise UsageError(
            f"{baseline}: a baseline is not read from a folder that is scanned, unless that folder is the project's "
            "own: you stand in it, and it lies in a repository; keep the baseline outside"
        )
    return Terms(policy, baseline, read(baseline))


def applied(reports: Iterable[Report], terms: Terms, sha256: Hash | None = None) -> Applied:
    """The reports, with the accepted findings marked. `sha256` gives the digest of a path that is no file on disk."""
    marked = [with_record_safe(report, terms.policy) for report in reports]
    return apply(marked, terms.entries, date.today(), sha256 or sha256_of)


def ending(found: Applied, terms: Terms, *, allow_empty: bool) -> Verdict:
    """The verdict for the exit code: that of the files without their accepted findings."""
    strict = terms.policy.strict
    reports = [report._replace(verdict=left(report, strict=strict)) for report in found.reports]
    return verdict_of(reports, allow_empty=allow_empty)


def explain(found: Applied, terms: Terms, *, quiet: bool = False) -> None:
    """Says on standard error which entries of the baseline no longer hold, and which remarks 'strict' minds."""
    for entry in found.expired[:_SHOWN]:
        _say(f"{place(entry, terms)}: expired on {entry.expires}: {describe(entry)}")
    _more(len(found.expired))
    if found.expired:
        _say("Look at what expired again, and write the baseline anew or take the entries out.")
    if found.stale and not quiet:
        count = len(found.stale)
        _say(f"{terms.baseline}: {count} {'entry' if count == 1 else 'entries'} matched nothing here:")
        for entry in found.stale[:_SHOWN]:
            _say(f"  {place(entry, terms)}: {describe(entry)}")
        _more(count)
    if terms.policy.strict:
        for report in found.reports:
            for remark in remarks(report) if report.verdict is Verdict.CLEAN else ():
                _say(f"{report.path}: clean, with a remark that 'strict' minds: {remark.rule}: {remark.message}")


def code_with(found: Applied, code: int) -> int:
    """The exit code of a command that would exit with `code`: with an expired entry it is never 0."""
    return UNFINISHED if found.expired and code == 0 else code


def place(entry: BaselineEntry, terms: Terms) -> str:
    """Where an entry stands."""
    return f"{terms.baseline}:{entry.line}"


def describe(entry: BaselineEntry) -> str:
    """What an entry is about, in a line."""
    return " ".join(part for part in (entry.rule, entry.name, f"in {entry.path}" if entry.path else "") if part)


def sha256_of(path: str) -> str | None:
    """The digest of the whole file, None where it cannot be read (again)."""
    if path == "-" or not os.path.isfile(path):
        return None
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return None


def _more(count: int) -> None:
    if count > _SHOWN:
        _say(f"  and {count - _SHOWN} more")


def _say(text: str) -> None:
    click.echo(escape.exact(text), err=True)
