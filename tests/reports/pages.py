"""Pages of the HTML report for its tests: outcomes with everything on them, and texts that try to break out of one.

Run this file to write the golden pages again after the report was changed on purpose; read the difference first.
"""

from __future__ import annotations

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report
from safeload.reports import Outcome, Style
from safeload.reports.details import Detail, OpcodeLine, Part
from safeload.reports.html.report import Html
from tests.reports.outcomes import DIGEST, GOLDEN, HOSTILE, ODD, PLAIN, RULES, SHA, outcome

SETS_A_MARKER = "window.pwned=1;document.title='pwned';alert(1)"
BREAKOUTS = (
    f"<script>{SETS_A_MARKER}</script>",
    f"</script><script>{SETS_A_MARKER}</script>",
    f"</style><script>{SETS_A_MARKER}</script>",
    f"--><script>{SETS_A_MARKER}</script><!--",
    f'"><img src=x onerror="{SETS_A_MARKER}">',
    f"' autofocus onfocus='{SETS_A_MARKER}' x='",
    f'" tabindex=1 onfocus="{SETS_A_MARKER}" autofocus y="',
    f"<svg onload={SETS_A_MARKER}>",
    f'<iframe srcdoc="<script>parent.{SETS_A_MARKER}</script>">',
    f'<a href="javascript:{SETS_A_MARKER}">javascript:{SETS_A_MARKER}</a>',
    "<base href=//127.0.0.1/><link rel=stylesheet href=/leak.css><img src=/leak.png>",
    "<meta http-equiv=refresh content='0;url=/leak'>",
    "<style>@import '/leak-style.css';*{display:none}</style>",
    f"&lt;script&gt;{SETS_A_MARKER}&lt;/script&gt; &#60;script&#62; \\u003cscript\\u003e",
    "</title></textarea></select></option></svg></table><form action=/leak><input name=search>",
    f"<details open ontoggle={SETS_A_MARKER}>",
)


def _attacked(number: int, bad: str) -> tuple[Report, Detail]:
    """A report and a detail with `bad` wherever text of a file can stand."""
    found = Finding(
        bad, Verdict.DANGEROUS, Severity.CRITICAL, bad, bad, bad, 31, 0, bad, f"posix.system({bad})", accepted=bad
    )
    line = OpcodeLine(31, bad, bad, bad, bad, 2, here=True)
    part = Part(bad, bad, 60, 1, (Part(bad, bad, 40, 1), Part(bad, bad, 20, 1)))
    report = Report(f"{bad}{number}", Verdict.DANGEROUS, bad, 4096, bad, 2, 9, (found,), 3, bad, DIGEST)
    return report, Detail({(0, 31): (line,)}, Part("", "", 100, 2, (part, Part(bad, "", 40))), bad)


def attack() -> Outcome:
    """Every breakout, everywhere."""
    pairs = [_attacked(number, bad) for number, bad in enumerate(BREAKOUTS)]
    details = {report.path: detail for report, detail in pairs}
    rules = dict.fromkeys(BREAKOUTS, f"{BREAKOUTS[0]}\n{BREAKOUTS[4]}")
    return Outcome(tuple(report for report, _ in pairs), BREAKOUTS[0], 0.25, False, details, rules)


LINES = (
    OpcodeLine(2, "GLOBAL", "posix system", "", "imports posix.system", 1),
    OpcodeLine(17, "BINUNICODE", "'echo pwned'", "memo[0] =", "", 2),
    OpcodeLine(31, "REDUCE", "", "", "calls posix.system with 'echo pwned'", 1, here=True),
    OpcodeLine(32, "STOP", "", "", "the object: posix.system('echo pwned')", 0),
)
LAYERS = tuple(Part(f"{number}", f"model.layers.{number}", 400 - number, 8) for number in range(3))
BYTES = Part(
    "",
    "",
    2048,
    27,
    (
        Part("model.layers", "model.layers", 1197, 24, LAYERS),
        Part("lm_head", "lm_head", 600, 1),
        Part("model.embed", "model.embed", 0, 1),
        Part("pickles, headers and padding", "", 251),
    ),
)


def plain() -> Outcome:
    """Every verdict, with opcodes, bytes and a note."""
    details = {
        "models/good.pt": Detail(bytes=BYTES),
        "models/evil.pt": Detail({(0, 31): LINES}),
        "models/half.pt": Detail(note="The file changed after it was judged."),
    }
    return outcome(*PLAIN, *ODD)._replace(details=details)


PAGES = {
    "html-plain.html": plain(),
    "html-hostile.html": outcome(*HOSTILE),
    "html-nothing.html": outcome(),
}
"""Golden file -> outcome."""


def page(result: Outcome) -> str:
    """The HTML report of `result`."""
    return Html().render(result, Style())


def many(files: int, findings: int) -> Outcome:
    """An outcome larger than a page."""
    found = tuple(
        Finding("unknown-global", Verdict.UNVETTED, Severity.LOW, f"names project.Class{number}", offset=number)
        for number in range(findings)
    )
    return outcome(*(Report(f"{n}.pt", Verdict.UNVETTED, "pickle", 9, SHA, 1, 9, found) for n in range(files)))


__all__ = ["BREAKOUTS", "BYTES", "GOLDEN", "LINES", "PAGES", "RULES", "attack", "many", "page", "plain"]

if __name__ == "__main__":
    for name, result in PAGES.items():
        (GOLDEN / name).write_bytes(page(result).encode("ascii"))
