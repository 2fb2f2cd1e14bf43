"""`safeload attest verify`, and the part of `safeload scan` that `--attest OUT` adds: it writes the statement."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from safeload.cli import outfile
from safeload.cli.configured import Configured
from safeload.cli.exit_code import UNFINISHED, refuse, write_out
from safeload.cli.suggesting import Suggesting
from safeload.errors import Malformed, UsageError
from safeload.findings import Verdict
from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.report import Report
from safeload.workers import Settings

EXAMPLES = """\b
Examples:
  safeload scan model.pt --attest model.attest.json
  safeload attest verify model.attest.json model.pt

\b
Exit codes:
  0   the file is clean, and all that the statement says of it is so
  1   the file is another one, or it is not clean
  2   they cannot be compared: other rules, limits or version, or no statement
"""


@click.group(cls=Suggesting, epilog=EXAMPLES, no_args_is_help=False)
def attest() -> None:
    """Statements of clean verdicts: `safeload scan FILE --attest OUT` writes one."""


@attest.command(cls=Configured, epilog=EXAMPLES, no_args_is_help=False)
@click.argument("statement", type=click.UNPROCESSED)
@click.argument("file", type=click.UNPROCESSED)
@click.option("--policy", "policy_file", metavar="NAME|FILE", help="The policy that the scan was given.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="A limit that the scan was given.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing when they agree.")
@click.pass_context
def verify(
    context: click.Context, statement: str, file: str, policy_file: str | None, limits: tuple[str, ...], quiet: bool
) -> None:
    """Judge FILE again, and compare it with all that STATEMENT says of it.

    Policy and limits must be those of the scan. An agreement does not prove who wrote the statement: sign it for that.
    """
    from safeload.attesting.statement import MOST_BYTES, differences, parse
    from safeload.inputs import open_source
    from safeload.policy import Policy
    from safeload.reports import escape

    settings = Settings(Policy.find(policy_file), policy_file, Limits.parse(limits))
    source = open_source(statement)
    try:
        given = parse(source.peek(0, MOST_BYTES + 1))
    except Malformed as error:
        raise UsageError(f"{statement}: {error}") from error
    finally:
        source.close()
    source = open_source(file)
    try:
        found = differences(source, given, policy=settings.policy, limits=settings.limits)
    finally:
        source.close()
    if found:
        refuse(f"{file} does not agree with {statement}: {'; '.join(found)}", 1)
    if not quiet:
        digest = given["subject"][0]["digest"]["sha256"]
        write_out(f"{escape.exact(file)}: clean, as the statement says\n  sha256 {digest}\n", color=False)
    context.exit(0)


def attesting(out: str, targets: tuple[Target, ...], reports: tuple[str, ...], *, in_workers: bool) -> Attesting:
    """The Attesting of one scan. Raises UsageError for a command line without a meaning, before anything is judged."""
    if len(targets) != 1 or targets[0].path == "-" or not targets[0].explicit:
        raise UsageError("--attest takes one file, by its path: a statement is about one file")
    if in_workers:
        raise UsageError("--attest judges its file in this process: leave --jobs and --timeout out")
    outfile.check(out, (targets[0].path,), option="--attest")
    if os.path.realpath(out) in map(os.path.realpath, reports):
        raise UsageError("--attest and -o name the same file")
    return Attesting(out)


class Attesting:
    """Judges the file of a scan, remembers the statement, and writes it after the report."""

    def __init__(self, out: str) -> None:
        self._out = out
        self._statement: dict[str, Any] | None = None
        self._reason = "it could not be judged"
        self._verdict = Verdict.UNJUDGED

    def judge(self, target: Target, settings: Settings) -> Report:
        """The report of the target. Raises what scanning it raises."""
        from safeload.attesting.statement import attest as attested
        from safeload.inputs import open_source

        source = open_source(target.path)
        try:
            found = attested(source, policy=settings.policy, limits=settings.limits)
        finally:
            source.close()
        self._statement, self._reason, self._verdict = found.statement, found.reason, found.report.verdict
        return found.report

    def settle(self, code: int) -> int:
        """Write the statement, or say on standard error why there is none; the exit code, never 0 without one."""
        if self._statement is not None and code == 0:
            outfile.write(self._out, json.dumps(self._statement, ensure_ascii=True) + "\n")
            return 0
        from safeload.reports import escape

        click.echo(f"No statement was written: {escape.exact(self._reason)}", err=True)
        if code:
            return code
        # Unvetted under --fail-on dangerous is a verdict (1); clean and not attested is work that was not done (2).
        return 1 if self._verdict in {Verdict.UNVETTED, Verdict.DANGEROUS} else UNFINISHED
