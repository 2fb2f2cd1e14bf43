"""`safeload explain`: what loading a file with plain pickle would do, in words. The exit code is the verdict's."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import islice

import click

from safeload.cli.coloring import color_option, colored
from safeload.cli.exit_code import need, write_out
from safeload.errors import UsageError
from safeload.explaining.story import ALL, Bounds, Story, tell
from safeload.explaining.text import Python, Telling, write
from safeload.findings import Verdict
from safeload.inputs import open_source
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.source import Source

EXAMPLES = """\b
Examples:
  safeload explain model.pt
  safeload explain model.pt --opcodes --stream 2
  safeload explain model.pt --python         as fickling reads it
  curl -s URL | safeload explain -

\b
Each step has a standing:
  vetted      in the closed table, and called as the table admits
  known       outside the table; a rule says what it is
  unknown     no rule knows the name
  dangerous   a rule or a check calls it dangerous
  unvetted, unjudged   the scan found more there than the name says
  data        names nothing

\b
Exit codes:
  0   clean
  1   dangerous, or names something outside the vetted table
  2   could not be judged or read, or the command line is wrong
"""

_CODES = {Verdict.CLEAN: 0, Verdict.UNVETTED: 1, Verdict.DANGEROUS: 1}

_BLOCK = 4096
"""Lines printed at once."""


@click.command(epilog=EXAMPLES, no_args_is_help=False)
@click.argument("file", type=click.UNPROCESSED)
@click.option("--opcodes", is_flag=True, help="The annotated disassembly instead of words.")
@click.option("--python", is_flag=True, help="Equivalent Python through fickling: another parser's reading.")
@click.option("--stream", type=click.IntRange(1), metavar="N", help="Only the Nth pickle of the file.")
@click.option("--all", "every", is_flag=True, help="Every step and opcode, one by one; nothing is left out.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--policy", "policy_file", metavar="FILE", help="A policy pack on top of the rules of safeload.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as opcodes=500m.")
@color_option
@click.pass_context
def explain(
    context: click.Context,
    file: str,
    opcodes: bool,
    python: bool,
    stream: int | None,
    every: bool,
    as_json: bool,
    policy_file: str | None,
    limits: tuple[str, ...],
    color: str,
) -> None:
    """Tell in words what loading FILE with plain pickle would do, without doing it.

    FILE is a file in any format that `safeload scan` judges, or - for standard input.
    """
    if opcodes and python and not as_json:
        raise click.UsageError("--opcodes and --python exclude each other", context)
    bounds = ALL if every else Bounds()
    given = Limits.parse(limits)
    telling = Telling(given, bounds, colored(color), opcodes, _fickling() if python else None)
    source = _open(file)
    try:
        story = tell(source, policy=_policy(policy_file), limits=given, bounds=bounds, only=stream)
        if stream is not None and not story.streams:
            raise click.UsageError(f"there is no pickle {stream}: {file} {_numbers(story)}", context)
        if as_json:
            _print_json(story, telling)
        else:
            _print(write(story, telling), color=telling.color)
    finally:
        source.close()
    context.exit(_CODES.get(story.report.verdict, 2))


def _policy(policy_file: str | None) -> Policy:
    return Policy.default() if policy_file is None else Policy.from_file(policy_file)


def _open(file: str) -> Source:
    if file != "-":
        return open_source(file)
    if sys.stdin is None:
        raise UsageError("standard input is closed; name a file instead of -")
    return open_source(sys.stdin.buffer, name="-")


def _numbers(story: Story) -> str:
    """Which pickles there are, shortly."""
    numbers = story.numbers
    if not numbers:
        return "has no pickle"
    shown = ", ".join(map(str, numbers[:20]))
    return f"has {'only ' if len(numbers) == 1 else ''}{shown}{', ...' if len(numbers) > 20 else ''}"


def _fickling() -> Python:
    """The other parser. Raises MissingExtra, with the line that installs it, before any work is done."""
    need("explain", "fickling")
    from safeload.integrations.other_parser import equivalent_python

    return equivalent_python


def _print(text: Iterable[str], *, color: bool) -> None:
    """Prints lines as they are made: a disassembly may be longer than memory."""
    made = iter(text)
    while block := list(islice(made, _BLOCK)):
        write_out("".join(f"{line}\n" for line in block), color=color)


def _print_json(story: Story, telling: Telling) -> None:
    from safeload.explaining.wire import dumps

    write_out(dumps(story, telling), color=False)
