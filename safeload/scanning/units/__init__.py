"""Judges units: folders that a loader takes whole. Each kind of unit is one file, and the tuple below lists them.

Finds the units among the names of a folder, and judges each from names and bytes. The verdicts of the single files stay
as they are. Nothing that lies in a folder shortens this: no list in it excludes a file or trusts a name.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator

from safeload.errors import InputError, LimitExceeded, Malformed
from safeload.findings import Finding, Verdict, worst
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.units.folders import DiskFolder, Listing, slashed
from safeload.scanning.units.interface import Folder, UnitKind, unread
from safeload.scanning.units.kinds.hf_model import HF_MODEL
from safeload.scanning.units.kinds.keras_folder import KERAS_FOLDER
from safeload.scanning.units.kinds.mlflow_model import MLFLOW_MODEL
from safeload.scanning.units.kinds.nemo_model import NEMO_MODEL
from safeload.scanning.units.kinds.sagemaker_model import SAGEMAKER_MODEL
from safeload.scanning.units.kinds.saved_model import SAVED_MODEL
from safeload.scanning.units.kinds.sentence_model import SENTENCE_MODEL
from safeload.scanning.units.kinds.torch_package import TORCH_PACKAGE
from safeload.scanning.units.kinds.torchserve_model import TORCHSERVE_MODEL
from safeload.source import Source

__all__ = ["KINDS", "DiskFolder", "Folder", "UnitKind", "find", "judge", "unit_reports"]

KINDS: tuple[UnitKind, ...] = (
    TORCH_PACKAGE,
    HF_MODEL,
    SENTENCE_MODEL,
    MLFLOW_MODEL,
    SAGEMAKER_MODEL,
    TORCHSERVE_MODEL,
    SAVED_MODEL,
    KERAS_FOLDER,
    NEMO_MODEL,
)

_ORDER = {Verdict.DANGEROUS: 0, Verdict.UNJUDGED: 1, Verdict.UNVETTED: 2, Verdict.CLEAN: 3}


def find(folder: Folder) -> tuple[UnitKind, ...]:
    """The kinds of unit that some loader takes `folder` itself for. Folders below it are asked for on their own."""
    # SECURITY: a loader on a system that ignores case opens CONFIG.JSON as config.json; here both are marks.
    held = {name.lower() for name in folder.names()}
    return tuple(kind for kind in KINDS if not held.isdisjoint(kind.marks))


def judge(folder: Folder, kind: UnitKind, policy: Policy, limits: Limits) -> Report:
    """The report of one unit. It is clean and has no findings when only its single files matter."""
    watched = _Watched(folder)
    found: list[Finding] = []
    omitted: list[Verdict] = []

    def add(finding: Finding) -> None:
        if len(found) < limits.findings:
            found.append(finding)
        else:
            omitted.append(finding.verdict)

    try:
        for finding in kind.judge(watched, policy, limits):
            add(finding)
    except (Malformed, LimitExceeded) as error:
        add(unread(watched.last, error.message, offset=error.offset))
    except InputError as error:
        add(unread(watched.last, f"cannot be read: {error.strerror or error}"))
    verdict = worst([finding.verdict for finding in found] + omitted, empty=Verdict.CLEAN)
    if not found and not omitted:
        return Report(folder.path, Verdict.CLEAN, container=kind.name, policy_digest=policy.digest)
    return Report(
        folder.path,
        verdict,
        container=kind.name,
        judged_sha256=watched.judged_sha256(),
        findings=tuple(sorted(found, key=lambda finding: _ORDER[finding.verdict])),
        omitted=len(omitted),
        policy_digest=policy.digest,
    )


def unit_reports(
    files: Iterable[str],
    policy: Policy,
    limits: Limits,
    *,
    opened: Callable[[str], Source],
    roots: Iterable[str] = (),
    links: Iterable[tuple[str, str]] = (),
) -> Iterator[Report]:
    """A report for every unit with findings among the folders of `files`, in the order of their paths.

    files   the paths that a walk met. A link that the walk took for another path of the same file belongs among them:
            the loader of this folder opens it under this name
    roots   the folders that the walk was given; without them every folder on the way to a file counts
    links   links to folders, each with the path of its folder as the walk gives it: a loader goes through the link
    """
    listing = Listing(files, opened)
    if beyond := listing.link(links, limits.nested_files):
        error = LimitExceeded("links to folders repeat too many files", limit="nested_files")
        yield Report(beyond, Verdict.UNJUDGED, findings=(unread("", error.message),), policy_digest=policy.digest)
    folder = listing.folder("")
    tops = tuple(slashed(os.path.join(root, "")) for root in roots)
    for path, kind in sorted(set(_candidates(listing)), key=lambda item: (item[0], KINDS.index(item[1]))):
        if tops and not slashed(os.path.join(path, "")).startswith(tops):
            continue
        if path != folder.path:
            folder = listing.folder(path)
        report = judge(folder, kind, policy, limits)
        if report.findings or report.omitted:
            yield report


def _candidates(files: Iterable[str]) -> Iterator[tuple[str, UnitKind]]:
    """Every folder that holds a mark of a kind. Only the ends of the paths are compared: no folder is listed."""
    marks: dict[str, list[tuple[str, UnitKind]]] = {}
    for kind in KINDS:
        for mark in kind.marks:
            marks.setdefault(mark.rpartition("/")[2], []).append((mark, kind))
    for file in files:
        place = slashed(file)
        for mark, kind in marks.get(place.rpartition("/")[2].lower(), ()):
            cut = len(place) - len(mark)
            if place[cut:].lower() == mark and (cut == 0 or place[cut - 1] == "/"):
                yield file[: cut - 1] if cut > 1 else file[:cut], kind


class _Watched:
    """A folder that remembers what was read of it, for the digest in the report."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._opened: list[tuple[str, Source]] = []
        self.path = folder.path
        self.last = ""

    def names(self) -> tuple[str, ...]:
        return self._folder.names()

    def open(self, name: str) -> Source:
        self.last = name
        source = self._folder.open(name)
        self._opened.append((name, source))
        return source

    def judged_sha256(self) -> str:
        """A digest over all names of the folder, for they count, and over what was read of each file."""
        whole = hashlib.sha256()
        read = {name: source.judged_sha256() for name, source in self._opened}
        for name in self.names():
            whole.update(f"{len(name)}:".encode() + name.encode("utf-8", "surrogateescape") + b"\0")
            whole.update(read.get(name, "").encode() + b"\n")
        return whole.hexdigest()
