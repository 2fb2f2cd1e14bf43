"""What lies beside a file, by name only: whether a text that names a module could import one from there.

Lists folders and opens nothing. A folder that cannot be listed may hold anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterable


class Beside:
    """Whether one of `folders` holds a file or folder of a name, with any ending, in any case."""

    __slots__ = ("_folders",)

    def __init__(self, *folders: str) -> None:
        self._folders = tuple(dict.fromkeys(folder or os.curdir for folder in folders))

    def __call__(self, name: str) -> bool:
        """Whether there is such an entry. Never raises."""
        return any(_lists(folder, name) for folder in self._folders)


def among(names: Iterable[str], name: str) -> bool:
    """Whether one of the entries is called `name`, with any ending, in any case."""
    wanted = name.casefold()
    return any(entry.casefold().partition(".")[0] == wanted or entry.casefold() == wanted for entry in names)


def _lists(folder: str, name: str) -> bool:
    try:
        return among(os.listdir(folder), name)
    except (OSError, ValueError):
        return True
