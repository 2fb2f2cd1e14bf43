"""What one input and everything inside it add up to: findings, counts, and what every reading of it shares.

Bounds how many findings are kept and loses no verdict. Reads nothing and computes no verdict.
"""

from __future__ import annotations

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


def nowhere(name: str) -> bool:
    """The Near of a text that is alone: nothing lies beside it."""
    return False


class Tally:
    """See the module. `near` says what lies beside the input, for texts that name modules.

    judged   pickles, tensors and members that were read as what they are; what is no model does not count
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

    def add(self, finding: Finding) -> None:
        """Keep a finding, or count it once the limit is reached; a verdict is never lost with it."""
        if len(self.findings) < self.limits.findings:
            self.findings.append(finding)
        else:
            self.omitted += 1
            self.omitted_worst = worst((self.omitted_worst, finding.verdict), empty=Verdict.CLEAN)

    def skip(self, member: str, reason: str) -> None:
        """Note a member that is no model; the first are listed, all are counted."""
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
        """Take back what was skipped since then: it is told as one."""
        del self.findings[mark[0] :]
        self._skipped = mark[2]

    def want_nothing(self) -> None:
        """Say that there was nothing to judge, unless a reader has said so."""
        if not any(finding.rule == NOTHING for finding in self.findings):
            message = "nothing in it is a model, a pickle or an archive: nothing was judged"
            remedy = "check that this is the file you meant"
            self.add(Finding(NOTHING, Verdict.UNJUDGED, Severity.INFO, message, remedy))
