"""What the commands of `safeload hook` share: judging files as git has them, what is accepted, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

from safeload.cli import accepted
from safeload.workers import Settings, scan_here, units_among, units_of

if TYPE_CHECKING:
    from safeload.inputs.walk import Target
    from safeload.integrations.git.files import GitFiles
    from safeload.limits import Limits
    from safeload.project.baselines import Applied
    from safeload.report import Report

FAIL_ON = ("unvetted", "dangerous")


def judge_all(targets: tuple[Target, ...], opened: GitFiles, terms: accepted.Terms, limits: Limits) -> Applied:
    """The judgement of `targets` and of the folders that they belong to, with what is accepted marked."""

    def judge(target: Target, settings: Settings) -> Report:
        return opened.look(target, settings.policy, settings.limits)

    settings = Settings(terms.policy, None, limits)
    return accepted.applied(
        chain(scan_here(targets, settings, judge), _units(targets, opened, settings)), terms, opened.sha256
    )


def _units(targets: tuple[Target, ...], opened: GitFiles, settings: Settings) -> Iterator[Report]:
    """Folders that a loader takes whole: those that were walked, or in the index those that a target lies in."""
    yield from units_of(targets, settings)
    names, open_blob = opened.among_units()
    if names:
        for report in units_among(names, settings, open_blob):
            top = "" if report.path in ("", ".") else f"{report.path}/"
            if any(opened.name(target.path).startswith(top) for target in targets):
                yield report._replace(path=report.path or ".")


def exit_code(found: Applied, terms: accepted.Terms, fail_on: str, *, allow_empty: bool) -> int:
    """0, 1 or 2: what is accepted does not count, and an expired entry never ends well."""
    from safeload.cli.commands.scan import exit_code as code_of

    bare = found._replace(reports=tuple(map(_bare, found.reports)))
    return accepted.code_with(found, code_of(accepted.ending(bare, terms, allow_empty=allow_empty), fail_on))


def follows_pointer(report: Report) -> bool:
    """Whether the judged file is not the one of that path, but what a Git LFS pointer stands for."""
    return any(finding.rule == "lfs-object" for finding in report.findings)


def _bare(report: Report) -> Report:
    """Without the remark that a pointer was followed: it says where a file lay, and a strict policy minds remarks."""
    return report._replace(findings=tuple(found for found in report.findings if found.rule != "lfs-object"))
