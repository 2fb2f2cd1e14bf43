"""Answers whether a module of a name lies beside a file, so that a text which imports that module could run it.

Compares names only: lists folders and opens no file. A folder that cannot be listed may hold any module.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


class Beside:
    """Whether one of `folders` holds a file or a folder of a name. Endings and case do not count."""

    __slots__ = ("_folders", "_listed")

    def __init__(self, *folders: str) -> None:
        self._folders = tuple(dict.fromkeys(folder or os.curdir for folder in folders))
        self._listed: tuple[frozenset[str] | None, ...] | None = None

    def __call__(self, name: str) -> bool:
        """Whether there is such an entry. Never raises."""
        # Listed once: a text may name a hundred thousand modules.
        if self._listed is None:
            self._listed = tuple(map(_listed, self._folders))
        wanted = name.casefold()
        return any(listed is None or wanted in listed for listed in self._listed)


class Among:
    """Whether a part of one of the paths has a name. Endings and case do not count."""

    __slots__ = ("_paths", "_spelled")

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = paths
        self._spelled: frozenset[str] | None = None

    def __call__(self, name: str) -> bool:
        """Whether there is such a part."""
        if self._spelled is None:
            self._spelled = spelled(part for path in self._paths for part in path.replace("\\", "/").split("/"))
        return name.casefold() in self._spelled


def spelled(names: Iterable[str]) -> frozenset[str]:
    """The names of the entries, each with its ending and without, in one case."""
    folded = {name.casefold() for name in names}
    return frozenset(folded | {name.partition(".")[0] for name in folded})


def among(names: Iterable[str], name: str) -> bool:
    """Whether one of the entries is called `name`. Endings and case do not count."""
    return name.casefold() in spelled(names)


def _listed(folder: str) -> frozenset[str] | None:
    try:
        return spelled(os.listdir(folder))
    except (OSError, ValueError):
        return None
