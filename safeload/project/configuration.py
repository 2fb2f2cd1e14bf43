"""The settings of a project: `safeload.toml`, `[tool.safeload]` in pyproject.toml, and SAFELOAD_* in the environment.

Finds, reads and checks them, and says where each value comes from. Keys are the names of the command's options; the
command line knows what a value means. Knows no command, scans nothing and prints nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from safeload.errors import UsageError
from safeload.inputs.toml_file import key_lines, text_of, toml_of

FILE = "safeload.toml"
PYPROJECT = "pyproject.toml"
PREFIX = "SAFELOAD_"


class Key(NamedTuple):
    """One key: its TOML type for people, its Python types, whether it may be a list, and whether it names a file."""

    wanted: str
    types: tuple[type, ...]
    several: bool = False
    file: bool = False


_TEXT = Key("a text", (str,))
_TEXTS = Key("a text or a list of texts", (str,), several=True)
_FLAG = Key("true or false", (bool,))
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}

KEYS: Mapping[str, Key] = {
    "policy": Key("a text", (str,), file=True),
    "baseline": Key("a text", (str,), file=True),
    "fail-on": _TEXT,
    "allow-empty": _FLAG,
    "jobs": Key("a whole number", (int,)),
    "timeout": Key("a number of seconds", (int, float)),
    "limit": _TEXTS,
    "format": _TEXTS,
    "color": _TEXT,
    "exclude": _TEXTS,
    "include": _TEXTS,
}
"""Name of an option -> what a configuration may set it to."""

LOOSENING = ("baseline", "fail-on", "allow-empty", "policy", "limit", "exclude", "include")
"""Keys that can change what a scan lets pass. The command names them when they come from a scanned folder."""

POLICIES = ("weights-only", "standard", "strict")
"""Values of `policy` that are names, not files."""


class Setting(NamedTuple):
    """One value, and where it comes from: "safeload.toml:3" or "SAFELOAD_JOBS".

    A value that names a file has been joined with the folder of the configuration.
    """

    value: Any
    whence: str


class Configuration(NamedTuple):
    """The settings of one file. `path` is "" when there is no file."""

    path: str = ""
    settings: Mapping[str, Setting] = {}


def read(path: str) -> Configuration | None:
    """The settings of the file at `path`; None for a pyproject.toml without `[tool.safeload]`.

    Raises InputError when it cannot be read, UsageError ("file:line: ...") for unknown keys and wrong types.
    """
    text = text_of(path, "a configuration")
    if os.path.basename(path) != PYPROJECT:
        return Configuration(path, _checked(toml_of(text, path), path, key_lines(text, "")))
    if "safeload" not in text:
        return None
    tool = toml_of(text, path).get("tool")
    section = tool.get("safeload") if isinstance(tool, dict) else None
    if section is None:
        return None
    lines = key_lines(text, "tool.safeload")
    if not isinstance(section, dict):
        raise UsageError(f"{path}:{lines['']}: write 'tool.safeload' as a table, [tool.safeload]")
    return Configuration(path, _checked(section, path, lines))


def _checked(section: Mapping[str, Any], path: str, lines: Mapping[str, int]) -> dict[str, Setting]:
    """The settings of one table. Raises UsageError for an unknown key or a wrong type."""
    found = {}
    for name, value in section.items():
        whence = f"{path}:{lines.get(name, lines[''])}"
        key = KEYS.get(name)
        if key is None:
            import difflib

            near = difflib.get_close_matches(name, KEYS, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; the keys are {', '.join(KEYS)}"
            raise UsageError(f"{whence}: unknown key {name!r}{hint}")
        values = value if key.several and isinstance(value, list) else [value]
        # Exact types: to isinstance a bool is a number.
        if not all(type(one) in key.types for one in values) or (key.types == (str,) and "" in values):
            raise UsageError(f"{whence}: {name!r} must be {key.wanted}{', and not empty' if str in key.types else ''}")
        if key.file and "\0" in value:
            raise UsageError(f"{whence}: {name!r} is no name that a file can have: it holds a NUL")
        if key.file and value not in POLICIES:
            value = os.path.join(os.path.dirname(path), value)
        found[name] = Setting(tuple(values) if key.several else value, whence)
    return found


def from_environment(environ: Mapping[str, str]) -> dict[str, Setting]:
    """The settings in SAFELOAD_FAIL_ON, SAFELOAD_JOBS and the like. Lists are split at blanks; empty ones set nothing.

    The command checks numbers and choices itself. Files are relative to the current folder. Raises UsageError for a
    flag that is neither true nor false.
    """
    found = {}
    for name, key in KEYS.items():
        variable = PREFIX + name.upper().replace("-", "_")
        text = environ.get(variable, "")
        if not text:
            continue
        value: object = tuple(text.split()) if key.several else text
        if key is _FLAG:
            value = _FLAGS.get(text.lower())
            if value is None:
                raise UsageError(f"{variable}: {name!r} must be {key.wanted}, not {text!r}")
        found[name] = Setting(value, variable)
    return found


def repository(folder: str) -> str | None:
    """The nearest folder at or above `folder` that holds a `.git`; None when there is none."""
    here = os.path.realpath(folder)
    while True:
        if os.path.lexists(os.path.join(here, ".git")):
            return here
        above = os.path.dirname(here)
        if above == here:
            return None
        here = above


def find(folder: str, may: Callable[[str], bool] = lambda path: True) -> Configuration:
    """The configuration of the project that `folder` lies in: in `folder`, or the nearest above, up to the repository.

    Outside a repository only `folder` itself counts, because the folders above it may belong to somebody else. A file
    that `may` refuses is not read. Raises what `read` raises, and UsageError for a folder with two configurations.
    """
    here = os.path.realpath(folder)
    root = repository(here) or here
    while True:
        found = in_folder(here, may)
        if found.path or here == root:
            return found
        here = os.path.dirname(here)


def in_folder(folder: str, may: Callable[[str], bool] = lambda path: True) -> Configuration:
    """The configuration in `folder` itself, such as a copy of the base commit. Arguments and errors: see `find`."""
    paths = [path for name in (FILE, PYPROJECT) if os.path.isfile(path := os.path.join(folder, name))]
    found = [configuration for path in paths if may(path) and (configuration := read(path))]
    if len(found) > 1:
        raise UsageError(f"{found[0].path} and [tool.safeload] in {found[1].path} both configure safeload: keep one")
    return found[0] if found else Configuration()


def files_of(configuration: Configuration) -> tuple[str, ...]:
    """The file of a configuration, and the files that it names: a change of one can change what a scan lets pass."""
    named = [setting.value for key, setting in configuration.settings.items() if KEYS[key].file]
    return tuple(path for path in (configuration.path, *named) if path and path not in POLICIES)


def is_own(path: str, scanned: Iterable[str], here: str) -> bool:
    """Whether the file at `path` may configure a scan of `scanned`, which the user starts in the folder `here`.

    It may when it lies outside of every scanned folder. Inside of one it may only when that folder is the user's own
    project: `here` lies in the folder, and `here` and the file lie in one repository.
    """
    # SECURITY: a downloaded folder must not bring the configuration, or the baseline, that lets it pass. The comparison
    # is of real paths: a link could lead out of the folder and back in.
    real, stand = os.path.realpath(path), os.path.realpath(here)
    root = repository(stand)
    own = root is not None and _within(real, root) and repository(os.path.dirname(real)) == root
    for folder in scanned:
        top = os.path.realpath(folder)
        if os.path.isdir(top) and _within(real, top) and not (own and _within(stand, top)):
            return False
    return True


def _within(path: str, folder: str) -> bool:
    path, folder = os.path.normcase(path), os.path.normcase(folder)
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
