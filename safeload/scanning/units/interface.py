"""What a kind of unit is: a folder that one loader takes whole, judged whole beside its files.

A kind sees names and bytes, nothing of the disk. Contract of `judge`: it yields findings whose `member` is a name in
the folder, and raises nothing but InputError, Malformed and LimitExceeded, which make the unit unjudged. What it yields
is about the folder as a whole: the files are judged beside it, each by its own format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.source import Source


class Folder(Protocol):
    """The files of one folder. Names are relative, with "/" between their parts on every system."""

    @property
    def path(self) -> str:
        """The folder as reports show it."""

    def names(self) -> tuple[str, ...]:
        """Every file below it, at any depth."""

    def open(self, name: str) -> Source:
        """The file `name`, opened. The caller closes it. Raises InputError."""


class UnitKind(Protocol):
    """One loader of folders.

    name   what a report calls the folder: "hf-model"
    marks  lower-case names of which the loader needs at least one to take a folder for its own
    """

    @property
    def name(self) -> str: ...

    @property
    def marks(self) -> tuple[str, ...]: ...

    def judge(self, folder: Folder, policy: Policy, limits: Limits) -> Iterator[Finding]:
        """What the loader would do with the folder beyond reading its files."""


def spelled(folder: Folder, wanted: str) -> tuple[str, ...]:
    """The names in `folder` that are `wanted`, which is in lower case, when case is ignored.

    A loader on a system without case takes any of them.
    """
    return tuple(name for name in folder.names() if name.lower() == wanted)


def folder_code(member: str, message: str, setting: str, *, evidence: str = "", offset: int | None = None) -> Finding:
    """Code in the folder that its loader runs. `setting` says what has to be given for it to run, or that nothing has.

    The one wording of the rule: every kind reports code with it.
    """
    return Finding(
        "folder-code", Verdict.UNVETTED, Severity.MEDIUM, f"{message} ({setting})",
        "read this code before anything loads the folder, or load the weights alone", member=member, offset=offset,
        evidence=evidence[:400],
    )  # fmt: skip


def hub_code(member: str, message: str, *, evidence: str) -> Finding:
    """Code of another place that the folder has its loader fetch and run."""
    return Finding(
        "hub-code", Verdict.UNVETTED, Severity.MEDIUM, message,
        "remove the reference, or fetch that code once, read it and pin its revision", member=member,
        evidence=evidence[:400],
    )  # fmt: skip


def unread(member: str, message: str, *, rule: str = "folder-unread", offset: int | None = None) -> Finding:
    """A member of which the loader makes more than we understand."""
    return Finding(
        rule, Verdict.UNJUDGED, Severity.MEDIUM, message,
        "treat the folder as unsafe until its author writes this file again with current tools", member=member,
        offset=offset,
    )  # fmt: skip
