"""A call of something that is no global, such as the result of another call. Benign files have no such calls."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.evidence import call_text
from safeload.checks.global_names import REMEDY_DANGEROUS
from safeload.checks.interface import StreamView
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Call, Effect, Global
from safeload.policy import Decision


class CallOfResult:
    """The callable of a call is itself the result of a call, plain data, or a persistent load."""

    rule = "call-of-result"
    effects = (Call,)

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """One finding for the call."""
        if not isinstance(effect, Call) or decision is not None or isinstance(effect.func, Global):
            return
        yield view.finding(
            self.rule, Verdict.DANGEROUS, Severity.CRITICAL,
            "calls the result of something the file built itself, so what runs depends on the file alone",
            REMEDY_DANGEROUS, offset=effect.offset, evidence=call_text(effect)[:400],
        )  # fmt: skip
