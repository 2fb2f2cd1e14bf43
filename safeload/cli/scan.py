"""`safeload scan`: what is named, walked, judged and reported. The exit code is the whole verdict's."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from safeload.cli import outfile
from safeload.cli.certifier import Certifier, certifying
from safeload.cli.ending import write_out
from safeload.cli.progress import progress
from safeload.findings import Verdict
from safeload.inputs.walk import Target, walk
from safeload.limits import Limits
from safeload.report import Report
from safeload.reports import FORMATS, Outcome, Style
from safeload.workers import Settings, scan_here

if TYPE_CHECKING:
    from safeload.policy import Policy

EXAMPLES = """\b
Examples:
  safeload scan model.pt
  safeload scan models/ --jobs 4 --timeout 60
  safeload scan models/ --format json -o report.json
  safeload scan downloads/ --fail-on dangerous
  safeload scan big.ckpt --limit opcodes=500m
  curl -s URL | safeload scan -
  safeload scan model.pt --attest model.attest.json

\b
Verdicts:
  clean      every effect is in the vetted table                  exit 0
  unvetted   names code outside the table                         exit 1
  dangerous  would do something a rule calls dangerous            exit 1
  unjudged   not fully understood: never taken for clean          exit 2
  skipped    met in a folder and no model: text, an image
"""


def _seconds(context: click.Context, option: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (value > 0 and math.isfinite(value)):
        raise click.BadParameter("it takes a number of seconds above 0", context, option)
    return value


@click.command(epilog=EXAMPLES, no_args_is_help=False)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.UNPROCESSED)
@click.option("--format", "form", type=click.Choice([f.name for f in FORMATS]), default="text", help="Report format.")
@click.option("-o", "--output", metavar="FILE", help="Write the report to FILE instead of standard output.")
@click.option("--policy", "policy_file", metavar="FILE", help="A policy pack on top of the rules of safeload.")
@click.option(
    "--fail-on",
    type=click.Choice(["unvetted", "dangerous"]),
    default="unvetted",
    help="The least verdict that ends with exit code 1; an unjudged file always ends with 2.  [default: unvetted]",
)
@click.option("--allow-empty", is_flag=True, help="Nothing to scan, or nothing but skipped files, is fine.")
@click.option(
    "--jobs",
    type=click.IntRange(0, 1024),
    metavar="N",
    help="Judge each file in one of N worker processes, which may hang, crash or run out of memory alone; "
    "0 stands for the number of processors.",
)
@click.option(
    "--timeout", type=float, callback=_seconds, metavar="S", help="Seconds for one file, then it is unjudged."
)
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as opcodes=500m.")
@click.option("--attest", metavar="OUT", help="Write a certificate of a clean verdict to OUT; PATH is one file then.")
@click.option("--full-hash", is_flag=True, help="With --attest: put the sha256 of the whole file into the certificate.")
@click.option("-q", "--quiet", is_flag=True, help="The summary alone, and nothing when all is clean.")
@click.option("-v", "--verbose", is_flag=True, help="Clean and skipped files too, and every finding.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Colors in text.")
@click.pass_context
def scan(
    context: click.Context,
    paths: tuple[str, ...],
    form: str,
    output: str | None,
    policy_file: str | None,
    fail_on: str,
    allow_empty: bool,
    jobs: int | None,
    timeout: float | None,
    limits: tuple[str, ...],
    attest: str | None,
    full_hash: bool,
    quiet: bool,
    verbose: bool,
    color: str,
) -> None:
    """Judge checkpoints without running them.

    PATH is a file, a folder (with all that lies in it, whatever the names) or - for standard input.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other", context)
    start = time.perf_counter()
    settings = Settings(_policy(policy_file), policy_file, Limits.parse(limits))
    targets = tuple(walk(paths))
    to_file = None if output in {None, "-"} else output
    if to_file is not None:
        outfile.check(to_file, tuple(target.path for target in targets))
    certifier = None
    if attest is not None or full_hash:
        certifier = certifying(attest, targets, to_file, full_hash=full_hash, pooled=bool(jobs is not None or timeout))
    with progress(len(targets), show=not quiet and _is_terminal(sys.stderr)) as step:
        reports = []
        for report in _judged(targets, settings, jobs, timeout, certifier):
            reports.append(report)
            step()
    outcome = Outcome(tuple(reports), settings.policy.digest, time.perf_counter() - start, allow_empty)
    style = Style(color=_colors(color, to_file), verbose=verbose, quiet=quiet)
    text = next(f for f in FORMATS if f.name == form).render(outcome, style)
    if to_file is None:
        write_out(text, color=style.color)
    else:
        outfile.write(to_file, text)
    code = exit_code(outcome.verdict, fail_on)
    if certifier is not None:
        code = certifier.settle(code)
    context.exit(code)


def exit_code(verdict: Verdict, fail_on: str) -> int:
    """0, 1 or 2. `fail_on` changes what an unvetted file means for the exit code, and nothing else."""
    if verdict == Verdict.CLEAN or (verdict == Verdict.UNVETTED and fail_on == "dangerous"):
        return 0
    return 1 if verdict in {Verdict.UNVETTED, Verdict.DANGEROUS} else 2


def _policy(policy_file: str | None) -> Policy:
    from safeload.policy import Policy

    return Policy.default() if policy_file is None else Policy.from_file(policy_file)


def _judged(
    targets: tuple[Target, ...],
    settings: Settings,
    jobs: int | None,
    timeout: float | None,
    certifier: Certifier | None,
) -> Iterator[Report]:
    """The reports, in the order of the targets."""
    if certifier is not None:
        yield from scan_here(targets, settings, certifier.judge)
        return
    if jobs is None and timeout is None:
        yield from scan_here(targets, settings)
        return
    from safeload.workers.pool import Workers

    with Workers(settings, jobs=_processors() if jobs == 0 else jobs or 1, timeout=timeout) as workers:
        yield from workers.run(targets)


def _processors() -> int:
    """The processors this process may use, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _is_terminal(stream: object) -> bool:
    return bool(stream is not None and getattr(stream, "isatty", lambda: False)())


def _colors(choice: str, to_file: str | None) -> bool:
    """Whether the text has colors: what was asked for, then NO_COLOR, then FORCE_COLOR, then the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0", "false"}:
        return True
    return to_file is None and _is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"
