"""`safeload scan`: finds the files, has each judged and writes the reports. The worst verdict is the exit code."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator

import click

from safeload.cli import accepted, outputs
from safeload.cli.coloring import color_option, is_terminal
from safeload.cli.commands.attest import Attesting, attesting
from safeload.cli.configured import Scanning, current_folder
from safeload.cli.patterns import pattern_options
from safeload.cli.progress import file_progress
from safeload.findings import Verdict
from safeload.inputs.selecting import selection
from safeload.inputs.walk import Target, select
from safeload.limits import Limits
from safeload.report import Report
from safeload.reports import FORMATS, Outcome, Style
from safeload.workers import Settings, scan_here, units_of

EXAMPLES = """\b
Examples:
  safeload scan model.pt
  safeload scan models/ --jobs 4 --timeout 60
  safeload scan models/ --format json -o report.json
  safeload scan models/ --format sarif -o a.sarif --format html -o a.html
  safeload scan downloads/ --fail-on dangerous
  safeload scan . --exclude docs/ --exclude '*.csv'
  safeload scan big.ckpt --limit opcodes=500m
  curl -s URL | safeload scan -
  safeload scan model.pt --attest model.attest.json
  safeload scan models/ --policy team.toml --baseline baseline.toml

\b
Verdicts:
  clean      every effect is in the vetted table                  exit 0
  unvetted   names code outside the table                         exit 1
  dangerous  would do something a rule calls dangerous            exit 1
  unjudged   not fully understood: never taken for clean          exit 2
  skipped    met in a folder, read whole and no model: text, a picture
"""


def positive_seconds(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    """A number of seconds, as an option's callback."""
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter("it takes a number of seconds above 0", context, option)
    return value


class Scan(outputs.InOrder, Scanning):
    """The command. A project's configuration gives its defaults, and each report goes where the command line says."""


@click.command(cls=Scan, epilog=EXAMPLES, no_args_is_help=False)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.UNPROCESSED)
@click.option(
    "--format",
    "forms",
    type=click.Choice([f.name for f in FORMATS]),
    multiple=True,
    help="Report format; repeat it, each with its own -o, for several reports.  [default: text]",
)
@click.option(
    "-o",
    "--output",
    "files",
    metavar="FILE",
    multiple=True,
    help="Write the report to FILE instead of standard output.",
)
@click.option(
    "--policy", "policy_file", metavar="NAME|FILE", help="weights-only, standard, strict, or a policy pack of your own."
)
@click.option("--baseline", metavar="FILE", help="Known findings that do not count; see `safeload baseline`.")
@click.option(
    "--fail-on",
    type=click.Choice(["unvetted", "dangerous"]),
    default="unvetted",
    help="The least verdict that ends with exit code 1; an unjudged file always ends with 2.  [default: unvetted]",
)
@click.option("--allow-empty", is_flag=True, help="Nothing to scan, or nothing but skipped files, is fine.")
@pattern_options
@click.option(
    "--jobs",
    type=click.IntRange(0, 1024),
    metavar="N",
    help="Judge each file in one of N worker processes, which may hang, crash or run out of memory alone; "
    "0 stands for the number of processors.",
)
@click.option(
    "--timeout", type=float, callback=positive_seconds, metavar="S", help="Seconds for one file, then it is unjudged."
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as opcodes=500m.")
@click.option("--attest", metavar="OUT", help="Write a statement of a clean verdict to OUT; PATH is one file then.")
@click.option("-q", "--quiet", is_flag=True, help="The summary alone, and nothing when all is clean.")
@click.option("-v", "--verbose", is_flag=True, help="Clean and skipped files too, and every finding.")
@color_option
@click.pass_context
def scan(
    context: click.Context,
    paths: tuple[str, ...],
    forms: tuple[str, ...],
    files: tuple[str, ...],
    policy_file: str | None,
    baseline: str | None,
    fail_on: str,
    allow_empty: bool,
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    jobs: int | None,
    timeout: float | None,
    limits: tuple[str, ...],
    attest: str | None,
    quiet: bool,
    verbose: bool,
    color: str,
) -> None:
    """Judge checkpoints without running them.

    PATH is a file, a folder (with all that lies in it, whatever the names) or - for standard input.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other", context)
    from safeload.policy import Policy

    start = time.perf_counter()
    reporting = outputs.paired(context, forms, files)
    settings = Settings(Policy.find(policy_file), policy_file, Limits.parse(limits))
    terms = accepted.terms(settings.policy, baseline, paths, fail_on)
    targets, excluded = select(paths, selection(exclude, include))
    written = outputs.check(reporting, tuple(target.path for target in targets))
    statement = None
    if attest is not None:
        statement = attesting(attest, targets, written, in_workers=bool(jobs is not None or timeout))
    with file_progress(len(targets), show=not quiet and is_terminal(sys.stderr)) as step:
        reports = []
        for report in judged(targets, settings, jobs, timeout, statement):
            reports.append(report)
            step()
    found = accepted.applied(reports, terms)
    seconds = time.perf_counter() - start
    rules = outputs.explanations(reporting)
    details = outputs.detailed(reporting, found.reports, settings)
    digest, here = settings.policy.digest, current_folder()
    outcome = Outcome(found.reports, digest, seconds, allow_empty, details, rules, here, excluded)
    outputs.deliver(reporting, outcome, Style(verbose=verbose, quiet=quiet), color)
    accepted.explain(found, terms, quiet=quiet)
    code = exit_code(accepted.ending(found, terms, allow_empty=allow_empty), fail_on)
    if statement is not None:
        code = statement.settle(code)
    context.exit(accepted.code_with(found, code))


def exit_code(verdict: Verdict, fail_on: str) -> int:
    """0, 1 or 2. `fail_on` changes what an unvetted file means for the exit code, and nothing else."""
    if verdict == Verdict.CLEAN or (verdict == Verdict.UNVETTED and fail_on == "dangerous"):
        return 0
    return 1 if verdict in {Verdict.UNVETTED, Verdict.DANGEROUS} else 2


def judged(
    targets: tuple[Target, ...],
    settings: Settings,
    jobs: int | None,
    timeout: float | None,
    statement: Attesting | None = None,
) -> Iterator[Report]:
    """The reports of the targets in their order, then those of the folders that a loader takes whole."""
    if statement is not None:
        yield from scan_here(targets, settings, statement.judge)
    elif jobs is None and timeout is None:
        yield from scan_here(targets, settings)
    else:
        from safeload.workers.pool import Workers

        with Workers(settings, jobs=_processors() if jobs == 0 else jobs or 1, timeout=timeout) as workers:
            yield from workers.run(targets)
    yield from units_of(targets, settings)


def _processors() -> int:
    """The processors this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
