"""`--exclude` and `--include`: the options, and what they leave of the files that a hook is given."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import click

from safeload.inputs.selecting import Selection, below
from safeload.inputs.walk import Selected, Target
from safeload.project.configuration import repository
from safeload.report import Excluded


def pattern_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The two options. Patterns come from whoever starts the command: none is read from a scanned folder."""
    for name, text in (
        ("--include", "Judge only the files that match a PATTERN; repeatable."),
        ("--exclude", "Leave out files and folders that match PATTERN, in gitignore syntax; repeatable."),
    ):
        command = click.option(name, multiple=True, metavar="PATTERN", help=text)(command)
    return command


def top_folder() -> str:
    """The folder that the patterns of a hook start from: that of the repository, or the current one without any."""
    return repository(os.curdir) or os.curdir


def named(targets: Iterable[Target], selection: Selection | None, *, from_top: bool) -> Selected:
    """The targets of a hook that the patterns leave in. `from_top`: their paths start at the top of the repository.

    The names come from a program that names every file, so a name is no request for this very file.
    """
    given = tuple(targets)
    if selection is None:
        return Selected(given, Excluded())
    top = "" if from_top else top_folder()
    kept = []
    for target in given:
        way = target.path.replace(os.sep, "/") if from_top else below(target.path, top)
        # What lies elsewhere, or is standard input, no pattern is about.
        if target.path == "-" or not way or not selection.omits(way):
            kept.append(target)
    return Selected(tuple(kept), Excluded(len(given) - len(kept)))
