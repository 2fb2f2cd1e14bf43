"""Makes folders out of the paths that a walk has met. It lists nothing on disk and follows no link.

Two files may have names that differ in case alone, so no two names are merged.
"""

from __future__ import annotations

import errno
import os
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from safeload.errors import InputError
from safeload.inputs import open_source
from safeload.source import Source


class DiskFolder:
    """The folder `path`, with those of the walked `files` that lie below it.

    files   paths as the walk gives them; those outside the folder are left out
    opened  opens one of them
    places  path that is reached through a link -> the path to open in its place
    """

    def __init__(
        self,
        path: str,
        files: Iterable[str],
        opened: Callable[[str], Source] = open_source,
        places: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.path = path
        self._opened = opened
        prefix = slashed(path)
        prefix = prefix if not prefix or prefix.endswith("/") else prefix + "/"
        self._places = {
            slashed(file)[len(prefix) :]: places.get(file, file) for file in files if slashed(file).startswith(prefix)
        }
        self._places.pop("", None)
        self._names = tuple(sorted(self._places))

    def names(self) -> tuple[str, ...]:
        """See `Folder.names`."""
        return self._names

    def open(self, name: str) -> Source:
        """See `Folder.open`."""
        place = self._places.get(name)
        if place is None:
            raise InputError(errno.ENOENT, "was not met by the walk of this folder", f"{self.path}/{name}")
        return self._opened(place)


def slashed(path: str) -> str:
    """`path` with "/" between its parts, whatever this system writes."""
    return path if os.sep == "/" else path.replace(os.sep, "/")


class Listing:
    """All paths of a walk, sorted so that the files below one folder follow each other."""

    def __init__(self, files: Iterable[str], opened: Callable[[str], Source]) -> None:
        self._opened = opened
        self._places: dict[str, str] = {}
        self._files: Sequence[str] = ()
        self._keys: Sequence[str] = ()
        self._sort(files)

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def folder(self, path: str) -> DiskFolder:
        """The folder `path`, with the files of the listing that lie below it."""
        return DiskFolder(path, self._below(path), self._opened, self._places)

    def link(self, links: Iterable[tuple[str, str]], most: int) -> str:
        """For each (link, folder), list the files below the folder below the link as well: a loader follows the link.

        A link behind a link is not followed. Returns the link with which there are more than `most` files in all, ""
        when all links were taken.
        """
        added: dict[str, str] = {}
        for link, folder in links:
            base = len(slashed(os.path.join(folder, "")))
            for file in self._below(folder):
                if len(added) >= most:
                    return link
                added.setdefault(os.path.join(link, file[base:]), file)
        held = set(self._files)
        self._places = {alias: file for alias, file in added.items() if alias not in held}
        self._sort((*self._files, *self._places))
        return ""

    def _sort(self, files: Iterable[str]) -> None:
        # A path that stands twice is one file. "\0" sorts before every letter, so a folder's files follow each other.
        self._files = sorted(set(files), key=_order)
        self._keys = [_order(file) for file in self._files]

    def _below(self, path: str) -> Sequence[str]:
        if not path:
            return self._files
        start = _order(path if slashed(path).endswith("/") else path + "/")
        first = bisect_left(self._keys, start)
        return self._files[first : bisect_left(self._keys, start[:-1] + "\1", lo=first)]


def _order(path: str) -> str:
    return slashed(path).replace("/", "\0")
