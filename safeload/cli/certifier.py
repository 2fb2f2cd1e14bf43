"""`safeload scan --attest OUT`: the certificate of the one file that is scanned, written when there is one to write."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import click

from safeload.cli import outfile
from safeload.cli.exit_code import UNFINISHED
from safeload.errors import UsageError
from safeload.findings import Verdict
from safeload.inputs.walk import Target
from safeload.report import Report
from safeload.workers import Settings

if TYPE_CHECKING:
    from safeload.source import Source


def certifying(
    out: str | None, targets: tuple[Target, ...], reports: tuple[str, ...], *, full_hash: bool, pooled: bool
) -> Certifier:
    """The Certifier of one scan. Raises UsageError for a command line without a meaning, before anything is judged."""
    if out is None:
        raise UsageError("--full-hash says what goes into a certificate: it needs --attest OUT")
    if len(targets) != 1 or targets[0].path == "-" or not targets[0].explicit:
        raise UsageError("--attest takes one file, by its path: a certificate is about one file")
    if pooled:
        raise UsageError("--attest judges its file in this process: leave --jobs and --timeout out")
    outfile.check(out, (targets[0].path,), option="--attest")
    if os.path.realpath(out) in map(os.path.realpath, reports):
        raise UsageError("--attest and -o name the same file")
    return Certifier(out, full_hash=full_hash)


class Certifier:
    """Judges the file of a scan, keeps its certificate, and writes it once the report is out."""

    def __init__(self, out: str, *, full_hash: bool) -> None:
        self._out = out
        self._full_hash = full_hash
        self._statement: dict[str, Any] | None = None
        self._reason = "it could not be judged"
        self._verdict = Verdict.UNJUDGED

    def judge(self, target: Target, settings: Settings) -> Report:
        """The report of the target. Raises what scanning it raises."""
        from safeload.attesting.certificate import attest
        from safeload.inputs import open_source

        source: Source = open_source(target.path)
        try:
            found = attest(source, policy=settings.policy, limits=settings.limits, full_hash=self._full_hash)
        finally:
            source.close()
        self._statement, self._reason, self._verdict = found.statement, found.reason, found.report.verdict
        return found.report

    def settle(self, code: int) -> int:
        """Write the certificate, or say on standard error why there is none; the exit code, never 0 without one."""
        if self._statement is not None and code == 0:
            outfile.write(self._out, json.dumps(self._statement, ensure_ascii=True, indent=1) + "\n")
            return 0
        from safeload.reports import escape

        click.echo(f"No certificate was written: {escape.exact(self._reason)}", err=True)
        if code:
            return code
        # Unvetted under --fail-on dangerous is a verdict (1); clean and not certifiable is work that was not done (2).
        return UNFINISHED if self._verdict is Verdict.CLEAN else 1
