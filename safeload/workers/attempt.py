"""The report of one target, whatever goes wrong on the way; and those of many targets, judged in this process.

Judges nothing itself. What keeps a file from being judged makes it unjudged, and the others are still judged.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, TYPE_CHECKING, NamedTuple

from safeload.errors import InputError
from safeload.findings import Finding, Severity, Verdict
from safeload.inputs.near import Beside
from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.report import Report

if TYPE_CHECKING:
    from safeload.policy import Policy
    from safeload.source import Source

AGAIN = "do not load it; scan it alone to see more, and report it as a bug of safeload if it stays so"

Judge = Callable[[Target, "Settings"], Report]


class Settings(NamedTuple):
    """How to judge. `policy_file` is the file or the name that gave `policy`, None for the default policy."""

    policy: Policy
    policy_file: str | None
    limits: Limits


def judge(target: Target, settings: Settings) -> Report:
    """The report of one target, judged in this process. "-" is standard input. Raises what scanning it raises."""
    from safeload.inputs import open_source
    from safeload.scanning.scanner import scan_source

    source = open_source(standard_input(), name="-") if target.path == "-" else open_source(target.path)
    try:
        near = Beside(os.path.dirname(target.path), target.root)
        return scan_source(
            source, policy=settings.policy, limits=settings.limits, explicit=target.explicit, near=near, document=False
        ).report
    finally:
        source.close()


def attempt(target: Target, settings: Settings, judge: Judge = judge) -> Report:
    """The report that `judge` gives, or an unjudged one for whatever goes wrong with this file. A Ctrl-C passes."""
    try:
        report = judge(target, settings)
    except InputError as error:
        finding = unreadable(error)
    except MemoryError:
        finding = unjudged("out-of-memory", "there was not enough memory to judge it", AGAIN)
    except Exception as error:
        finding = unjudged(
            "internal-error",
            f"safeload itself failed on it ({type(error).__name__})",
            "do not load it; this is a bug of safeload: please report it, with the file if you may share it",
            evidence=f"{type(error).__name__}: {error}"[:500],
        )
    else:
        return report._replace(path=target.path)
    return refused(target, finding, settings)


def refused(target: Target, finding: Finding, settings: Settings) -> Report:
    """The report of a target that `finding` alone leaves unjudged."""
    return Report(target.path, Verdict.UNJUDGED, findings=(finding,), policy_digest=settings.policy.digest)


def settled(target: Target, settings: Settings) -> Report:
    """The report of a target that is not opened: it has a problem, or a reason to skip it."""
    if target.problem:
        return refused(target, target.problem, settings)
    return Report(target.path, Verdict.SKIPPED, reason=target.skip, policy_digest=settings.policy.digest)


def scan_here(targets: Iterable[Target], settings: Settings, judge: Judge = judge) -> Iterator[Report]:
    """The reports of `targets`, in their order, judged one after the other in this process."""
    for target in targets:
        if target.problem or target.skip:
            yield settled(target, settings)
        else:
            yield attempt(target, settings, judge)


def units_of(targets: Iterable[Target], settings: Settings) -> Iterator[Report]:
    """The reports of the folders that a walk met and that a loader takes whole (`scanning/units`), judged here.

    Files that were named belong to no folder of the scan: when nothing but files was named, no folder is looked at.
    """
    met = [target for target in targets if target.root and not target.problem and not target.hidden]
    if not met:
        return
    from safeload.inputs import open_source
    from safeload.inputs.links import folder_links

    roots = tuple(dict.fromkeys(target.root for target in met))
    files = [target.path for target in met]
    yield from units_among(files, settings, open_source, roots=roots, links=folder_links(met))


def units_among(
    files: Iterable[str],
    settings: Settings,
    opened: Callable[[str], Source],
    *,
    roots: tuple[str, ...] = (),
    links: Iterable[tuple[str, str]] = (),
) -> Iterator[Report]:
    """Like `units_of`, for files that `opened` opens. Without `roots` every folder on the way to a file counts."""
    from safeload.scanning.units import unit_reports

    try:
        yield from unit_reports(files, settings.policy, settings.limits, opened=opened, roots=roots, links=links)
    except (MemoryError, Exception) as error:
        finding = unjudged(
            "internal-error",
            f"safeload itself failed on the folders as a whole ({type(error).__name__})",
            "do not load them; this is a bug of safeload: please report it",
            evidence=f"{type(error).__name__}: {error}"[:500],
        )
        yield refused(Target(roots[0] if roots else os.curdir), finding, settings)


def standard_input() -> IO[bytes]:
    """The bytes of standard input. Raises InputError when the caller closed it (`<&-`)."""
    if sys.stdin is None:
        raise InputError(errno.EBADF, "standard input is closed", "-")
    return sys.stdin.buffer


def unreadable(error: InputError) -> Finding:
    """The finding for a file that the operating system refuses to give."""
    return unjudged("unreadable", f"it cannot be read: {error.strerror or error}", "check the path and its permissions")


def unjudged(rule: str, message: str, remedy: str, evidence: str = "") -> Finding:
    """A finding that leaves a file unjudged."""
    return Finding(rule, Verdict.UNJUDGED, Severity.MEDIUM, message, remedy, evidence=evidence)
