"""`--format` and `-o`: decides which report goes where, before anything is scanned, and writes the reports.

    --format sarif -o a.sarif --format html -o b.html --format text

Both options can be repeated, and make pairs in the order of the command line: an `-o` belongs to the format before it.
When that format has a file already, or when there is none, the `-o` belongs to the next format. One report may go to
standard output, and no two reports to one file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import click

from safeload.cli import outfile
from safeload.cli.coloring import colored
from safeload.cli.exit_code import write_out
from safeload.errors import UsageError
from safeload.report import Report
from safeload.reports import FORMATS, Named, Outcome, Style
from safeload.reports.details import Detail
from safeload.workers import Settings

_ORDER = "safeload.outputs"


class Output(NamedTuple):
    """One report to be written; `path` is None for standard output."""

    form: Named
    path: str | None


class InOrder(click.Command):
    """A command that remembers the order of its --format and -o options, which click forgets."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `click.Command.parse_args`."""
        if not ctx.resilient_parsing:
            ctx.meta[_ORDER] = [param.name for param in self.make_parser(ctx).parse_args(list(args))[2]]
        return super().parse_args(ctx, args)


def paired(context: click.Context, forms: Sequence[str], files: Sequence[str]) -> tuple[Output, ...]:
    """The reports of a command with the parameters `forms` (--format) and `files` (-o). Raises UsageError.

    A format that a project's configuration gives stands before those of the command line.
    """
    order = [name for name in context.meta.get(_ORDER, ()) if name in {"forms", "files"}]
    missing = len(forms) - order.count("forms")
    left, right = iter(forms), iter(files)
    events = [("forms", next(left)) for _ in range(missing)]
    events += [(name, next(left if name == "forms" else right)) for name in order]
    events += [("files", file) for file in right]
    reports = _pairs(events)
    if sum(file is None for _, file in reports) > 1:
        names = " and ".join(form for form, file in reports if file is None)
        raise UsageError(f"one report can go to standard output, not {names}: give each of the others a file with -o")
    known = {form.name: form for form in FORMATS}
    return tuple(Output(known[form], file) for form, file in reports)


def _pairs(events: Iterable[tuple[str, str]]) -> list[tuple[str, str | None]]:
    """(format, file or None) for options in their order."""
    pairs: list[tuple[str, str | None]] = []
    open_ = False  # whether the last format has no file yet
    waiting: list[str] = []  # files that came before their format
    for name, value in events:
        if name == "forms":
            pairs.append((value, waiting.pop(0) if waiting else None))
            open_ = pairs[-1][1] is None
        elif open_:
            pairs[-1], open_ = (pairs[-1][0], value), False
        else:
            waiting.append(value)
    if waiting and not pairs:
        pairs.append(("text", waiting.pop(0)))
    if waiting:
        raise UsageError(f"-o {waiting[0]!r} has no --format of its own: give one for each file")
    return [(form, None if file == "-" else file) for form, file in pairs] or [("text", None)]


def check(outputs: tuple[Output, ...], sources: tuple[str, ...]) -> tuple[str, ...]:
    """The files to be written. Raises UsageError where one cannot be, is scanned itself, or is named twice."""
    files = tuple(output.path for output in outputs if output.path is not None)
    seen = set()
    for file in files:
        outfile.check(file, sources)
        real = os.path.normcase(os.path.realpath(file))
        if real in seen:
            raise UsageError(f"-o {file!r} is named twice: each report needs its own file")
        seen.add(real)
    return files


def explanations(outputs: tuple[Output, ...]) -> dict[str, str]:
    """Rule id -> what the rule means; empty when none of the reports shows it."""
    if not any(output.form.explains for output in outputs):
        return {}
    from safeload.policy.explained import RULES

    return {rule: text for rule, _, text in RULES}


def detailed(outputs: tuple[Output, ...], reports: Sequence[Report], settings: Settings) -> dict[str, Detail]:
    """Path -> the opcodes and bytes of a file, for which it is read once more; empty when no report shows them."""
    if not any(output.form.details for output in outputs):
        return {}
    from safeload.explaining.details import details

    return details(reports, policy=settings.policy, limits=settings.limits)


def deliver(outputs: tuple[Output, ...], outcome: Outcome, style: Style, color: str) -> None:
    """Renders and writes every report. Files come first: a closed pipe must not keep them from being written."""
    for form, path in sorted(outputs, key=lambda output: output.path is None):
        shown = style._replace(color=colored(color, path))
        text = form.render(outcome, shown)
        if path is None:
            write_out(text, color=shown.color)
        else:
            outfile.write(path, text)
