"""`safeload baseline`: what a project already has, written down with a reason and a date, and checked.

Judges as `safeload scan` does; nothing here lowers a verdict.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import click

from safeload.cli import accepted, outfile
from safeload.cli.commands.scan import exit_code, judged, positive_seconds
from safeload.cli.configured import Scanning
from safeload.cli.exit_code import complain, write_out
from safeload.cli.patterns import pattern_options
from safeload.cli.suggesting import Suggesting
from safeload.errors import UsageError
from safeload.findings import Finding, Verdict
from safeload.inputs.selecting import selection
from safeload.inputs.walk import select
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.project import baselines
from safeload.report import Report
from safeload.reports import escape
from safeload.workers import Settings

EXAMPLES = """\b
Examples:
  safeload baseline write models/ -o baseline.toml --reason "trained by us, to be converted"
  safeload baseline write models/ -o baseline.toml --reason "..." --expires 2030-01-31 --full-hash
  safeload baseline check models/ --baseline baseline.toml
  safeload scan models/ --baseline baseline.toml

\b
Exit codes of check:
  0   nothing is new, and no entry has expired
  1   a finding is new: dangerous or outside the vetted table
  2   a file could not be judged, an entry has expired, or the baseline is wrong
"""

_QUIET = (Verdict.CLEAN, Verdict.SKIPPED)
_PATHS = click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.UNPROCESSED)
_POLICY = click.option(
    "--policy", "policy_file", metavar="NAME|FILE", help="weights-only, standard, or a policy pack of your own."
)
_JOBS = click.option("--jobs", type=click.IntRange(0, 1024), metavar="N", help="Worker processes; 0: one a processor.")
_TIMEOUT = click.option(
    "--timeout", type=float, callback=positive_seconds, metavar="S", help="Seconds for one file, then it is unjudged."
)
_LIMIT = click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit.")


def _date(context: click.Context, option: click.Parameter, value: str | None) -> date:
    if value is None:
        return date.today() + timedelta(days=baselines.DAYS)
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(f"it takes a date as 2030-01-31, not {value!r}", context, option) from None
    if found < date.today():
        raise click.BadParameter(f"{found} is over", context, option)
    return found


def _reason(context: click.Context, option: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("say why these findings are let pass", context, option)
    return value


@click.group(cls=Suggesting, epilog=EXAMPLES, no_args_is_help=False)
def baseline() -> None:
    """Known findings: write them down, and let only what is new fail."""


@baseline.command(cls=Scanning, epilog=EXAMPLES, no_args_is_help=False)
@_PATHS
@click.option("-o", "--output", required=True, metavar="FILE", help="Where the baseline goes; - for standard output.")
@click.option("--reason", required=True, callback=_reason, help="Why they are let pass; it goes into every entry.")
@click.option("--expires", callback=_date, metavar="DATE", help="The last day it holds.  [default: in 90 days]")
@click.option("--full-hash", is_flag=True, help="Bind every byte of a file, weights too, not only what was judged.")
@click.option("--include-unjudged", is_flag=True, help="Take what could not be judged, too; always with --full-hash.")
@_POLICY
@_JOBS
@_TIMEOUT
@_LIMIT
@pattern_options
@click.pass_context
def write(
    context: click.Context,
    paths: tuple[str, ...],
    output: str,
    reason: str,
    expires: date,
    full_hash: bool,
    include_unjudged: bool,
    policy_file: str | None,
    jobs: int | None,
    timeout: float | None,
    limits: tuple[str, ...],
    exclude: tuple[str, ...],
    include: tuple[str, ...],
) -> None:
    """Write what is found in PATH now to a baseline file.

    What a pack calls record-safe needs no entry and gets none. Read every entry before you commit the file.
    """
    settings = Settings(Policy.find(policy_file), policy_file, Limits.parse(limits))
    if settings.policy.strict:
        raise UsageError("the policy 'strict' excuses nothing: a baseline has no meaning under it")
    targets = select(paths, selection(exclude, include)).targets
    if output != "-":
        outfile.check(output, tuple(target.path for target in targets))
    found = accepted.applied(judged(targets, settings, jobs, timeout), accepted.Terms(settings.policy))
    reports = [r._replace(findings=tuple(f for f in r.findings if not f.accepted)) for r in found.reports]
    entries, left = baselines.entries_for(
        reports, reason, expires, accepted.sha256_of, full_hash=full_hash, include_unjudged=include_unjudged
    )
    text = baselines.render(entries)
    if output == "-":
        write_out(text, color=False)
    else:
        outfile.write(output, text)
    for path, why in left:
        click.echo(f"Left out: {escape.path(path)}: {why}", err=True)
    count = f"{len(entries)} {'entry' if len(entries) == 1 else 'entries'}"
    click.echo(f"{escape.path(output)}: {count}, until {expires}", err=True)
    context.exit(2 if left else 0)


@baseline.command(cls=Scanning, epilog=EXAMPLES, no_args_is_help=False)
@_PATHS
@click.option("--baseline", "file", metavar="FILE", help="The baseline to hold them against.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
@_POLICY
@_JOBS
@_TIMEOUT
@_LIMIT
@pattern_options
@click.pass_context
def check(
    context: click.Context,
    paths: tuple[str, ...],
    file: str | None,
    as_json: bool,
    policy_file: str | None,
    jobs: int | None,
    timeout: float | None,
    limits: tuple[str, ...],
    exclude: tuple[str, ...],
    include: tuple[str, ...],
) -> None:
    """Say what in PATH is new, what has expired, and which entries are about nothing any more."""
    if file is None:
        complain("name the baseline: --baseline FILE, or baseline = in the configuration", context)
    settings = Settings(Policy.find(policy_file), policy_file, Limits.parse(limits))
    terms = accepted.terms(settings.policy, file, paths)
    targets = select(paths, selection(exclude, include)).targets
    found = accepted.applied(judged(targets, settings, jobs, timeout), terms)
    write_out(_json(found) if as_json else _text(found, terms), color=False)
    verdict = accepted.ending(found, terms, allow_empty=False)
    context.exit(accepted.code_with(found, exit_code(verdict, "unvetted")))


def _new(found: baselines.Applied) -> list[tuple[Report, Finding]]:
    """The findings that nobody accepted."""
    return [(r, f) for r in found.reports for f in r.findings if not f.accepted and f.verdict not in _QUIET]


def _text(found: baselines.Applied, terms: accepted.Terms) -> str:
    """One line for each finding or entry that somebody has to look at, then the counts."""
    lines = [
        f"new      {f.verdict:9}  {escape.path(r.path)}  {escape.exact(f.rule)}: {escape.exact(f.message)}"
        for r, f in _new(found)
    ]
    for word, entries in (("expired", found.expired), ("stale", found.stale)):
        for entry in entries:
            until = f" (on {entry.expires})" if word == "expired" else ""
            said = f"{accepted.place(entry, terms)}: {accepted.describe(entry)}"
            lines.append(f"{word:8} {escape.exact(said)}{until}")
    known = sum(bool(f.accepted) for r in found.reports for f in r.findings)
    counts = f"{len(_new(found))} new, {known} accepted, {len(found.expired)} expired, {len(found.stale)} stale"
    files = len(found.reports)
    return "".join(f"{line}\n" for line in [*lines, f"{files} file{'' if files == 1 else 's'}: {counts}"])


def _json(found: baselines.Applied) -> str:
    from safeload.report import finding_fields

    document: dict[str, Any] = {
        "schema": "safeload.baseline-check/1",
        "new": [{"path": r.path, **finding_fields(f)} for r, f in _new(found)],
        "expired": [_fields(entry) for entry in found.expired],
        "stale": [_fields(entry) for entry in found.stale],
    }
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"


def _fields(entry: baselines.BaselineEntry) -> dict[str, Any]:
    """An entry as the baseline file spells it."""
    fields = {**entry._asdict(), "global": entry.name, "expires": entry.expires.isoformat()}
    del fields["name"]
    return fields
