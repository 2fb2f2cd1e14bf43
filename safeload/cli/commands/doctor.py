"""`safeload doctor`: what of safeload works on this machine, what is missing, what that costs, and what installs it.

Each optional part is imported here, so that "there" means "works". Judges nothing.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click

from safeload.cli.coloring import color_option, colored
from safeload.cli.exit_code import write_out
from safeload.cli.parts import Part, parts, version_tuple
from safeload.install import install_line

SCHEMA = "safeload.doctor/1"

EXAMPLES = """\b
Examples:
  safeload doctor
  safeload doctor --json

\b
Exit codes:
  0   nothing is broken; optional parts may be missing
  1   something is installed and does not work: too old, or it fails
"""

PYTHON = (3, 11)


class Line(NamedTuple):
    """One thing that was looked at. state: "ok", "missing" or "broken"; found: its version, or what is wrong."""

    name: str
    state: str
    found: str
    without: str = ""
    install: str = ""


@click.command(epilog=EXAMPLES, no_args_is_help=False)
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
@color_option
@click.pass_context
def doctor(context: click.Context, as_json: bool, color: str) -> None:
    """Say what of safeload works here, what is missing, what that costs, and the command that installs it."""
    lines = (*own(), *(examined(part) for part in parts()), fence())
    broken = any(line.state == "broken" for line in lines)
    if as_json:
        fields: dict[str, Any] = {"schema": SCHEMA, "ok": not broken, "parts": [line._asdict() for line in lines]}
        write_out(json.dumps(fields, indent=2) + "\n", color=False)
    else:
        write_out(text(lines), color=colored(color))
    context.exit(1 if broken else 0)


def own() -> Iterator[Line]:
    """Safeload itself, and the Python that runs it."""
    from safeload.machine import interpreter
    from safeload.policy import Policy
    from safeload.report import VERSION

    yield Line("safeload", "ok", f"{VERSION}, policy {Policy.default().digest[:12]}")
    version = ".".join(map(str, sys.version_info[:3]))
    old = sys.version_info[:2] < PYTHON
    yield Line("python", "broken" if old else "ok", f"{version} at {sys.executable}")
    if interpreter.__file__.endswith(".py"):
        yield Line(
            "machine",
            "missing",
            "plain Python",
            "scans give the same answers, more slowly",
            f"a C compiler, then: {install_line(options='--force-reinstall --no-deps')}",
        )
    else:
        yield Line("machine", "ok", "compiled")


def examined(part: Part) -> Line:
    """What asking a part for its version brings."""
    try:
        version = part.version()
    except Exception as error:  # a library may fail in any way while it is imported
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return Line(part.name, "broken", reason, part.without, part.install)
    if version is None:
        return Line(part.name, "missing", "", part.without, part.install)
    if part.least and version_tuple(version) < version_tuple(part.least):
        return Line(part.name, "broken", f"{version}, older than {part.least}", part.without, part.install)
    return Line(part.name, "ok", version)


def fence() -> Line:
    """Whether the kernel holds a worker, asked of one that was started."""
    from safeload.limits import Limits
    from safeload.policy import Policy
    from safeload.workers import Settings
    from safeload.workers.pool import probe
    from safeload.workers.process import Ended

    name, without = "fence", "workers of --jobs are held by limits of the system alone, not by the kernel's filter"
    try:
        found = probe(Settings(Policy.default(), None, Limits()))
    except Ended as error:
        return Line(name, "broken", error.finding.message, "--jobs and --timeout judge nothing")
    bounds = "bounds: " + (", ".join(found.bounds) or "none")
    if found.calls:
        return Line(name, "ok", f"system calls are filtered; {bounds}")
    if not sys.platform.startswith("linux"):
        return Line(name, "missing", f"{bounds}; {found.reason}", without)
    library = install_line("sandbox")
    if "libseccomp" in found.reason:
        library = "apt-get install libseccomp2"
    return Line(name, "missing", f"{bounds}; {found.reason}", without, library)


def text(lines: tuple[Line, ...]) -> str:
    """A line for each part, then what is missing with its cost and its command."""
    from safeload.reports import escape

    paint: dict[str, Callable[[str], str]] = {
        "ok": lambda word: click.style(word, fg="green"),
        "missing": lambda word: click.style(word, fg="yellow"),
        "broken": lambda word: click.style(word, fg="red", bold=True),
    }
    width = max(len(line.name) for line in lines)
    shown = []
    for line in lines:
        state = paint[line.state](f"{line.state:7}")
        shown.append(f"{line.name:{width}}  {state}  {escape.exact(line.found)}".rstrip())
        if line.without and line.state != "ok":
            shown.append(f"{'':{width}}    without it  {line.without}")
        if line.install and line.state != "ok":
            shown.append(f"{'':{width}}    install     {line.install}")
    broken = [line.name for line in lines if line.state == "broken"]
    missing = [line.name for line in lines if line.state == "missing"]
    end = f"Broken: {', '.join(broken)}." if broken else "Nothing is broken."
    if missing:
        end += f" Not here, and optional: {', '.join(missing)}."
    return "\n".join([*shown, "", end]) + "\n"
