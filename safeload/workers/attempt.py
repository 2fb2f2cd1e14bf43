"""One target to one report, whatever happens on the way; and many, one after the other, in this process."""

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
    """How to judge. `policy_file` is where `policy` was read from, or its name; None for the default one."""

    policy: Policy
    policy_file: str | None
    limits: Limits


def judge(target: Target, settings: Settings) -> Report:
    """The report of one target, judged in this process. "-" is standard input. Raises what scanning it raises."""
    from safeload.inputs import open_source
    from safeload.scanning.scanner import report_on

    source = open_source(standard_input(), name="-") if target.path == "-" else open_source(target.path)
    try:
        near = Beside(os.path.dirname(target.path), target.root)
        return report_on(source, policy=settings.policy, limits=settings.limits, explicit=target.explicit, near=near)
    finally:
        source.close()


def attempt(target: Target, settings: Settings, judge: Judge = judge) -> Report:
    """Like `judge`, but whatever goes wrong with this file makes it unjudged. A Ctrl-C passes."""
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
    """The report of a target that is unjudged because of `finding` alone."""
    return Report(target.path, Verdict.UNJUDGED, findings=(finding,), policy_digest=settings.policy.digest)


def settled(target: Target, settings: Settings) -> Report | None:
    """The report of a target that need not be opened, None for any other."""
    if target.problem:
        return refused(target, target.problem, settings)
    if target.skip:
        return Report(target.path, Verdict.SKIPPED, reason=target.skip, policy_digest=settings.policy.digest)
    return None


def scan_here(targets: Iterable[Target], settings: Settings, judge: Judge = judge) -> Iterator[Report]:
    """The reports of `targets`, in their order, judged one after the other in this process."""
    for target in targets:
        yield settled(target, settings) or attempt(target, settings, judge)


def units_of(targets: Iterable[Target], settings: Settings) -> Iterator[Report]:
    """The reports of the folders that a walk met and that a loader takes whole (`scanning/units`), judged here."""
    from safeload.inputs import open_source
    from safeload.inputs.links import folder_links

    met = [target for target in targets if target.root and not target.problem and not target.hidden]
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
    """As `units_of`, of files that `opened` opens; without `roots` every folder on the way to a file counts."""
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
    """The finding for what the operating system refuses to give."""
    return unjudged("unreadable", f"it cannot be read: {error.strerror or error}", "check the path and its permissions")


def unjudged(rule: str, message: str, remedy: str, evidence: str = "") -> Finding:
    """A finding that leaves a file unjudged."""
    return Finding(rule, Verdict.UNJUDGED, Severity.MEDIUM, message, remedy, evidence=evidence)
