"""`safeload inspect`: what is in a checkpoint, whatever its verdict: nothing of it is run, no tensor is read."""

from __future__ import annotations

import shutil
import sys

import click

from safeload.cli.coloring import color_option, colored, is_terminal
from safeload.cli.exit_code import UNFINISHED, write_out
from safeload.cli.text.convert_text import count
from safeload.cli.text.inspect_text import listed, matching, ordered, summary, table, telling, tied_to, tree
from safeload.inputs import open_source
from safeload.inspecting.inspection import inspection
from safeload.inspecting.wire import inspection_json
from safeload.limits import Limits
from safeload.machine.pause import pause, resume

EXAMPLES = """\b
Examples:
  safeload inspect model.pth
  safeload inspect model.pth --tree                 nested; what repeats stands once
  safeload inspect model.pth --sort size            the largest tensors first
  safeload inspect model.pth --match '*.bias'       some of it
  safeload inspect model.safetensors.index.json     all shards together
  safeload inspect model.pth --json                 for programs

\b
Exit codes:
  0   shown, whatever the verdict: safeload scan is the judge
  2   nothing in the file was understood, or the command line is wrong
"""


@click.command(epilog=EXAMPLES, no_args_is_help=False)
@click.argument("file", type=click.UNPROCESSED)
@click.option("--tree", "as_tree", is_flag=True, help="Indented and nested, with what repeats shown once.")
@click.option("--json", "as_json", is_flag=True, help="For programs: safeload.inspect/1, all of it.")
@click.option("--sort", type=click.Choice(["size", "name", "file"]), help="The order; file: by position in the file.")
@click.option("--match", "globs", multiple=True, metavar="GLOB", help="Only names like this; may be given again.")
@click.option("--all", "every", is_flag=True, help="Every line in full, also on a terminal.")
@click.option("--policy", "policy_file", metavar="FILE", help="A policy pack on top of the rules of safeload.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as names=10m.")
@color_option
@click.pass_context
def inspect(
    context: click.Context,
    file: str,
    as_tree: bool,
    as_json: bool,
    sort: str | None,
    globs: tuple[str, ...],
    every: bool,
    policy_file: str | None,
    limits: tuple[str, ...],
    color: str,
) -> None:
    """Show what is in FILE without loading it: container, verdict, tensors, values, classes, and what is tied.

    FILE is a checkpoint of any format that scan judges, the index of shards, or - for standard input.
    """
    if as_tree and (as_json or sort):
        raise click.UsageError(f"--tree and {'--json' if as_json else '--sort'} exclude each other", context)
    from safeload.policy import Policy

    if file == "-" and sys.stdin is None:
        raise click.UsageError("standard input is closed", context)
    policy = Policy.default() if policy_file is None else Policy.from_file(policy_file)
    source = open_source(sys.stdin.buffer, name="-") if file == "-" else open_source(file)
    # Collections would walk through all that is listed and free nothing.
    pause()
    try:
        found = inspection(source, policy, Limits.parse(limits))
    finally:
        resume()
        source.close()
    entries = list(found.entries) if not globs else matching(found.entries, globs)
    code = 0 if found.entries else UNFINISHED
    if as_json:
        write_out(inspection_json(found, tuple(ordered(entries, sort))), color=False)
        context.exit(code)
    seen = is_terminal(sys.stdout) and not every
    columns, rows = shutil.get_terminal_size()
    head = summary(found, color=colored(color), every=every)
    width, most = (columns, max(rows - len(head) - 3, 10)) if seen else (None, None)
    tied, shown = tied_to(found), entries if every or globs else telling(entries)
    body = tree(shown, tied, width, most) if as_tree else table(ordered(listed(shown), sort), tied, width, most)
    if len(shown) < len(entries):
        body.append(f"{count(len(entries) - len(shown), 'empty private attribute')} left out: --all")
    if globs and not entries:
        body = ["nothing matches: --match takes names like 'layers.*.weight'"]
    write_out("".join(f"{line}\n" for line in [*head, *([""] if body else []), *body]), color=colored(color))
    context.exit(code)
