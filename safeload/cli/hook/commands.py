"""`safeload hook`: what pre-commit and CI call. The files are those of a commit, so most of them are no models.

scan        judges each file, and fails on any that is not clean
no-pickle   refuses each file that holds a pickle, whatever its name
ci          judges a checkout by the rules of its base commit (see `ci.py`)
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import click

from safeload.cli import accepted
from safeload.cli.configured import Configured, Scanning
from safeload.cli.exit_code import write_out
from safeload.cli.hook.ci import ci
from safeload.cli.hook.judging import FAIL_ON, exit_code, judge_all
from safeload.cli.patterns import named, pattern_options
from safeload.cli.suggesting import Suggesting
from safeload.findings import Verdict
from safeload.inputs.selecting import selection
from safeload.integrations.git.files import GitFiles
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.reports import FORMATS, Outcome, Style, escape

if TYPE_CHECKING:
    from safeload.inputs.selecting import Selection
    from safeload.project.baselines import Applied
    from safeload.report import Excluded, Report

EXAMPLES = """\b
Examples:
  safeload hook scan -- model.pt weights.safetensors     the files that pre-commit names
  safeload hook scan --staged                            what a commit made now would bring
  safeload hook no-pickle --staged -- model.pt           one file as it is staged
  safeload hook ci --base origin/main models/            a checkout, by the rules of its base

\b
Exit codes:
  0   every checkpoint passes; text, source and pictures, read whole, are skipped
  1   a file is refused
  2   a file could not be judged (a Git LFS pointer without its file, say), or the command line is wrong
"""

_NOTHING_STAGED = "nothing is staged, so nothing was judged\n"
_NOTHING_NAMED = "no file was named, so nothing was judged; what a commit would bring: safeload hook scan --staged\n"

_TENSORS_ONLY = frozenset({"safetensors", "safetensors-index"})


class Names(click.Command):
    """A command that is given file names by a program: a name may not pass for an option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuses an argument that reads as an option and is a file here, unless `--` stands before it."""
        for word in args[: args.index("--")] if "--" in args else args:
            # SECURITY: a repository may hold a file called --policy=x.toml, and pre-commit appends names as they are.
            if word.startswith("-") and word != "-" and os.path.lexists(word):
                raise click.UsageError(f"{word!r} is an option and a file here: put -- before the file names", ctx)
        return super().parse_args(ctx, args)


class ScanNames(Names, Scanning):
    """The same, with the project's own defaults."""


class PickleNames(Names, Configured):
    """The same, with what the project leaves out."""

    keys = ("exclude", "include")


@click.group(cls=Suggesting, epilog=EXAMPLES, no_args_is_help=False)
def hook() -> None:
    """For pre-commit and CI: judge what is about to be committed or merged.

    See docs/ci.md for a .pre-commit-config.yaml, a GitHub workflow and a GitLab job.
    """


_STAGED = click.option(
    "--staged", is_flag=True, help="Judge what is staged in git's index; without FILE, all that a commit would bring."
)
_FILES = click.argument("files", nargs=-1, metavar="[--] [FILE]...", type=click.UNPROCESSED)


@hook.command(cls=ScanNames, epilog=EXAMPLES)
@_FILES
@_STAGED
@click.option("--policy", metavar="FILE", help="A policy by name, or a pack on top of the rules of safeload.")
@click.option("--baseline", metavar="FILE", help="Known findings, which do not fail.")
@click.option(
    "--fail-on", type=click.Choice(FAIL_ON), default="unvetted",
    help="The least verdict that fails; an unjudged file always does.  [default: unvetted]",
)  # fmt: skip
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as opcodes=500m.")
@pattern_options
@click.option("-v", "--verbose", is_flag=True, help="Clean and skipped files too.")
@click.pass_context
def scan(
    context: click.Context,
    files: tuple[str, ...],
    staged: bool,
    policy: str | None,
    baseline: str | None,
    fail_on: str,
    limits: tuple[str, ...],
    exclude: tuple[str, ...],
    include: tuple[str, ...],
    verbose: bool,
) -> None:
    """Judge each file of a commit, and fail on any that is not clean."""
    start = time.perf_counter()
    terms = accepted.terms(Policy.find(policy), baseline, (), fail_on)
    patterns = selection(exclude, include)
    found, excluded = judged(files, terms, patterns, staged=staged, limits=Limits.parse(limits))
    seconds = time.perf_counter() - start
    outcome = Outcome(found.reports, terms.policy.digest, seconds, allow_empty=True, excluded=excluded)
    nothing = _NOTHING_STAGED if staged else _NOTHING_NAMED
    write_out(_text(outcome, verbose=verbose) if files or found.reports or any(excluded) else nothing, color=False)
    # A commit has few of the files that a baseline is about: what matched nothing here means nothing.
    accepted.explain(found._replace(stale=()), terms)
    context.exit(exit_code(found, terms, fail_on, allow_empty=True))


