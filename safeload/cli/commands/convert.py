"""`safeload convert`: a checkpoint, a sharded checkpoint or a folder of them becomes safetensors, and is verified."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from safeload.cli.configured import Configured
from safeload.cli.exit_code import need, refuse, write_out
from safeload.cli.progress import byte_progress
from safeload.cli.text.convert_text import folder_text, listed, single_text
from safeload.errors import UnsafeCheckpoint, UsageError
from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.reports import escape

if TYPE_CHECKING:
    from safeload.converting.many.folder import FolderConversion

EXAMPLES = """\b
Examples:
  safeload convert model.pth                         writes model.safetensors beside it
  safeload convert model.ckpt out.safetensors --manifest out.json
  safeload convert big.pt --max-shard-size 5GB       model-00001-of-0000N.safetensors, and an index
  safeload convert models/my-model/                  pytorch_model.bin, or its shards, where transformers looks
  safeload convert models/ out/ --recursive          every checkpoint below models/; --manifest lists them all
  safeload convert train.ckpt --keys 'state_dict.*' --strip-prefix state_dict.
  safeload convert net.pt --records                  a pickled module: its state_dict, without its class
  safeload convert evil.pt --disarm                  the tensors of a dangerous file; nothing in it runs

\b
Exit codes:
  0   converted, and verified byte for byte
  1   refused: the file is dangerous, or names something outside the vetted table
  2   it could not be judged, read or written, or the command line is wrong; nothing was written
"""


def _renames(context: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """OLD=NEW pairs. A name with an equals sign in it is for the Python interface."""
    found: dict[str, str] = {}
    for value in values:
        old, sign, new = value.partition("=")
        if not (sign and old and new):
            raise click.BadParameter(f"it takes OLD=NEW, not {value!r}", context, option)
        if found.setdefault(old, new) != new:
            raise click.BadParameter(f"{old!r} has two new names", context, option)
    return found


@click.command(cls=Configured, epilog=EXAMPLES, no_args_is_help=False)
@click.argument("src", type=click.UNPROCESSED)
@click.argument("dst", required=False, type=click.UNPROCESSED)
@click.option(
    "--recursive", is_flag=True, help="SRC is a folder: convert every checkpoint below it, skip what is done."
)
@click.option("--max-shard-size", metavar="SIZE", help="Split the output into files of at most SIZE, as 5GB or 500MB.")
@click.option("--dtype", type=click.Choice(["bf16", "fp16", "fp32"]), help="Cast floating tensors, round to even.")
@click.option("--keys", multiple=True, metavar="GLOB", help="Keep tensors whose name matches; repeatable.")
@click.option("--strip-prefix", default="", metavar="PREFIX", help="Take PREFIX off every name; all must have it.")
@click.option("--rename", multiple=True, callback=_renames, metavar="OLD=NEW", help="Rename a tensor; repeatable.")
@click.option(
    "--allow", type=click.Choice(["unvetted"]), help="Leave out objects of classes outside the table, and list them."
)
@click.option("--records", is_flag=True, help="SRC is a pickled module: convert its state_dict, without its class.")
@click.option("--disarm", is_flag=True, help="Take the tensors out of a dangerous file; list every call left out.")
@click.option("--force", is_flag=True, help="Replace DST when it exists.")
@click.option("--manifest", metavar="FILE", help="Write digests, findings and what was left out to FILE, as JSON.")
@click.option("--jobs", type=click.IntRange(1, 64), default=2, metavar="N", help="Files at a time.  [default: 2]")
@click.option("--policy", "policy_file", metavar="NAME|FILE", help="A policy by name, or a policy pack of your own.")
@click.option("--limit", "limits", multiple=True, metavar="NAME=VALUE", help="Raise or lower a limit, as opcodes=500m.")
@click.option("-q", "--quiet", is_flag=True, help="Nothing when all is well and nothing was left out.")
@click.pass_context
def convert(
    context: click.Context,
    /,
    src: str,
    dst: str | None,
    recursive: bool,
    max_shard_size: str | None,
    jobs: int,
    policy_file: str | None,
    limits: tuple[str, ...],
    quiet: bool,
    **given: Any,
) -> None:
    """Convert a checkpoint to safetensors, without torch and without running anything in it.

    SRC is a file, a folder with a sharded checkpoint, or with --recursive a folder of checkpoints. DST is where the
    result goes; without it, it goes beside SRC under the same name with the suffix .safetensors.

    Only a clean file converts. The result is read back and compared with SRC byte for byte before it takes its name.
    """
    need("convert", "numpy", "safetensors")
    from safeload.converting.api import convert as converted
    from safeload.converting.many.folder import FolderConversion

    options = {name: value for name, value in given.items() if value}
    options["limits"] = Limits.parse(limits)
    if policy_file is not None:
        from safeload.policy import Policy

        options["policy"] = Policy.find(policy_file)
    if max_shard_size is not None:
        options["max_shard_size"] = max_shard_size
    source: Any = src
    if src == "-":
        if dst is None:
            raise click.UsageError("standard input has no name: give DST", context)
        source = sys.stdin.buffer
    show = not quiet and bool(sys.stderr is not None and sys.stderr.isatty())
    try:
        with byte_progress(show=show) as progress:
            done = converted(source, dst, recursive=recursive, jobs=jobs, progress=progress, **options)
    except UnsafeCheckpoint as error:
        refuse(with_report(error), refusal_code(error))
    if isinstance(done, FolderConversion):
        _end_folder(context, done, quiet)
    text = single_text(done)
    if not quiet or listed(done):
        write_out(text, color=False)
    context.exit(0)


def _end_folder(context: click.Context, done: FolderConversion, quiet: bool) -> NoReturn:
    """Says what became of each file of a folder, and exits with the highest code of any of them."""
    codes = [
        refusal_code(outcome.error) if isinstance(outcome.error, UnsafeCheckpoint) else 2
        for outcome in done.outcomes
        if outcome.error is not None
    ]
    left_out = done.empty or any(o.conversion is not None and listed(o.conversion) for o in done.outcomes)
    if not quiet or codes or left_out:
        write_out(folder_text(done) + _beside(done), color=False)
    if not any(outcome.conversion is not None or outcome.done for outcome in done.outcomes) and not codes:
        raise UsageError(f"there is no checkpoint below {os.fspath(done.source)!r}")
    context.exit(max(codes, default=0))


def _beside(done: FolderConversion) -> str:
    """What belongs to a folder as a whole: shards without an output, and the manifest."""
    lines = [f"no file for {escape.path(outcome.source)}: {outcome.skipped}\n" for outcome in done.empty]
    if done.manifest is not None:
        lines.append(f"manifest {escape.path(done.manifest)}\n")
    return "".join(lines)


def with_report(error: UnsafeCheckpoint) -> str:
    """The message of a refusal, with the command that shows the full report as the last way forward."""
    path = getattr(error.report, "path", "")
    if not path or path.startswith("<"):
        return str(error)
    return f"{error}\n  - the full report: safeload scan {escape.argument(path)}"


def refusal_code(error: UnsafeCheckpoint) -> int:
    """As for a scan: 2 for what was not understood, 1 for what was and is refused."""
    verdict = getattr(error.report, "verdict", Verdict.UNJUDGED)
    return 1 if verdict in {Verdict.DANGEROUS, Verdict.UNVETTED} else 2
