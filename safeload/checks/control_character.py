"""A NUL or other control character in a name: readers cut or hide it, so two readers see two names."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.evidence import global_name
from safeload.checks.global_names import REMEDY_DANGEROUS
from safeload.checks.interface import View
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Effect, Global
from safeload.policy import Decision


class ControlCharacter:
    """Module or name holds a character below 0x20, 0x7f to 0x9f, or a line or direction mark."""

    rule = "control-character"
    effects = (Global,)

    def check(self, effect: Effect, decision: Decision | None, view: View) -> Iterable[Finding]:
        """One finding for the name."""
        if not isinstance(effect, Global) or not any(_hidden(c) for c in effect.raw_module + effect.raw_name):
            return
        yield view.finding(
            self.rule, Verdict.DANGEROUS, Severity.HIGH, "a name holds a control character, which hides what it is",
            REMEDY_DANGEROUS, offset=effect.offset, name=global_name(effect), evidence=global_name(effect),
        )  # fmt: skip


def _hidden(character: str) -> bool:
    return not character.isprintable()
