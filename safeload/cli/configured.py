"""Gives the options of a command the defaults of the project in which the user stands.

The command line comes before the environment, the environment before the configuration, and the configuration before
the defaults that are built in. This file decides which configuration is read, and which is not.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import click

from safeload.errors import UsageError
from safeload.project.configuration import (
    FILE,
    LOOSENING,
    PREFIX,
    Configuration,
    Setting,
    find,
    from_environment,
    is_own,
    read,
)

SHARED = ("policy", "limit", "color")
"""Keys that mean the same wherever a command has an option of that name."""

IN_FORCE = "safeload.configuration"
"""Where a command finds, in the meta of its context, what was set for it: key -> Setting."""


class Configured(click.Command):
    """A command whose options take defaults from the configuration and the environment.

    keys    the keys that it takes, None for every key that it has an option for
    judges  whether its arguments are files to be judged: then their folder may not bring a configuration
    """

    keys: tuple[str, ...] | None = SHARED
    judges = True

    def __init__(self, *args: Any, **extra: Any) -> None:
        super().__init__(*args, **extra)
        self.params += [
            click.Option(
                ["--config", "config_file"],
                metavar="FILE",
                expose_value=False,
                help="Read this configuration, in place of the one of the project you stand in.",
            ),
            click.Option(["--no-config"], is_flag=True, expose_value=False, help="Read no configuration."),
        ]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Gives the options the defaults of this project, and then parses the command line."""
        given = {} if ctx.resilient_parsing else self.make_parser(ctx).parse_args(list(args))[0]
        if not ctx.resilient_parsing and not given.get("help"):
            named = [] if not self.judges else [value for param in self.params if isinstance(param, click.Argument)
                     for value in _texts(given.get(param.name))]  # fmt: skip
            file = given.get("config_file")
            off = given.get("no_config") is True
            settings = in_force(file if isinstance(file, str) else None, named, off=off, keys=self.keys)
            ctx.meta[IN_FORCE] = settings
            ctx.default_map = {**(ctx.default_map or {}), **self.defaults(ctx, settings)}
        return super().parse_args(ctx, args)

    def defaults(self, ctx: click.Context, settings: Mapping[str, Setting]) -> dict[str, Any]:
        """Parameter -> default. Raises UsageError that names the place of a value the option does not take."""
        found = {}
        for param in self.params:
            key = next((text[2:] for text in param.opts if text.startswith("--")), "")
            if param.name is None or key not in settings or (self.keys is not None and key not in self.keys):
                continue
            setting = settings[key]
            value = setting.value
            if isinstance(value, tuple) and not param.multiple:
                if len(value) != 1:
                    raise UsageError(f"{setting.whence}: {key!r} takes one value here")
                value = value[0]
            try:
                if key == "limit":
                    from safeload.limits import Limits

                    Limits.parse(setting.value)
                if key in ("exclude", "include"):
                    from safeload.inputs.selecting import selection

                    selection(setting.value)
                cast = param.type_cast_value(ctx, value)
                if key == "timeout" and not cast > 0:
                    raise UsageError("it takes a number of seconds above 0")
            except (click.BadParameter, UsageError) as error:
                message = error.message if isinstance(error, click.ClickException) else str(error)
                raise UsageError(f"{setting.whence}: {key!r}: {message}") from None
            found[param.name] = value
        return found


class Running(Configured):
    """A command whose arguments are code that the user runs. Nothing of it is judged."""

    judges = False


class Scanning(Configured):
    """A command that judges files as `safeload scan` does: it takes every key that it has an option for."""

    keys = None


def in_force(
    file: str | None, named: Iterable[str], *, off: bool, keys: tuple[str, ...] | None = None
) -> dict[str, Setting]:
    """What environment and configuration set for a command that takes `keys` and was given the paths `named`.

    `file` is the configuration that the user asked for, None to look for the project's. SECURITY: a configuration that
    is found inside a folder to be scanned is only read when that folder is the project's own: `configuration.is_own`.
    """
    environment = from_environment(os.environ)
    file = file or os.environ.get(f"{PREFIX}CONFIG") or None
    if off:
        return environment
    if file is not None:
        found = read(file) or Configuration()
    else:
        found = _found(list(named), LOOSENING if keys is None else keys)
    return {**found.settings, **environment}


def current_folder() -> str:
    """The folder in which the user stands, "" when it has been removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def _found(named: list[str], keys: tuple[str, ...]) -> Configuration:
    """The configuration of the project, unless it belongs to what is scanned. A loosening there gets a note."""
    here = current_folder()
    if not here:
        return Configuration()
    # A file that is named may lie in a downloaded folder, just as a folder that is named may be one.
    folders = [path if os.path.isdir(path) else os.path.dirname(path) or os.curdir for path in named]

    def may(path: str) -> bool:
        own = is_own(path, folders, here)
        if not own and (os.path.basename(path) == FILE or _configures(path)):
            shown = os.path.relpath(path)
            _note(f"{shown} lies in what is looked at, which is no repository: not read; --config {shown} reads it")
        return own

    found = find(here, may)
    loosened = [key for key in LOOSENING if key in found.settings and key in keys]
    if loosened and any(_inside(found.path, folder) for folder in folders):
        shown = os.path.relpath(found.path)
        _note(f"{shown} lies in what is looked at, and sets {', '.join(loosened)}; --no-config leaves it out")
    return found


def _configures(path: str) -> bool:
    """Whether a pyproject.toml that is not read looks as if it set something for safeload."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return b"[tool.safeload]" in file.read(1 << 20)
    return False


def _inside(path: str, folder: str) -> bool:
    return not is_own(path, (folder,), os.sep)


def _note(text: str) -> None:
    from safeload.reports import escape

    click.echo(f"Note: {escape.exact(text)}", err=True)


def _texts(value: object) -> list[str]:
    """The texts of an argument's value, as parsed."""
    return [v for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, str)]
