"""`safeload diff`: in what two checkpoints differ, whatever their formats and verdicts. Nothing of them is run."""

from __future__ import annotations

import sys

import click

from safeload.cli.coloring import color_option, colored, is_terminal
from safeload.cli.exit_code import UNFINISHED, write_out
from safeload.cli.progress import byte_progress
from safeload.cli.text.diff_text import difference_text
from safeload.inspecting.difference import diff as compared
from safeload.limits import Limits

EXAMPLES = """\b
Examples:
  safeload diff before.pth after.pth
  safeload diff model.pth model.safetensors        formats may differ
  safeload diff model.pth wrapped.pth              module. and _orig_mod. are seen and said
  safeload diff a.pth b.pth --keys-only            names, types and shapes, at once
  safeload diff a.pth b.pth --json                 for programs

\b
Exit codes:
  0   the same: names, types, shapes, values and bytes
  1   different
  2   cannot tell: nothing, or not all, of a file was understood; or the command line is wrong
"""

_SHOWN = 20


@click.command(epilog=EXAMPLES, no_args_is_help=False)
@click.argument("a", type=click.UNPROCESSED)
@click.argument("b", type=click.UNPROCESSED)
@click.option("--keys-only", is_flag=True, help="Names, types, shapes and other values; no bytes of tensors.")
@click.option("--json", "as_json", is_flag=True, help="For programs: safeload.diff/1.")
@click.option("--all", "every", is_flag=True, help="Every line, also on a terminal.")
@click.option("--policy", "policy_file", metavar="FILE", help="A policy pack on top of the rules of safeload.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as names=10m.")
@click.option("-q", "--quiet", is_flag=True, help="No output: the exit code says it.")
@color_option
@click.pass_context
def diff(
    context: click.Context,
    a: str,
    b: str,
    keys_only: bool,
    as_json: bool,
    every: bool,
    policy_file: str | None,
    limits: tuple[str, ...],
    quiet: bool,
    color: str,
) -> None:
    """Compare the checkpoints A and B without loading them: keys, types, shapes, values, and the bytes of tensors.

    A name that both have means the same tensor; when all names of one differ by a prefix, they are compared under it.
    """
    from safeload.policy import Policy

    policy = Policy.default() if policy_file is None else Policy.from_file(policy_file)
    show = not quiet and is_terminal(sys.stderr)
    with byte_progress(show=show) as progress:
        found = compared(a, b, keys_only=keys_only, policy=policy, limits=Limits.parse(limits), progress=progress)
    if not quiet:
        most = _SHOWN if is_terminal(sys.stdout) and not every else None
        text = found.to_json() if as_json else difference_text(found, most, color=colored(color))
        write_out(text, color=colored(color) and not as_json)
    context.exit(1 if not found.equal else 0 if found.understood else UNFINISHED)
