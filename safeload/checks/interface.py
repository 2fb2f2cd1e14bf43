"""What a check is: one suspicious pattern in a Program, one file.

A check looks at one effect at a time, with the View of the stream it stands in, and returns findings. It decides
nothing about vetted calls (that is `vetted/`) and computes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Effect, Program
from safeload.policy import Decision


class View(NamedTuple):
    """Where a stream stands, so that a check can say where a finding is.

    base   subtracted from machine offsets to give offsets in the member
    """

    program: Program
    member: str
    stream: int
    base: int

    def finding(
        self,
        rule: str,
        verdict: Verdict,
        severity: Severity,
        message: str,
        remedy: str,
        *,
        offset: int | None,
        name: str | None = None,
        evidence: str = "",
    ) -> Finding:
        """A finding of this stream; `offset` is the machine's."""
        at = None if offset is None else offset - self.base
        return Finding(rule, verdict, severity, message, remedy, self.member, at, self.stream, name, evidence)


class Check(Protocol):
    """One pattern.

    rule      id of its findings, a heading of rules/README.md
    effects   the kinds of effect it wants to see; calls of vetted names are never shown
    """

    @property
    def rule(self) -> str:
        """See above."""

    @property
    def effects(self) -> tuple[type, ...]:
        """See above."""

    def check(self, effect: Effect, decision: Decision | None, view: View) -> Iterable[Finding]:
        """Findings for `effect`; `decision` is the policy's word on the global concerned, when there is one."""
