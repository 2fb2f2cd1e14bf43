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

# Text that a format would take for something of its own: a workflow command, markup, a place-holder, a link.
WICKED_PARTS = (
    "a\n::error file=x,title=y::owned\r%0A%250A",
    "##[error]o ##vso[task.x]o ###[x]",
    "| `b` ``c``",
    "<script>alert(1)</script> <!-- ",
    "](javascript:alert(1)) ![](http://x.example/p.png) [t](http://x.example)",
    "http://x.example www.x.example a@x.example @user #1",
    "\x00\x07\x1b[2J\x7f\x9b\ufffe\udcff\ud800\u202egpj\u2066\u2028",
    "]]> &amp; {0} \"q\" 'q' \\ \t, : ${{ x }} $(id)",
)
WICKED_TEXT = " ".join(WICKED_PARTS)
WICKED = Report(
    f"models/{WICKED_TEXT}.pt",
    Verdict.DANGEROUS,
    "torch-zip",
    4096,
    SHA,
    2,
    9,
    (
        Finding(
            "runs-programs",
            Verdict.DANGEROUS,
            Severity.CRITICAL,
            f"calls {WICKED_TEXT}",
            f"do not load {WICKED_TEXT}",
            member=f"archive/{WICKED_TEXT}",
            offset=31,
            stream=0,
            name=f"posix.{WICKED_TEXT}",
            evidence=f"posix.system('{WICKED_TEXT}')",
        ),
        NAMES._replace(name=WICKED_TEXT, accepted=f"baseline: {WICKED_TEXT}"),
    ),
    omitted=3,
    policy_digest=DIGEST,
)
WICKED_SKIPPED = Report(f"{WICKED_TEXT}.png", Verdict.SKIPPED, size=1, reason=f"an image {WICKED_TEXT}")

# A file that somebody accepted, one whose findings were not kept, and two findings that only their number tells apart.
BEFORE = Report(
    "./old.pt", Verdict.UNVETTED, "pickle", 9, SHA, 1, 2, (NAMES._replace(accepted="baseline: known since May"),)
)
LOST = Report("lost.pt", Verdict.DANGEROUS, "pickle", 9, SHA, 1, 2, (NAMES,), omitted=7)
TWICE = Report("/abs/project/twice #1.pt", Verdict.UNVETTED, "pickle", 9, SHA, 1, 2, (NAMES, NAMES))
ODD = (BEFORE, LOST, TWICE)


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


RULES = {"runs-programs": "The name starts a program. It is the usual payload.\nReport it: to `whom` it concerns."}


def outcome(*reports: Report, allow_empty: bool = False) -> Outcome:
    return Outcome(reports, DIGEST, 0.25, allow_empty, rules=RULES, folder="/abs/project")


ALIKE = {
    "text": "txt",
    "json": "json",
    "sarif": "sarif",
    "junit": "xml",
    "github": "github",
    "markdown": "md",
    "html": "html",
}
"""Formats that have a golden file of each outcome below, and the ending of its name. A page has one, for it is long."""

OUTCOMES = {
    "plain": outcome(*PLAIN),
    "hostile": outcome(*HOSTILE),
    "wicked": outcome(WICKED, WICKED_SKIPPED),
    "odd": outcome(*ODD),
    "nothing": outcome(),
}


# Golden file -> format, outcome, style.
CASES: dict[str, tuple[str, Outcome, Style]] = {
    **{
        f"scan-{name}.{ending}": (form, result, Style())
        for form, ending in ALIKE.items()
        for name, result in OUTCOMES.items()
        if form != "html" or name == "wicked"
    },
    "scan-verbose.txt": ("text", outcome(*PLAIN), VERBOSE),
    "scan-quiet.txt": ("text", outcome(*PLAIN), QUIET),
    "scan-color.txt": ("text", outcome(*PLAIN), COLOR),
    "scan-clean.txt": ("text", outcome(CLEAN), Style()),
    "scan-verbose.md": ("markdown", outcome(*PLAIN, *ODD, *MANY), VERBOSE),
    "scan-many.md": ("markdown", outcome(*MANY), Style()),
    "scan-many.github": ("github", outcome(*MANY), Style()),
    "scan-verbose.github": ("github", outcome(*PLAIN, *ODD), VERBOSE),
    "scan-many.txt": ("text", outcome(*MANY), Style()),
}


def rendered(name: str) -> bytes:
    form, result, style = CASES[name]
    return next(f for f in FORMATS if f.name == form).render(result, style).encode("utf-8")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for case in CASES:
        (GOLDEN / case).write_bytes(rendered(case))
