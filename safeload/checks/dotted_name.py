"""A dotted name: protocol 4 walks attributes, so a harmless module reaches `sys` or `eval` through it."""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.evidence import global_name
from safeload.checks.global_names import REMEDY_DANGEROUS, REMEDY_TEXT, like_text
from safeload.checks.interface import StreamView
from safeload.findings import Finding, Severity, Verdict
from safeload.machine.program import Effect, Global
from safeload.policy import Decision


class DottedName:
    """The name part of a global holds a dot."""

    rule = "dotted-name"
    effects = (Global,)

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """One finding for the name.

        SECURITY: names in the tables are exact, so the policy knows no dotted name, whatever its first part is.
        """
        if not isinstance(effect, Global) or "." not in effect.name:
            return
        yield view.finding(
            self.rule, Verdict.DANGEROUS, Severity.HIGH,
            f"{global_name(effect)} walks attributes of {ascii(effect.module)[1:-1][:80]} to reach something else",
            REMEDY_TEXT if like_text(effect) else REMEDY_DANGEROUS, offset=effect.offset, name=global_name(effect),
        )  # fmt: skip
