"""A stream sets the state of something that it did not make, or adds items to it: a class, a function, plain data."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.evidence import mutation_text
from safeload.checks.global_names import REMEDY_DANGEROUS
from safeload.checks.interface import StreamView
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Call, Effect, Mutation
from safeload.policy import Decision


class ForeignState:
    """The target of a BUILD, or of added items, is not the result of a call in this stream."""

    rule = "foreign-state"
    effects = (Mutation,)

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """One finding for the change."""
        if not isinstance(effect, Mutation) or isinstance(effect.target, Call):
            return
        yield view.finding(
            self.rule, Verdict.DANGEROUS, Severity.HIGH,
            "changes something the file did not build: attributes of an imported name would be replaced",
            REMEDY_DANGEROUS, offset=effect.offset, evidence=mutation_text(effect),
        )  # fmt: skip
