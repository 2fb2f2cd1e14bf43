"""An extension code: what it stands for is decided by the process that loads, not by the file."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.global_names import REMEDY_DANGEROUS
from safeload.checks.interface import View
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Effect, Extension
from safeload.policy import Decision


class ExtensionCode:
    """EXT1, EXT2, EXT4."""

    rule = "extension-code"
    effects = (Extension,)

    def check(self, effect: Effect, decision: Decision | None, view: View) -> Iterable[Finding]:
        """One finding for the code."""
        if isinstance(effect, Extension):
            yield view.finding(
                self.rule, Verdict.DANGEROUS, Severity.HIGH,
                f"uses copyreg extension code {effect.code}, which stands for whatever the loading process registered",
                REMEDY_DANGEROUS, offset=effect.offset,
            )  # fmt: skip
