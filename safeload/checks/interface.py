"""What a check is: it looks for one suspicious pattern in a Program. Each check has one file.

The judge gives it one effect at a time, with the StreamView of the stream, and the check returns findings. It decides
nothing about vetted calls (that is `vetted/`), and computes no verdict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Effect, Program
from safeload.policy import Decision


class StreamView(NamedTuple):
    """The stream that a check looks at. It makes findings that say where they are.

    program   the machine's Program of the stream
    member    name of the member that holds the stream, "" without members
    stream    number of the stream in the file
    base      what to subtract from an offset of the machine to get the offset in the member
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
        """A finding about this stream. `offset` is one of the machine: that of the effect, as it stands there."""
        at = None if offset is None else offset - self.base
        return Finding(rule, verdict, severity, message, remedy, self.member, at, self.stream, name, evidence)


class Check(Protocol):
    """The check for one pattern."""

    @property
    def rule(self) -> str:
        """The rule id of its findings, which is a heading of rules/README.md."""

    @property
    def effects(self) -> tuple[type, ...]:
        """The classes of the effects that it looks at. The judge gives it no others, and no call of a vetted name."""

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """Look for the pattern in one effect. Raises nothing, whatever the effect holds.

        Args:
            effect: An instance of one of `effects`.
            decision: What the policy says of the global that is imported, called or changed; None without a global.
            view: The stream of the effect, which makes the findings.

        Returns:
            The findings; none when the pattern is not there.
        """
