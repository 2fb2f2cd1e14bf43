"""`--color`: the option of every command that colours its text, and the answer whether a text has colours."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click


def color_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command the option; its function takes `color`, for `colored`."""
    return click.option(
        "--color",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        help="Colors in text: auto (a terminal, unless NO_COLOR; or FORCE_COLOR), always, never.  [default: auto]",
    )(function)


def colored(choice: str, to_file: str | None = None) -> bool:
    """Whether text has colors: what was asked for, then NO_COLOR, then FORCE_COLOR, then the terminal.

    `to_file` is the file that the text goes to, None for standard output.
    """
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR", "0") not in {"", "0", "false"}:
        return True
    return to_file is None and is_terminal(sys.stdout) and os.environ.get("TERM") != "dumb"


def is_terminal(stream: object) -> bool:
    """Whether `stream` is a terminal. A standard stream that was closed is None."""
    return bool(stream is not None and getattr(stream, "isatty", lambda: False)())
