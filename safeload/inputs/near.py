"""What lies beside a file, by name only: whether a text that names a module could import one from there.

Lists folders and opens nothing. A folder that cannot be listed may hold anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


class Beside:
    """Whether one of `folders` holds a file or folder of a name, with any ending, in any case."""

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
    """Whether a part of one of the paths is called by a name, with any ending, in any case."""

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
    """What the entries are called, with their endings and without, in one case."""
    folded = {name.casefold() for name in names}
    return frozenset(folded | {name.partition(".")[0] for name in folded})


def among(names: Iterable[str], name: str) -> bool:
    """Whether one of the entries is called `name`, with any ending, in any case."""
    return name.casefold() in spelled(names)


def _listed(folder: str) -> frozenset[str] | None:
    try:
        return spelled(os.listdir(folder))
    except (OSError, ValueError):
        return None
