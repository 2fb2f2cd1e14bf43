"""Outcomes written out by hand, and the golden file of each report of them.

Run this file to write the golden files again after a report was changed on purpose; read the difference first.
"""

from __future__ import annotations

from pathlib import Path

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report
from safeload.reports import FORMATS, Outcome, Style

GOLDEN = Path(__file__).resolve().parent.parent / "golden"

RUNS = Finding(
    "runs-programs",
    Verdict.DANGEROUS,
    Severity.CRITICAL,
    "calls posix.system: starts a program",
    "do not load this file",
    member="archive/data.pkl",
    offset=31,
    stream=0,
    name="posix.system",
    evidence="posix.system('echo pwned')",
)
NAMES = Finding(
    "unknown-global",
    Verdict.UNVETTED,
    Severity.MEDIUM,
    "names project.Model, which is outside the vetted table",
    "look at the class",
    member="data.pkl",
    offset=2,
    stream=1,
    name="project.Model",
)
CUT = Finding(
    "truncated",
    Verdict.UNJUDGED,
    Severity.MEDIUM,
    "the end record is missing",
    "download the file again",
    offset=1 << 20,
)
REMARK = Finding("big-endian", Verdict.CLEAN, Severity.INFO, "its storages hold big-endian values")

DIGEST = "ab" * 32
SHA = "cd" * 32

CLEAN = Report("models/good.pt", Verdict.CLEAN, "torch-zip", 2048, SHA, 1, 12, policy_digest=DIGEST)
PLAIN = (
    CLEAN,
    Report("models/evil.pt", Verdict.DANGEROUS, "torch-zip", 4096, SHA, 1, 20, (RUNS,), policy_digest=DIGEST),
    Report("models/own class.ckpt", Verdict.UNVETTED, "torch-legacy", 512, SHA, 5, 40, (NAMES,), policy_digest=DIGEST),
    Report("models/half.pt", Verdict.UNJUDGED, "torch-zip", 1 << 20, None, 0, 0, (CUT,), policy_digest=DIGEST),
    Report("models/README.md", Verdict.SKIPPED, size=10, reason="text, no model", policy_digest=DIGEST),
    Report("models/be.pt", Verdict.CLEAN, "torch-zip", 99, SHA, 1, 1, (REMARK,), policy_digest=DIGEST),
)

# A name, a member and evidence that try to clear the screen, to turn the line round and to pass for a clean file.
HOSTILE = (
    Report(
        "models/\x1b[2Jclean  \u202egpj.\u202c\udcff\n.pt",
        Verdict.DANGEROUS,
        "torch-zip",
        1,
        SHA,
        2,
        3,
        (
            Finding(
                "runs-programs",
                Verdict.DANGEROUS,
                Severity.CRITICAL,
                "calls p\u043esix.system\x07",
                "do not load this file",
                member="data.pkl' at 0x0 (byte 0)\r\x9b2K",
                offset=7,
                stream=1,
                name="p\u043esix.system",
                evidence="p\u043esix.system('\x1b]8;;http://x\x1b\\ \u200b\u2066 \x7f')" + "A" * 300,
            ),
        ),
        policy_digest=DIGEST,
    ),
    Report("-rf; echo $(id) 'x'", Verdict.UNJUDGED, findings=(CUT,), policy_digest=DIGEST),
    Report("m\u0430lware.pt", Verdict.UNVETTED, findings=(NAMES,), policy_digest=DIGEST),
    Report("модель-模型-é.pt", Verdict.UNVETTED, findings=(NAMES,), policy_digest=DIGEST),
)


def _named(number: int) -> Finding:
    name = f"project.Class{number}"
    return Finding(
        "unknown-global", Verdict.UNVETTED, Severity.MEDIUM, f"names {name}", "look at it", offset=number, name=name
    )


MANY = (
    Report(
        "-many.pkl",
        Verdict.DANGEROUS,
        "pickle",
        9,
        SHA,
        1,
        99,
        (RUNS, *(_named(number) for number in range(15)), CUT, CUT, CUT, CUT),
        omitted=70,
        policy_digest=DIGEST,
    ),
)

QUIET = Style(quiet=True)
VERBOSE = Style(verbose=True)
COLOR = Style(color=True)


def outcome(*reports: Report, allow_empty: bool = False) -> Outcome:
    return Outcome(reports, DIGEST, 0.25, allow_empty)


# Golden file -> format, outcome, style.
CASES: dict[str, tuple[str, Outcome, Style]] = {
    "scan-plain.txt": ("text", outcome(*PLAIN), Style()),
    "scan-verbose.txt": ("text", outcome(*PLAIN), VERBOSE),
    "scan-quiet.txt": ("text", outcome(*PLAIN), QUIET),
    "scan-color.txt": ("text", outcome(*PLAIN), COLOR),
    "scan-clean.txt": ("text", outcome(CLEAN), Style()),
    "scan-hostile.txt": ("text", outcome(*HOSTILE), Style()),
    "scan-many.txt": ("text", outcome(*MANY), Style()),
    "scan-nothing.txt": ("text", outcome(), Style()),
    "scan-plain.json": ("json", outcome(*PLAIN), Style()),
    "scan-hostile.json": ("json", outcome(*HOSTILE), COLOR),
}


def rendered(name: str) -> bytes:
    form, result, style = CASES[name]
    return next(f for f in FORMATS if f.name == form).render(result, style).encode("utf-8")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for case in CASES:
        (GOLDEN / case).write_bytes(rendered(case))
