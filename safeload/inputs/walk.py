"""Lists the files of a scan: the paths that the caller named, and everything in the folders among them.

The rules of this file:

- A file that was named is always a target, wherever its link leads. Nothing in a folder is dropped without a word: it
  is a target, a skipped target with its reason, or a target with the finding that makes it unjudged.
- Only regular files are passed on to be opened. Opening a FIFO, a device or a socket can hang, or have effects.
- A link in a folder is followed to a regular file inside a scanned folder, or from the snapshot of a hub-cache
  repository to a blob of the same repository. With any other link, a downloaded folder could have safeload read files
  of this machine.
- The walk is iterative and follows no link to a folder, so it ends on any tree.
- What the caller's patterns leave out is counted. The walk does not enter a folder that they leave out.

Judges nothing and opens no file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from safeload.findings import Finding
from safeload.inputs.refusals import broken_link, outward, special, unreadable
from safeload.inputs.selecting import Selection, below
from safeload.report import Excluded

_HUB_REPOSITORY = r"(?s:(?:models|datasets|spaces)--.+)"


class Target(NamedTuple):
    """One file of a scan.

    path      as the caller named it, or the named folder with the way below it; "-" is standard input
    explicit  the caller named this very file, so it may not be skipped
    problem   why it cannot be judged, None when it can be opened
    skip      why it is not looked at, "" when it must be looked at
    root      the named folder in which the walk met it, "" for a file that was named
    """

    path: str
    explicit: bool = False
    problem: Finding | None = None
    skip: str = ""
    root: str = ""

    @property
    def hidden(self) -> bool:
        """Whether it is git's own data, which no loader of models sees."""
        return self.skip == _GIT


class _Walk:
    """What one walk remembers.

    roots    real paths of the named folders
    top      the folder in which the patterns start, None when they start in each named folder
    judged   real path of a file -> the path under which it is judged
    listed   places (see `_place`) that are already in the list
    entered  places of folders that were read
    left     places that the patterns leave out -> whether that is a folder
    """

    def __init__(self, roots: frozenset[str], selection: Selection | None = None, top: str | None = None) -> None:
        self.roots = roots
        self.selection = selection
        self.top = top
        self.judged: dict[str, str] = {}
        self.listed: set[str] = set()
        self.entered: set[str] = set()
        self.left: dict[str, bool] = {}

    def start(self, root: str) -> str:
        """What the patterns see before a path below `root`: "", or a way that ends with a slash."""
        way = below(root, self.top) if self.top is not None else None
        return f"{way}/" if way else ""

    def scans(self, way: str, root: str) -> bool:
        """Whether the walk goes through the folder that lies `way` below `root`."""
        parts = way.split(os.sep)
        if self.selection is None or parts == [os.curdir]:
            return True
        return not self.selection.omits_tree(self.start(root) + "/".join(parts))

    def excluded(self) -> Excluded:
        """How much was left out, without what another of the named folders brought in after all."""
        folders = [folder for place, folder in self.left.items() if not self._known(place)]
        return Excluded(len(folders) - sum(folders), sum(folders))

    def _known(self, place: str) -> bool:
        return place in self.judged or place in self.listed or place in self.entered


class _Folder(NamedTuple):
    """A folder on the way.

    path  as reports show it;  real: without links
    git   whether it lies under a `.git` that the walk met
    way   what the patterns see before the names of its entries: "", or a way that ends with a slash
    """

    path: str
    real: str
    git: bool
    way: str = ""


class Selected(NamedTuple):
    """The targets of a walk, and what the caller's patterns left out of it."""

    targets: tuple[Target, ...]
    excluded: Excluded


def walk(paths: Iterable[str]) -> Iterator[Target]:
    """The targets of `paths` in the order in which they were named. Folders: in the order of names, depth first.

    Nothing that it meets on disk makes it raise. A path that is named twice is one target. A file is one target,
    however many of the named folders it lies in.
    """
    yield from select(paths, None).targets


def select(paths: Iterable[str], selection: Selection | None, top: str | None = None) -> Selected:
    """The targets of `paths` as `walk` gives them, without what `selection` leaves out.

    The patterns start in each named folder, and do not apply to a file that was named. With `top` they start in that
    folder, and apply to named files as well: those that a program names.
    """
    opened = [(path, *_look(path)) for path in dict.fromkeys(paths)]
    folders = (path for path, status, _ in opened if status and stat.S_ISDIR(status.st_mode))
    state = _Walk(frozenset(map(os.path.realpath, folders)), selection, top)
    if selection is not None and top is not None:
        for one in opened[:]:
            path, status, _ = one
            way = None if status is None or stat.S_ISDIR(status.st_mode) else below(path, top)
            if way and selection.omits(way):
                opened.remove(one)
                state.left[_place(os.path.realpath(os.path.dirname(path)), os.path.basename(path))] = False
    return Selected(tuple(_targets(opened, state)), state.excluded())