@hook.command("no-pickle", cls=PickleNames, epilog=EXAMPLES)
@_FILES
@_STAGED
@pattern_options
@click.pass_context
def no_pickle(
    context: click.Context, files: tuple[str, ...], staged: bool, exclude: tuple[str, ...], include: tuple[str, ...]
) -> None:
    """Refuse each file of a commit that holds a pickle, whatever its name, and say how to convert it."""
    policy = Policy.default()
    patterns = selection(exclude, include)
    found, excluded = judged(files, accepted.Terms(policy), patterns, staged=staged, limits=Limits())
    refused = [report for report in found.reports if holds_pickle(report)]
    unclear = tuple(report for report in found.reports if not holds_pickle(report) and not free_of_pickles(report))
    text = "".join(f"{line}\n" for report in refused for line in refusal(report))
    if unclear:
        text += _text(Outcome(unclear, policy.digest, allow_empty=True, excluded=excluded))
    elif any(excluded):
        text += f"{excluded.files} {'file' if excluded.files == 1 else 'files'} excluded\n"
    write_out(text, color=False)
    context.exit(2 if unclear else 1 if refused else 0)


def judged(
    files: tuple[str, ...], terms: accepted.Terms, patterns: Selection | None, *, staged: bool, limits: Limits
) -> tuple[Applied, Excluded]:
    """The judgement of the files of a commit. Raises UsageError where git is needed and there is none."""
    opened = GitFiles(staged=staged)
    try:
        # Without names they are git's, from the top of the repository.
        targets, excluded = named(opened.targets(files), patterns, from_top=not files)
        return judge_all(targets, opened, terms, limits), excluded
    finally:
        opened.close()


def _text(outcome: Outcome, *, verbose: bool = False) -> str:
    return next(form for form in FORMATS if form.name == "text").render(outcome, Style(verbose=verbose))


def holds_pickle(report: Report) -> bool:
    """Whether a pickle was read in the file. A safetensors file alone has none: its stream is safeload's own tree."""
    return report.verdict is not Verdict.SKIPPED and report.streams > 0 and report.container not in _TENSORS_ONLY


def free_of_pickles(report: Report) -> bool:
    """Whether it is certain that the file holds none, for one in which none was read.

    SECURITY: not so what no reader knows, though an unpickler breaks on it: a pickle may stand behind a header, or in
    an archive that nobody opened.
    """
    from safeload.containers.unrecognised import WITHOUT_PICKLES
    from safeload.scanning.units import KINDS

    if report.verdict in {Verdict.SKIPPED, Verdict.CLEAN} or any(kind.name == report.container for kind in KINDS):
        return True
    if report.container in _TENSORS_ONLY:
        return report.verdict is Verdict.UNVETTED
    if report.container == "hdf5":
        return all(found.rule == "unrecognised-format" for found in report.findings)
    told = [found.message for found in report.findings]
    return report.container == "unknown" and bool(told) and all(one.startswith(WITHOUT_PICKLES) for one in told)


def refusal(report: Report) -> list[str]:
    """What is said of a file that holds a pickle."""
    many = f"{report.streams} pickles" if report.streams > 1 else "a pickle"
    name = escape.argument(report.path)
    lines = [f"PICKLE  {escape.path(report.path)}  {escape.name(report.container)}: holds {many}"]
    if report.verdict is Verdict.DANGEROUS:
        lines.append(f"    do  do not load it; see why: safeload scan {name}")
        lines.append(f"        its tensors alone: safeload convert {name} --disarm")
    else:
        lines.append(f"    do  safeload convert {name}")
    return lines


hook.add_command(ci)
