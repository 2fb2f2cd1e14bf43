"""Writes the files through which a step talks to a GitHub runner: the outputs of the step, and its summary page.

Values may hold names from hostile files. So each stands between random delimiters, which no name can hold. Prints
nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from safeload.errors import UsageError, input_error

SUMMARY_BYTES = 1 << 20
"""Bytes of a summary. GitHub drops a longer one."""


def fence() -> str:
    """A random word, which no text from a file can hold: a delimiter, or the token of `::stop-commands::`."""
    return f"safeload-{secrets.token_hex(16)}"


def set_outputs(path: str, values: Mapping[str, str]) -> None:
    """Append the outputs of a step to the file at `path` (`GITHUB_OUTPUT`). Raises InputError."""
    lines = []
    for name, value in values.items():
        word = fence()
        # SECURITY: a value that holds a newline and the delimiter would end there, and could set any other output.
        if word in value or not name.isidentifier():
            raise UsageError(f"the output {name!r} cannot be written")
        lines += [f"{name}<<{word}", value, word]
    _append(path, "".join(f"{line}\n" for line in lines))


def summary(path: str, text: str) -> None:
    """Append `text`, or a note that it is too long, to the summary at `path` (`GITHUB_STEP_SUMMARY`).

    Raises InputError.
    """
    if len(text.encode("utf-8", "surrogateescape")) > SUMMARY_BYTES // 2:
        text = "## safeload\n\nThe summary is too long to be shown here: see the log of this step.\n"
    _append(path, text)


def _append(path: str, text: str) -> None:
    try:
        with open(path, "a", encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise input_error(error, path) from error