_Opened = tuple[str, os.stat_result | None, Finding | None]
"""A path that was named, with what `_look` found there."""


def _targets(opened: list[_Opened], state: _Walk) -> Iterator[Target]:
    """See `walk`."""
    # Named files first: they are explicit targets, whatever a folder among the paths would make of them.
    for path, status, _ in opened:
        if status and not stat.S_ISDIR(status.st_mode):
            state.listed.add(_place(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))
            if stat.S_ISREG(status.st_mode):
                state.judged.setdefault(os.path.normcase(os.path.realpath(path)), path)
    for path, status, problem in opened:
        if path == "-":
            yield Target(path, explicit=True)
        elif problem or status is None:
            yield Target(path, explicit=True, problem=problem)
        elif stat.S_ISDIR(status.st_mode):
            yield from (target._replace(root=path) for target in _folder(path, state))
        elif stat.S_ISREG(status.st_mode):
            yield Target(path, explicit=True)
        else:
            yield Target(path, explicit=True, problem=special(status.st_mode))


def beside(folder: str, names: Collection[str]) -> dict[str, Target]:
    """The files of `folder` that have one of `names`, by the rules of a walk of that folder alone.

    A name that is not there, or is that of a folder, has no Target. Of two names for one file the second is skipped.
    """
    top = folder or os.curdir
    real = os.path.realpath(top)
    state = _Walk(frozenset({real}))
    wanted = frozenset(names)
    try:
        # As they are spelled on disk: a file system that finds "A" under "a" gives no second file.
        with os.scandir(top) as listing:
            entries = sorted((entry for entry in listing if entry.name in wanted), key=lambda entry: entry.name)
    except OSError as error:
        return dict.fromkeys(names, Target(folder, problem=unreadable(error)))
    found = {}
    for entry in entries:
        item = _entry(entry, _Folder(top, real, git=False), state)
        if isinstance(item, Target):
            found[entry.name] = item
    return found


def _look(path: str) -> tuple[os.stat_result | None, Finding | None]:
    """What a named path is, links followed, or the finding that says why it cannot be known."""
    if path == "-":
        return None, None
    try:
        return os.stat(path), None
    except (OSError, ValueError) as error:
        if os.path.islink(path):
            return None, broken_link(path, error)
        return None, unreadable(error)


def _folder(top: str, state: _Walk) -> Iterator[Target]:
    """Everything below the folder `top`."""
    real = os.path.realpath(top)
    pending: list[Iterator[Target | _Folder]] = [_entries(_Folder(top, real, False, state.start(real)), state)]
    while pending:
        item = next(pending[-1], None)
        if item is None:
            pending.pop()
        elif isinstance(item, _Folder):
            pending.append(_entries(item, state))
        else:
            yield item


def _entries(folder: _Folder, state: _Walk) -> Iterator[Target | _Folder]:
    """The entries of one folder in the order of their names. The folder is listed at once, so no handle stays open."""
    state.entered.add(os.path.normcase(folder.real))
    try:
        with os.scandir(folder.path) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield Target(folder.path, problem=unreadable(error))
        return
    if re.fullmatch(_HUB_REPOSITORY, os.path.basename(folder.real)):
        # The names people know are those of the snapshots; the blobs behind them are listed as the same files.
        entries.sort(key=lambda entry: entry.name == "blobs")
    for entry in entries:
        place = _place(folder.real, entry.name)
        if place in state.listed or _omitted(entry, folder, place, state):
            continue
        item = _entry(entry, folder, state)
        if isinstance(item, Target):
            state.listed.add(place)
        yield item


def _omitted(entry: os.DirEntry[str], folder: _Folder, place: str, state: _Walk) -> bool:
    """Whether the patterns leave an entry out. If so, it is counted."""
    if state.selection is None:
        return False
    way = folder.way + entry.name
    try:
        link = entry.is_symlink() or _is_junction(entry)
        inner = not link and entry.is_dir(follow_symlinks=False)
        # A link to a folder is no file: `--include` does not apply to it, because files behind the link may match.
        all_in = link and entry.is_dir()
    except OSError:
        return False
    if inner:
        omitted = state.selection.omits_folder(way)
    else:
        omitted = state.selection.excludes_file(way) if all_in else state.selection.omits_file(way)
    if omitted and os.path.join(folder.real, entry.name) not in state.roots:
        state.left[place] = inner
    return omitted


