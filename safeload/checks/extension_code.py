"""An extension code: the process that loads the file decides what it stands for, so the file alone cannot tell."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.global_names import REMEDY_DANGEROUS
from safeload.checks.interface import StreamView
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Effect, Extension
from safeload.policy import Decision


class ExtensionCode:
    """The opcodes EXT1, EXT2 and EXT4."""

    rule = "extension-code"
    effects = (Extension,)

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """One finding for the code."""
        if isinstance(effect, Extension):
            yield view.finding(
                self.rule, Verdict.DANGEROUS, Severity.HIGH,
                f"uses copyreg extension code {effect.code}, which stands for whatever the loading process registered",
                REMEDY_DANGEROUS, offset=effect.offset,
            )  # fmt: skip
