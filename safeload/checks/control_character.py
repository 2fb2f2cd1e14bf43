"""A NUL or another control character in a name. Some readers cut the name there or hide it: they see another name."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.evidence import global_name
from safeload.checks.global_names import REMEDY_DANGEROUS
from safeload.checks.interface import StreamView
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Effect, Global
from safeload.policy import Decision


class ControlCharacter:
    """The module or the name holds a character below 0x20, one from 0x7f to 0x9f, or a line or direction mark."""

    rule = "control-character"
    effects = (Global,)

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """One finding for the name."""
        if not isinstance(effect, Global) or not any(_hidden(c) for c in effect.raw_module + effect.raw_name):
            return
        yield view.finding(
            self.rule, Verdict.DANGEROUS, Severity.HIGH, "a name holds a control character, which hides what it is",
            REMEDY_DANGEROUS, offset=effect.offset, name=global_name(effect), evidence=global_name(effect),
        )  # fmt: skip


def _hidden(character: str) -> bool:
    return not character.isprintable()
