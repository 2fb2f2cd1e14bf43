"""Where the members of a tar would lie once it is unpacked, and findings about places that are unsafe or unclear.

Works with names alone: unpacks nothing, and asks no file system.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator

from safeload.containers.tar.directory import LINKS, TarEntry
from safeload.findings import Finding, Severity, Verdict

_DRIVE = re.compile(r"[A-Za-z]:")
_AGAIN = "make the archive again from plain files"


def place_of(name: str) -> str:
    """The place of a member of this name in the unpacked folder; "." is the folder itself."""
    return posixpath.normpath(name)


def leaves(name: str) -> bool:
    """Whether unpacking a member of this name could write outside the folder, on any system."""
    # On Windows "C:x" is absolute, and backslashes part folders; elsewhere both are plain letters of a name.
    # SECURITY: a name that is unsafe on one system is unsafe.
    if _DRIVE.match(name):
        return True
    return any(_climbs(way) for way in (name, name.replace("\\", "/")))


def _climbs(way: str) -> bool:
    return way.startswith("/") or place_of(way).startswith("../") or place_of(way) == ".."


def leads_to(entry: TarEntry) -> tuple[str, ...]:
    """The places on the way of a link, the last of them its target; () when systems differ about the target.

    Every step matters: a folder on the way may itself be a link, and then the way leads elsewhere on a disk than its
    text says.
    """
    way = _way(entry, entry.target)
    if leaves(way) or _DRIVE.match(entry.target) or "\\" in way or not entry.target:
        return ()
    parts = way.split("/")
    return tuple(place_of("/".join(parts[: count + 1])) for count in range(len(parts)))


def _way(entry: TarEntry, target: str) -> str:
    """The target, from the top of the archive. A symbolic link names it from its own folder, a hard link does not."""
    return target if entry.kind == "hard link" else posixpath.join(posixpath.dirname(entry.name), target)


def doubts_of(entry: TarEntry, links: Collection[str]) -> Iterator[Finding]:
    """Findings about the name of a member: it leads out of the folder, or programs differ about it."""
    name = next((name for name in (entry.name, *entry.others) if leaves(name)), None)
    if name is not None:
        yield _finding(entry, f"unpacking this member would write outside the folder, to {name[:120]!r}")
    elif entry.kind in LINKS and (_DRIVE.match(entry.target) or leaves(_way(entry, entry.target))):
        yield _finding(entry, f"a {entry.kind} that leads outside the folder, to {entry.target[:120]!r}")
    doubts = list(entry.doubts)
    # None of these is unsafe by itself. But the member lies at one place to `tarfile` and at another to a program that
    # splits, resolves or follows links in another way: what is judged under a name may not be what is loaded by it.
    if "\\" in entry.name:
        doubts.append("it has a backslash in its name, which parts folders on Windows")
    if name is None and ".." in entry.name.split("/"):
        doubts.append("its name leads up and down again")
    place = place_of(entry.name)
    if links and any(folder in links for folder in folders_of(place)):
        doubts.append("it lies behind a link")
    for doubt in dict.fromkeys(doubts):
        others = " and ".join(repr(other[:120]) for other in entry.others[:3])
        yield Finding(
            "tar-name-ambiguous", Verdict.UNJUDGED, Severity.MEDIUM,
            f"programs differ about this member: {doubt}" + (f" ({others})" if others else ""),
            _AGAIN, member=entry.name, offset=entry.header,
        )  # fmt: skip


def folders_of(place: str) -> Iterator[str]:
    """The folders above a place, the nearest first, without the top folder."""
    parts = place.split("/")
    for count in range(len(parts) - 1, 0, -1):
        if folder := "/".join(parts[:count]):
            yield folder


def _finding(entry: TarEntry, message: str) -> Finding:
    return Finding(
        "unsafe-member-name", Verdict.DANGEROUS, Severity.HIGH, message,
        "do not unpack it; ask its author for an archive of plain files",
        member=entry.name, offset=entry.header,
    )  # fmt: skip
