"""Reads TOML files of the user (configurations, baselines, policy packs), and finds the lines of their entries.

The parser of the standard library gives no positions. So headers and keys are looked for in the text again, for
messages only. Knows none of the three schemas.
"""

from __future__ import annotations

import re
from typing import Any

from safeload.errors import UsageError, input_error

BYTES = 1 << 20
"""The most that a file may have: a pyproject.toml of 1 MiB is no configuration that a person wrote."""

_AT_LINE = re.compile(r"at line (\d+)")
_HEADER = re.compile(r"^\s*\[\[?\s*([A-Za-z0-9_.\"'-]+)\s*\]\]?")
_ENTRY = re.compile(r"^\s*\[\[\s*([A-Za-z0-9_-]+)\s*\]\]")
_KEY = re.compile(r"^\s*[\"']?([A-Za-z0-9_-]+)[\"']?\s*=")


def text_of(path: str, what: str, most: int = BYTES) -> str:
    """The text of a TOML file. Raises InputError when it cannot be read, UsageError ("file:line: ...") otherwise."""
    try:
        with open(path, "rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise input_error(error, path) from error
    except ValueError:
        raise UsageError(f"{path!a} is no name that a file can have") from None
    if len(raw) > most:
        raise UsageError(f"{path}:1: {what} has at most {most >> 20} MiB")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}:{line}: {what} is UTF-8 text") from None


def toml_of(text: str, label: str) -> dict[str, Any]:
    """The content of a TOML text; `label` is the name of its file. Raises UsageError ("label:line: what is wrong")."""
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = _AT_LINE.search(str(error))
        raise UsageError(f"{label}:{line[1] if line else 1}: {error}") from None
    except RecursionError:
        raise UsageError(f"{label}:1: it is nested too deeply") from None
    except ValueError:
        raise UsageError(f"{label}:1: a number in it has too many digits, or a date is none") from None


def header_lines(text: str) -> dict[str, list[int]]:
    """The line of each `[[kind]]` header, in order. TOML values keep no line of their own."""
    found: dict[str, list[int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _ENTRY.match(line)
        if match:
            found.setdefault(match[1], []).append(number)
    return found


def key_lines(text: str, section: str) -> dict[str, int]:
    """The line of each key of `section` ("" for the top of the file), and of the section itself under ""."""
    found: dict[str, int] = {"": 1}
    here = ""
    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            here = header[1].replace('"', "").replace("'", "")
            if here == section:
                found[""] = number
        elif here == section and (key := _KEY.match(line)):
            found.setdefault(key[1], number)
    return found
