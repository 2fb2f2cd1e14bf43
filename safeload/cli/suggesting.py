"""A group of commands that suggests the right name for a mistyped one. It imports no command to do so."""

from __future__ import annotations

import os
from typing import NoReturn

import click


class Suggesting(click.Group):
    """A group whose unknown commands are an error with the closest names. (Options: click does it itself.)"""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments; none at all is an error with the commands that there are."""
        if not args and not self.no_args_is_help and not ctx.resilient_parsing:
            raise click.UsageError(f"Missing command, one of: {', '.join(self.list_commands(ctx))}", ctx)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument, or the error."""
        name = args[0]
        if not ctx.resilient_parsing and not name.startswith("-") and name not in self.list_commands(ctx):
            self._refuse(name, ctx)
        return super().resolve_command(ctx, args)

    def _refuse(self, name: str, ctx: click.Context) -> NoReturn:
        # Written here and not left to click: only its newest versions suggest commands, and none knows lazy ones.
        message = f"No such command {name!r}."
        if close := closest(name, self.list_commands(ctx)):
            message += f" Did you mean {' or '.join(map(repr, close))}?"
        elif ctx.parent is None and os.path.exists(name):
            from safeload.reports import escape

            message += f" It is a file or folder; to judge it: safeload scan {escape.argument(name)}"
        raise click.UsageError(message, ctx)


def closest(word: str, words: list[str]) -> list[str]:
    """Up to three of `words` that `word` was likely to be, the likeliest first."""
    from difflib import get_close_matches

    return get_close_matches(word.lower(), words)
