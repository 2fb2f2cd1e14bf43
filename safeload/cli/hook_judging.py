"""What the commands of `safeload hook` share: judging files as git has them, what is accepted, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeload.cli import accepted
from safeload.workers import Settings, scan_here

if TYPE_CHECKING:
    from safeload.baselines import Applied
    from safeload.inputs.walk import Target
    from safeload.integrations.git_files import GitFiles
    from safeload.limits import Limits
    from safeload.report import Report

FAIL_ON = ("unvetted", "dangerous")


def judge_all(
    targets: tuple[Target, ...], opened: GitFiles, terms: accepted.Terms, limits: Limits
) -> tuple[Applied, dict[str, str]]:
    """The judgement of `targets`, with what is accepted marked, and the kind of each file by its path."""
    kinds: dict[str, str] = {}

    def judge(target: Target, settings: Settings) -> Report:
        report, kinds[target.path] = opened.look(target, settings.policy, settings.limits)
        return report

    reports = scan_here(targets, Settings(terms.policy, None, limits), judge)
    return accepted.applied(reports, terms, opened.sha256), kinds


def exit_code(found: Applied, terms: accepted.Terms, fail_on: str, *, allow_empty: bool) -> int:
    """0, 1 or 2: what is accepted does not count, and an expired entry never ends well."""
    from safeload.cli.scan import exit_code as code_of

    bare = found._replace(reports=tuple(map(_bare, found.reports)))
    return accepted.code_with(found, code_of(accepted.ending(bare, terms, allow_empty=allow_empty), fail_on))


def follows_pointer(report: Report) -> bool:
    """Whether the judged file is not the one of that path, but what a Git LFS pointer stands for."""
    return any(finding.rule == "lfs-object" for finding in report.findings)


def _bare(report: Report) -> Report:
    """Without the remark that a pointer was followed: it says where a file lay, and a strict policy minds remarks."""
    return report._replace(findings=tuple(found for found in report.findings if found.rule != "lfs-object"))
