"""The sum of one input and everything inside it: findings, counts, and what every reading of it shares.

Bounds how many findings there are, and loses no verdict by it. Reads nothing and computes no verdict.
"""

from __future__ import annotations

from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict, worst
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.skips.texts import Near
from safeload.scanning.streams import Witness

NOTHING = "zip-nothing-to-scan"
"""The rule of an archive in which there was nothing to judge."""

SKIPPED = "member-skipped"
"""The rule of a member that was proven to be no model."""

_LISTED = 10

_AGAIN = "download the file again and compare its checksum with the publisher's"


def nowhere(name: str) -> bool:
    """The Near of a text that lies alone: nothing is beside it."""
    return False


class Tally:
    """See the module.

    near     whether a module of a name lies beside the input: it counts for texts that import modules
    judged   how many pickles, tensors and members were read as what they are. What is no model does not count
    """

    def __init__(
        self,
        policy: Policy,
        limits: Limits,
        *,
        files: int = 0,
        depth: int = 0,
        encoding: str | None = None,
        near: Near = nowhere,
    ) -> None:
        self.policy = policy
        self.limits = limits
        self.files = files
        self.depth = depth
        self.encoding = encoding
        self.near = near
        self.witness: Witness | None = None
        self.findings: list[Finding] = []
        self.omitted = 0
        self.omitted_worst = Verdict.CLEAN
        self.streams = 0
        self.opcodes = 0
        self.validated = 0
        self.judged = 0
        self._skipped = 0

    def add(self, *findings: Finding) -> None:
        """Add findings to the report. Beyond the limit they are counted, and their worst verdict still counts."""
        for finding in findings:
            if len(self.findings) < self.limits.findings:
                self.findings.append(finding)
            else:
                self.omitted += 1
                self.omitted_worst = worst((self.omitted_worst, finding.verdict), empty=Verdict.CLEAN)

    def broken(
        self, error: Malformed | LimitExceeded, member: str, *, stream: int | None = None, offset: int | None = None
    ) -> None:
        """Report what could not be read to its end: the file is unjudged."""
        limit = isinstance(error, LimitExceeded)
        rule = "limit-reached" if limit else "malformed" if stream is None else "malformed-pickle"
        self.add(
            Finding(
                rule, Verdict.UNJUDGED, Severity.MEDIUM, error.message, "" if limit else _AGAIN,
                member=member, offset=offset, stream=stream,
            )
        )  # fmt: skip

    def skip(self, member: str, reason: str) -> None:
        """Count a member that is no model. The first of them are listed."""
        self._skipped += 1
        if self._skipped <= _LISTED:
            self.add(Finding(SKIPPED, Verdict.SKIPPED, Severity.INFO, f"skipped: {reason}", member=member))

    def close(self) -> None:
        """Say how many skipped members were not listed."""
        more = self._skipped - _LISTED
        if more > 0:
            self.add(Finding(SKIPPED, Verdict.SKIPPED, Severity.INFO, f"skipped: {more} more members, no model"))

    def mark(self) -> tuple[int, int, int]:
        """How much was found, judged and skipped so far, for `nothing_since` and `forget`."""
        return len(self.findings), self.judged, self._skipped

    def nothing_since(self, mark: tuple[int, int, int]) -> bool:
        """Whether nothing was judged since then, and nothing found but that.

        SECURITY: what was judged is counted, never concluded from findings: where nothing was, none is no clean file.
        """
        new = self.findings[mark[0] :]
        return self.judged == mark[1] and not self.omitted and all(f.rule in (NOTHING, SKIPPED) for f in new)

    def forget(self, mark: tuple[int, int, int]) -> None:
        """Take back what was skipped since then: the whole archive is skipped, with one reason."""
        del self.findings[mark[0] :]
        self._skipped = mark[2]

    def want_nothing(self) -> None:
        """Say that there was nothing to judge, unless a reader has said so."""
        if not any(finding.rule == NOTHING for finding in self.findings):
            message = "nothing in it is a model, a pickle or an archive: nothing was judged"
            remedy = "check that this is the file you meant"
            self.add(Finding(NOTHING, Verdict.UNJUDGED, Severity.INFO, message, remedy))
