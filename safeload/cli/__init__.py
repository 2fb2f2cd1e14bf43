"""The command line. Only this folder uses click, prints and exits. Each command has a file of its own.

The file of a command is imported when the command is used, so that a start costs only what that command needs.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, NoReturn

import click

from safeload.cli.exit_code import INTERRUPTED, UNFINISHED, complain, end_process, leave, lost_output
from safeload.cli.suggesting import Suggesting
from safeload.errors import InputError, OutputError, SafeloadError

# Command, the file that holds it under the same name, and its line in `safeload --help`.
COMMANDS = (
    ("scan", "safeload.cli.commands.scan", "Judge checkpoints without running them."),
    ("inspect", "safeload.cli.commands.inspect", "Show what is in a checkpoint without loading it."),
    ("diff", "safeload.cli.commands.diff", "Compare two checkpoints without loading them."),
    ("explain", "safeload.cli.commands.explain", "Tell in words what plain pickle would do with a file."),
    ("run", "safeload.cli.commands.run", "Run a Python program with torch.load guarded."),
    ("convert", "safeload.cli.commands.convert", "Convert checkpoints to safetensors, and verify them."),
    ("verify", "safeload.cli.commands.verify", "Compare a converted file with its source."),
    ("attest", "safeload.cli.commands.attest", "Check a file against the statement of its clean verdict."),
    ("baseline", "safeload.cli.commands.baseline", "Known findings: let only what is new fail."),
    ("rules", "safeload.cli.commands.rules", "Check, list and explain rules and packs."),
    ("config", "safeload.cli.commands.config", "Show what is configured here, and where."),
    ("hook", "safeload.cli.hook.commands", "For pre-commit and CI: judge what is about to be committed."),
    ("doctor", "safeload.cli.commands.doctor", "What is installed, what is missing, and what installs it."),
    ("completion", "safeload.cli.commands.completion", "Print the script for completion in bash, zsh or fish."),
    ("help", "safeload.cli.commands.help_topics", "Short texts: verdicts, exit codes, limits, CI and more."),
)

EXAMPLES = """\b
Examples:
  safeload scan model.pt                 one file
  safeload scan models/                  every file in a folder
  curl -s URL | safeload scan -          what comes through a pipe
  safeload scan models/ --format json    for programs
  safeload help                          short texts on verdicts, limits, CI and more

\b
Exit codes:
  0   every file is clean
  1   a file is dangerous, or names something outside the vetted table
  2   a file could not be judged, nothing was scanned, or the command line is wrong
"""


class Lazy(Suggesting):
    """A group that has the names of its commands, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of COMMANDS."""
        return [name for name, _, _ in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name."""
        for name, module, _ in COMMANDS:
            if name == cmd_name:
                command = getattr(import_module(module), name)
                return command if isinstance(command, click.Command) else None
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, _, line in COMMANDS])

    def main(self, args: Any = None, prog_name: str | None = None, *_: Any, **extra: Any) -> Any:
        """Runs a command and exits: with 130 after Ctrl-C, with 2 when anything keeps a command from its work."""
        extra.pop("standalone_mode", None)
        if "_SAFELOAD_COMPLETE" in os.environ:  # a shell asks what could follow
            from safeload.cli.commands.completion import register

            register()
        empty = not (sys.argv[1:] if args is None else args)
        try:
            code = super().main(["--help"] if empty else args, prog_name or "safeload", standalone_mode=False, **extra)
            # Without a command the help is printed, and still nothing was scanned: that is no success.
            leave(code if isinstance(code, int) and not empty else UNFINISHED)
        except click.exceptions.Exit as exit_:
            leave(exit_.exit_code)
        except click.ClickException as error:
            context = getattr(error, "ctx", None)
            # For a choice that is missing, click lists the values one a line with tabs. Tabs would be shown as escapes.
            complain(error.format_message().replace("\n\t", " "), context)
        except (InputError, OutputError) as error:
            complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        except SafeloadError as error:
            complain(str(error))
        except (click.Abort, KeyboardInterrupt):
            leave(INTERRUPTED)
        except OSError as error:
            if error.filename:
                complain(f"{error.filename}: {error.strerror}")
            lost_output(error)
            leave(UNFINISHED)
        except Exception:
            # A bug of ours must not exit with 1: that says that a file was judged.
            import traceback

            complain(f"safeload itself failed, please report it\n{traceback.format_exc()}")


@click.group(cls=Lazy, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda c, _, v: version(c, v),
    help="Show version and policy digest and exit.",
)
def app() -> None:
    """Judge model checkpoints without running them: nothing in a file can make safeload call anything outside a
    closed, reviewed table.
    """


def version(context: click.Context, wanted: bool) -> None:
    """Prints the version and the first twelve digits of the policy's digest."""
    if wanted and not context.resilient_parsing:
        from safeload.policy import Policy
        from safeload.report import VERSION

        click.echo(f"safeload {VERSION} (policy {Policy.default().digest[:12]})")
        context.exit()


def main() -> NoReturn:
    """The console script."""
    import gc

    # Objects that are made during the start stay: collections would find nothing and take a tenth of its time.
    gc.set_threshold(50_000)
    try:
        app.main()
    except SystemExit as done:
        end_process(done.code)
    raise AssertionError("app.main exits")
