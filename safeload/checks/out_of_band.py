"""An out-of-band buffer: part of the object is not in the file."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.interface import View
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Buffer, Effect
from safeload.policy import Decision


class OutOfBand:
    """NEXT_BUFFER."""

    rule = "out-of-band-buffer"
    effects = (Buffer,)

    def check(self, effect: Effect, decision: Decision | None, view: View) -> Iterable[Finding]:
        """One finding for the buffer."""
        if isinstance(effect, Buffer):
            yield view.finding(
                self.rule, Verdict.UNJUDGED, Severity.MEDIUM, "takes a buffer from outside the file, which is not here",
                "save the object again without buffer_callback, so that the file is whole", offset=effect.offset,
            )  # fmt: skip