def _entry(entry: os.DirEntry[str], folder: _Folder, state: _Walk) -> Target | _Folder:
    """What one entry of a folder is for the scan."""
    try:
        if entry.is_symlink() or _is_junction(entry):
            return Target(entry.path, skip=_GIT) if folder.git else _link(entry.path, state)
        if entry.is_dir(follow_symlinks=False):
            real = os.path.join(folder.real, entry.name)
            git = (folder.git or entry.name == ".git") and real not in state.roots  # unless it was named as well
            return _Folder(entry.path, real, git, f"{folder.way}{entry.name}/")
        if folder.git:
            return Target(entry.path, skip=_GIT)
        if entry.is_file(follow_symlinks=False):
            return _file(entry.path, os.path.join(folder.real, entry.name), state)
        return Target(entry.path, problem=special(entry.stat(follow_symlinks=False).st_mode))
    except OSError as error:
        return Target(entry.path, problem=unreadable(error))


LINKED_FOLDER = "a link to the folder "
"""How the reason begins for which a link to a folder is skipped."""

_GIT = "under .git: git's own data, not a checkpoint; name the file to have it judged"


def _is_junction(entry: os.DirEntry[str]) -> bool:
    """Whether the entry is a Windows junction, which is a link to a folder under another name."""
    known = getattr(entry, "is_junction", None)  # Python 3.12
    if known is not None:
        return bool(known())
    if os.name != "nt":
        return False
    tag = getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0)
    return bool(tag) and tag == getattr(stat, "IO_REPARSE_TAG_MOUNT_POINT", None)


def _file(path: str, real: str, state: _Walk) -> Target:
    """A regular file, judged under the first path that led to it."""
    # SECURITY: the same file is recognised by its path without links, never by (device, inode): some network and
    # Windows file systems give one number to many files, and a file taken for another would not be judged at all.
    first = state.judged.setdefault(os.path.normcase(real), path)
    if first != path:
        return Target(path, skip=f"the same file as {first}, judged under that name")
    return Target(path)


def _link(path: str, state: _Walk) -> Target:
    """A link met in a folder."""
    try:
        status = os.stat(path)
        real = os.path.realpath(path, strict=True)
    except (OSError, ValueError) as error:
        return Target(path, problem=broken_link(path, error))
    inside = any(_within(real, root) for root in state.roots)
    if stat.S_ISDIR(status.st_mode):
        # SECURITY: a folder below .git, or that the patterns leave out, is not scanned in its own place, so a link to
        # one may not count as scanned.
        ways = [(os.path.relpath(real, root), root) for root in state.roots if _within(real, root)]
        plain = [(way, root) for way, root in ways if ".git" not in way.split(os.sep)]
        if any(state.scans(way, root) for way, root in plain):
            return Target(path, skip=f"{LINKED_FOLDER}{real}, which is scanned in its own place")
        where = "that the patterns leave out" if plain else "into .git" if ways else "outside the scanned folders"
        return Target(path, problem=outward(real, "folder", where))
    if not stat.S_ISREG(status.st_mode):
        return Target(path, problem=special(status.st_mode))
    if inside or _same_hub_repository(path, real):
        return _file(path, real, state)
    return Target(path, problem=outward(real, "file", "outside the scanned folders"))


def _same_hub_repository(path: str, real: str) -> bool:
    """Whether a link in models--*/snapshots/ leads to a file right in the blobs folder of the same models--*."""
    blobs, _ = os.path.split(real)
    repository, name = os.path.split(blobs)
    if name != "blobs" or not re.fullmatch(_HUB_REPOSITORY, os.path.basename(repository)):
        return False
    return _within(os.path.realpath(os.path.dirname(path) or os.curdir), os.path.join(repository, "snapshots"))


def _place(folder: str, name: str) -> str:
    """The key of one entry of a folder; a link is an entry of its own. `folder` is a real path."""
    return os.path.normcase(os.path.join(folder, name))


def _within(real: str, root: str) -> bool:
    real, root = os.path.normcase(real), os.path.normcase(root)
    return real == root or real.startswith(root if root.endswith(os.sep) else root + os.sep)
