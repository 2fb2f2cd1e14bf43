"""`safeload run`: a whole Python program and its Python children, with torch.load guarded from the start.

Becomes Python itself: arguments, `__main__`, tracebacks, signals and exit codes are Python's own.
"""

from __future__ import annotations

import os
import subprocess
import sys

import click

from safeload.cli.configured import Running
from safeload.cli.exit_code import complain
from safeload.integrations.program import environment

EXAMPLES = """\b
Examples:
  safeload run train.py --resume last.pt
  safeload run -m my_package.evaluate --all
  safeload run --trust my_package.models.Net serve.py
  safeload run --unvetted record inspect_old.py

Covered: torch.load and torch.serialization.load, and what calls them, in the program and in the Python processes that
it starts (subprocess, multiprocessing). Not covered: children started with python -I, -E or -S or without this
environment, torch.jit.load, pickle, joblib, numpy.
"""

_CHECK = (
    "import sys\n"
    "if not any(type(finder).__name__ == 'TorchHook' for finder in sys.meta_path):\n"
    "    sys.exit('its startup file was not run')\n"
    "import safeload\n"
)


@click.command(cls=Running, epilog=EXAMPLES, context_settings={"allow_interspersed_args": False})
@click.option("-m", "is_module", is_flag=True, help="The first argument is a module, as with python -m.")
@click.option(
    "--unvetted",
    type=click.Choice(["refuse", "record"]),
    default="refuse",
    help="What becomes of classes outside the table: the load is refused, or they become inert records.  "
    "[default: refuse]",
)
@click.option(
    "--trust", multiple=True, metavar="NAME", help="A class to rebuild, as my_package.models.Net; repeatable."
)
@click.option("--policy", metavar="NAME|FILE", help="A policy by name, or a policy pack of your own.")
@click.argument("program", nargs=-1, required=True, metavar="SCRIPT [ARGUMENT...]", type=click.UNPROCESSED)
@click.pass_context
def run(
    context: click.Context,
    is_module: bool,
    unvetted: str,
    trust: tuple[str, ...],
    policy: str | None,
    program: tuple[str, ...],
) -> None:
    """Run a Python program with torch.load guarded by safeload, from its first line and in its children.

    SCRIPT is a file, or with -m a module; everything behind it belongs to the program.
    """
    if policy is not None:
        from safeload.policy import Policy

        Policy.find(policy)
    settings = environment(unvetted, trust, policy)
    if not sys.executable:
        complain("this Python does not know its own path, so it cannot start a program")
    # SECURITY: a Python that does not run the startup file would run the program unguarded, and nobody would notice.
    check = [sys.executable, "-P", "-c", _CHECK]
    done = subprocess.run(check, env=settings, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it ended early"])[-1]
        complain(f"{sys.executable} cannot run a guarded program: {reason}")
    # SECURITY: "--", or a first argument such as -I would be an option of Python's and lift the guard.
    command = [sys.executable, "-m" if is_module else "--", *program]
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    if os.name == "nt":  # where exec starts a second process and lets the caller go on
        context.exit(subprocess.call(command, env=settings))  # noqa: S603
    os.execve(command[0], command, settings)  # noqa: S606
