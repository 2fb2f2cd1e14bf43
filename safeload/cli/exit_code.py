"""Ends a command: exit codes, messages on standard error, and output that has to arrive."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import NoReturn

import click

from safeload.errors import MissingExtra
from safeload.install import install_line

UNFINISHED = 2
INTERRUPTED = 130


def leave(code: int) -> NoReturn:
    """Exits once the output has arrived. Output that cannot arrive is a failure; a closed pipe is none."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        code = code if is_closed_pipe(error) else UNFINISHED
        lost_output(error)
    sys.exit(code)


def end_process(code: object) -> NoReturn:
    """Ends the process of a command at once, with the code of a SystemExit.

    An interpreter that ends as usual frees every object, which takes 12 ms: more than judging a file. Nothing is left
    to be done once the output is written: each `with` has closed its files and workers.
    """
    if not isinstance(code, int):
        sys.exit(0 if code is None else str(code))
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            sys.exit(code)
    os._exit(code)


def lost_output(error: OSError) -> None:
    """Gives up standard output, and says that it cannot be written, unless its reader went away."""
    _silence()
    if not is_closed_pipe(error):
        _say(f"standard output could not be written: {error.strerror}")


def complain(message: str, context: click.Context | None = None) -> NoReturn:
    """Exits with 2 and a message on standard error. Names in it are escaped: a shell may have listed them."""
    _say(message)
    if context is not None:
        _say(f"{context.command_path} --help", label="See")
    leave(UNFINISHED)


def refuse(message: str, code: int) -> NoReturn:
    """Exits with `code` and a message on standard error: what was refused, why, and what the user can do."""
    _say(message, "Refused")
    leave(code)


def _say(message: str, label: str = "Error") -> None:
    from safeload.reports import escape

    text = "\n".join(escape.exact(line) for line in message.split("\n"))
    with contextlib.suppress(OSError):
        click.echo(f"{label}: {text}", err=True)


def write_out(text: str, *, color: bool) -> None:
    """Prints a report on standard output. When the reader went away (`| head`), that is no error."""
    if sys.stdout is None:
        complain("standard output is closed; write the report to a file with -o FILE")
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    # A terminal that cannot show a letter shows its escape.
    shown = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        click.echo(shown, nl=False, color=color)
        sys.stdout.flush()
    except OSError as error:
        lost_output(error)
        if not is_closed_pipe(error):
            leave(UNFINISHED)


def is_closed_pipe(error: OSError) -> bool:
    """Whether nobody reads any more; Windows says EINVAL."""
    return isinstance(error, BrokenPipeError) or (os.name == "nt" and error.errno == errno.EINVAL)


def _silence() -> None:
    """Points standard output at nothing, so that the interpreter does not fail over it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())
        os.close(nothing)


def need(extra: str, *modules: str) -> None:
    """Checks that the modules of an extra can be imported. Raises MissingExtra, with the line that installs it."""
    from importlib.util import find_spec

    for module in modules:
        if find_spec(module) is None:
            raise MissingExtra(f"this needs {module}, which is not installed: {install_line(extra)}")
