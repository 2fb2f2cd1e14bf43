"""`safeload verify`: whether a converted file holds what its source holds, from the two files alone."""

from __future__ import annotations

import sys
from typing import Any

import click

from safeload.cli.commands.convert import refusal_code, with_report
from safeload.cli.configured import Configured
from safeload.cli.exit_code import need, refuse, write_out
from safeload.cli.progress import byte_progress
from safeload.cli.text.convert_text import verified_text
from safeload.errors import NotEqual, UnsafeCheckpoint
from safeload.limits import Limits
from safeload.reports import escape

EXAMPLES = """\b
Examples:
  safeload verify model.pth model.safetensors
  safeload verify big.pt big.safetensors.index.json       a conversion with --max-shard-size
  safeload verify models/my-model/ models/my-model/       a sharded checkpoint

\b
Exit codes:
  0   equal: every name, type, shape, metadata entry and byte
  1   different, or SRC is refused as it would be by convert
  2   a file could not be judged or read, or the command line is wrong
"""


@click.command(cls=Configured, epilog=EXAMPLES, no_args_is_help=False)
@click.argument("src", type=click.UNPROCESSED)
@click.argument("dst", type=click.UNPROCESSED)
@click.option("--policy", "policy_file", metavar="FILE", help="The policy pack that the conversion was given.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as opcodes=500m.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing when they are equal.")
@click.pass_context
def verify(
    context: click.Context, src: str, dst: str, policy_file: str | None, limits: tuple[str, ...], quiet: bool
) -> None:
    """Compare DST, which was converted from SRC, with it: from the two files alone, however long ago that was.

    SRC is judged again, and DST says by which options it was made.
    """
    need("convert", "numpy", "safetensors")
    from safeload.converting.api import verify as compared

    options: dict[str, Any] = {"limits": Limits.parse(limits)}
    if policy_file is not None:
        from safeload.policy import Policy

        options["policy"] = Policy.find(policy_file)
    show = not quiet and bool(sys.stderr is not None and sys.stderr.isatty())
    try:
        with byte_progress(show=show) as progress:
            found = compared(src, dst, progress=progress, **options)
    except UnsafeCheckpoint as error:
        refuse(with_report(error), refusal_code(error))
    except NotEqual as error:
        refuse(f"{escape.path(dst)} does not hold what {escape.path(src)} holds: {error}", 1)
    if not quiet:
        write_out(verified_text(found, src, dst), color=False)
    context.exit(0)
