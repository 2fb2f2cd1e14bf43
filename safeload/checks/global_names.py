"""Names outside the vetted table that the stream only imports: dangerous, known or unknown.

When a dangerous name *is* called, the judge reports the call, with its arguments.
"""

from __future__ import annotations

from collections.abc import Iterable

from safeload.checks.evidence import call_text, global_name
from safeload.checks.interface import StreamView
from safeload.findings import Finding
from safeload.machine.program import Call, Effect, Global
from safeload.policy import Decision, Standing

REMEDY_UNVETTED = (
    "load it with safeload.load(..., unvetted='record') to reach the data without the class, "
    "or name the class in trust= if it is yours"
)
REMEDY_DANGEROUS = "do not load this file; delete it or ask its author for a safetensors file"
REMEDY_TEXT = (
    "a line of text that begins with c reads like this; if this is a text file, leave it out of what is scanned: "
    "it is no model, and no loader of pickles may be given it"
)


class GlobalNames:
    """Reports what the policy says of a name."""

    rule = "unknown-global"
    effects = (Global, Call)

    def check(self, effect: Effect, decision: Decision | None, view: StreamView) -> Iterable[Finding]:
        """One finding for a Global that is not vetted, or for a Call of one."""
        if decision is None:
            return
        if isinstance(effect, Call) and decision.kind is Standing.DANGEROUS:
            name = global_name(effect.func) if isinstance(effect.func, Global) else None
            yield view.finding(
                decision.rule, decision.verdict, decision.severity,
                f"calls {name}: {decision.reason}", REMEDY_DANGEROUS,
                offset=effect.offset, name=name, evidence=call_text(effect)[:400],
            )  # fmt: skip
        elif isinstance(effect, Global):
            yield _named(effect, decision, view)


def like_text(node: Global) -> bool:
    """Whether the module is no Python name but plain text, such as "lick==8.1" of a requirements.txt.

    This changes only the remedy. An importer may find a module of any name, so the name is judged like every other.
    """
    module = node.module
    return module.isascii() and module.isprintable() and not module.replace(".", "_").isidentifier()


def _named(node: Global, decision: Decision, view: StreamView) -> Finding:
    name = global_name(node)
    if decision.kind is Standing.DANGEROUS:
        message = f"names {name} without calling it here: {decision.reason}"
        remedy = REMEDY_DANGEROUS
    elif decision.what:
        message, remedy = f"names {name}: {decision.what}", REMEDY_UNVETTED
    else:
        message = f"names {name}, which is outside the vetted table and not known"
        remedy = REMEDY_TEXT if like_text(node) else REMEDY_UNVETTED
    return view.finding(
        decision.rule, decision.verdict, decision.severity, message, remedy, offset=node.offset, name=name
    )
