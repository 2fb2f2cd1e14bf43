"""An out-of-band buffer: a part of the object is outside of the file, so nobody can judge it."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.interface import StreamView
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Buffer, Effect
from safeload.policy import Decision


class OutOfBand:
    """The opcode NEXT_BUFFER."""

    rule = "out-of-band-buffer"
    effects = (Buffer,)

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """One finding for the buffer."""
        if isinstance(effect, Buffer):
            yield view.finding(
                self.rule, Verdict.UNJUDGED, Severity.MEDIUM, "takes a buffer from outside the file, which is not here",
                "save the object again without buffer_callback, so that the file is whole", offset=effect.offset,
            )  # fmt: skip
