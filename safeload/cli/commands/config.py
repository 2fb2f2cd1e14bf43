"""`safeload config`: what is in force in this folder, and where each value comes from. Changes nothing."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from safeload.cli.configured import IN_FORCE, Scanning
from safeload.cli.exit_code import write_out
from safeload.project.configuration import KEYS, Setting
from safeload.reports import escape

EXAMPLES = """\b
Examples:
  safeload config                        what a scan from here would use, and whence
  safeload config --config ci.toml       the same with another configuration
  SAFELOAD_JOBS=4 safeload config        the environment goes before the configuration
"""


@click.command(cls=Scanning, epilog=EXAMPLES, no_args_is_help=False)
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
@click.pass_context
def config(context: click.Context, as_json: bool) -> None:
    """Show what is in force for `safeload scan` in this folder, and where it stands.

    The command line goes before the environment (SAFELOAD_FAIL_ON, SAFELOAD_JOBS, ...), that before the configuration:
    safeload.toml, or [tool.safeload] in pyproject.toml, from here upwards to the root of the repository.
    """
    from safeload.cli.commands.scan import scan

    settings: dict[str, Setting] = context.meta[IN_FORCE]
    if isinstance(scan, Scanning):
        scan.defaults(context, settings)  # what the options do not take is an error here as well
    rows: list[dict[str, Any]] = []
    for key in KEYS:
        setting = settings.get(key)
        value = _from_here(key, setting.value) if setting else _built_in(scan, key)
        rows.append({"option": key, "value": value, "whence": _shown(setting.whence) if setting else "default"})
    if as_json:
        write_out(json.dumps(rows, ensure_ascii=True, indent=2) + "\n", color=False)
        context.exit(0)
    lines = [("option", "value", "whence")]
    lines += [(row["option"], _words(row["value"]), row["whence"]) for row in rows]
    wide = [max(len(line[column]) for line in lines) for column in (0, 1)]
    text = "".join(f"{a:{wide[0]}}  {b:{wide[1]}}  {escape.exact(c)}\n" for a, b, c in lines)
    write_out(text, color=False)
    context.exit(0)


def _built_in(command: click.Command, key: str) -> Any:
    """What the option of this name is when nobody says anything."""
    for param in command.params:
        if f"--{key}" in param.opts and isinstance(param, click.Option):
            if param.is_flag:
                return False
            if isinstance(param.default, str | int):
                return param.default
    return {"policy": "standard", "format": "text"}.get(key)


def _from_here(key: str, value: Any) -> Any:
    """A value; a file from this folder, as it would be named on the command line."""
    return os.path.relpath(value) if KEYS[key].file and os.path.isabs(value) else value


def _shown(whence: str) -> str:
    """A place, from this folder where it lies at or above it."""
    path, colon, line = whence.rpartition(":")
    return f"{os.path.relpath(path)}:{line}" if colon and os.path.isabs(path) else whence


def _words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape.exact(" ".join(map(str, value)) if isinstance(value, tuple) else str(value))
