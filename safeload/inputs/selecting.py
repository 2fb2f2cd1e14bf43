"""Selects the files that the caller wants judged: `--exclude` and `--include`, patterns as in a .gitignore.

The callers bring the patterns, from the command line, the environment and the trusted configuration. This file opens
nothing, so that no ignore file of a scanned folder is ever read. The library `pathspec` matches, and the tests compare
it with git: a later pattern wins, `!` takes a file back, and nothing comes back below a folder that is left out.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from safeload.errors import UsageError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

_BELOW = re.compile(r"(?:^|(?<=^!)|(?<=/))\*\*/?$")
"""`a/**` is about what lies in `a`; pathspec takes it for `a` itself as well, where git does not."""

_OPEN = re.compile(r"\[[!^]?+\]?+(?![^\]]*\])")
"""A class of characters without an end, where no character is escaped."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Compiled patterns, None where there are none. Paths are relative to the folder in which the patterns start.

    files    patterns that leave out files
    folders  the same patterns, as they apply to folders
    wanted   a file has to match one of these
    """

    files: GitIgnoreSpec | None = None
    folders: GitIgnoreSpec | None = None
    wanted: GitIgnoreSpec | None = None

    def omits_folder(self, path: str) -> bool:
        """Whether a folder is left out, when the folders above it are not."""
        return self.folders is not None and self.folders.match_file(_one_line(path))

    def excludes_file(self, path: str) -> bool:
        """Whether a pattern leaves this file out, when the folders above it are not left out."""
        return self.files is not None and self.files.match_file(_one_line(path))

    def omits_file(self, path: str) -> bool:
        """Whether a file is left out: a pattern excludes it, or none of those that it has to match does match."""
        wanted = self.wanted is None or self.wanted.match_file(_one_line(path))
        return not wanted or self.excludes_file(path)

    def omits_tree(self, path: str) -> bool:
        """Whether a folder is left out, by itself or by one above it."""
        parts = path.strip("/").split("/")
        return any(self.omits_folder("/".join(parts[:count])) for count in range(1, len(parts) + 1))

    def omits(self, path: str) -> bool:
        """Whether a file is left out, by itself or by a folder above it."""
        above = path.rpartition("/")[0]
        return bool(above and self.omits_tree(above)) or self.omits_file(path)


def selection(exclude: Iterable[str] = (), include: Iterable[str] = ()) -> Selection | None:
    """The Selection of these patterns, None without any. Raises UsageError for a text that is no pattern."""
    out, wanted = tuple(map(_checked, exclude)), tuple(map(_checked, include))
    if not out and not wanted:
        return None
    inner = [_BELOW.sub("**/*", line) for line in out]
    return Selection(
        _compiled(line + "/" if raw.endswith("**/") else line for line, raw in zip(inner, out, strict=True)),
        _compiled(line.removesuffix("/") for line in inner),
        _compiled(wanted),
    )


def below(path: str, top: str) -> str | None:
    """The way from the folder `top` to `path`, with slashes; "" for the folder itself, None for what lies elsewhere.

    The last part of `path` is taken as it is: a link is an entry of the folder it lies in.
    """
    folder, name = os.path.split(path.rstrip(os.sep) or path)
    real = os.path.realpath(folder or os.curdir)
    if name in ("", os.curdir, os.pardir):
        real, name = os.path.realpath(path), ""
    root = os.path.realpath(top)
    try:
        way = os.path.relpath(os.path.join(real, name) if name else real, root).replace(os.sep, "/")
    except ValueError:  # on another drive
        return None
    if way == os.curdir:
        return ""
    return None if way == os.pardir or way.startswith("../") else way


def _checked(pattern: str) -> str:
    """The pattern without what git passes over at its end. Raises UsageError for what leaves out or takes nothing."""
    if "\n" in pattern or "\0" in pattern:
        raise UsageError(f"the pattern {pattern!r} holds a line end or a NUL: give each pattern alone")
    line = re.sub(r"(?<!\\) +$", "", pattern)
    if line.strip("!/ ") == "":
        raise UsageError(f"the pattern {pattern!r} matches nothing: write it as in a .gitignore, as '*.txt' or 'docs/'")
    if line.startswith("#"):
        raise UsageError(f"the pattern {pattern!r} is a comment in gitignore syntax: write '\\{line}' for that name")
    if _OPEN.search(re.sub(r"\\.", "", line)):
        raise UsageError(f"the pattern {pattern!r} has a '[' that no ']' closes: write '\\[' for the character")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # of `re`, for classes like [[:alpha:]], which it has not
            _compiled((line, line.removesuffix("/")))
    except (ValueError, re.error, FutureWarning) as error:
        raise UsageError(f"{pattern!r} is no pattern in gitignore syntax: {error}") from None
    return line


def _compiled(lines: Iterable[str]) -> GitIgnoreSpec | None:
    from pathspec import GitIgnoreSpec

    known = tuple(lines)
    # The other engines that pathspec may find installed take no name that is not UTF-8.
    return GitIgnoreSpec.from_lines(known, backend="simple") if known else None


def _one_line(path: str) -> str:
    """`path` in one line, for patterns whose `.` stops at a line end: no name on disk has a NUL."""
    return path.replace("\n", "\0")
