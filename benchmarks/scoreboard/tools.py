"""One adapter for each scanner: what its own interface says of one file, read into three words. Loads nothing.

`clean` is said when a tool has nothing to say; `unsure` when it says that it could not read the file, met an error,
crashed, took too long, or names something without calling it dangerous; `dangerous` when it does. Each adapter states
how that is read. Every file is given by its own name, never by a folder: a tool that filters folders by extension
is not charged for that. Options are those a tool starts with.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

CLEAN, UNSURE, DANGEROUS = "clean", "unsure", "dangerous"


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool said: `word` is one of the three above, `why` a line for whoever looks into it."""

    word: str
    why: str = ""


def safeload(path: Path) -> Said:
    """Clean is the verdict clean; dangerous the verdict dangerous; unvetted and unjudged refuse the file: unsure."""
    import safeload as library

    report = library.scan(path)
    why = report.findings[0].message if report.findings else ""
    return Said(str(report.verdict) if report.verdict in (CLEAN, DANGEROUS) else UNSURE, f"{report.verdict}: {why}")


def picklescan(path: Path) -> Said:
    """Its exit code is 2 on `scan_err` and 1 on issues; suspicious globals are printed and leave it at 0: unsure."""
    from picklescan.scanner import scan_file_path

    result = scan_file_path(str(path))
    counts = f"{result.scanned_files} scanned, {result.issues_count} issues, {result.suspicious_count} suspicious"
    if result.issues_count:
        return Said(DANGEROUS, counts)
    return Said(UNSURE if result.scan_err or result.suspicious_count else CLEAN, counts)


def modelscan(path: Path) -> Said:
    """The JSON report's issues: dangerous. Errors (exit code 2), and nothing scanned (exit code 3): unsure."""
    from modelscan.modelscan import ModelScan

    scanner = ModelScan()
    report = scanner.scan(path)
    summary = report["summary"]
    counts = f"{summary['total_issues']} issues, {len(report['errors'])} errors, {summary['scanned']}"
    if summary["total_issues"]:
        return Said(DANGEROUS, counts)
    return Said(UNSURE if report["errors"] or not summary["scanned"]["total_scanned"] else CLEAN, counts)


def fickling(path: Path) -> Said:
    """Its two scan functions, by whether the file is a zip: its command alone reads none.

    Dangerous from LIKELY_UNSAFE on; what is worse than LIKELY_SAFE (its exit code 1) or has errors: unsure. A zip
    without any member that it reads gives no result at all, and its hub scan calls that no issue: clean.
    """
    from fickling.analysis import Severity
    from fickling.loader import scan_file, scan_zip_archive

    if zipfile.is_zipfile(path):
        results = list(scan_zip_archive(str(path), graceful=True, json_output_path=os.devnull).values())
    else:
        results = [scan_file(str(path), graceful=True, json_output_path=os.devnull)]
    worst = max((result.severity for result in results), default=Severity.LIKELY_SAFE)
    errors = [error for result in results for error in result.errors]
    why = f"{len(results)} read, {worst.name}, {errors[:1]}"
    if worst >= Severity.LIKELY_UNSAFE and not (errors and worst == Severity.LIKELY_UNSAFE):
        return Said(DANGEROUS, why)
    return Said(UNSURE if errors or worst > Severity.LIKELY_SAFE else CLEAN, why)


def hayward(path: Path) -> Said:
    """Its command's JSON: exit code 1 is a finding of high or critical; lower ones and coverage gaps: unsure."""
    from hayward.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["scan", "--format", "json", "--quiet", str(path)])
    report = json.loads(out.getvalue()) if code in (0, 1) else {"findings": [], "coverage_gaps": []}
    counts = f"exit {code}, {report.get('counts')}, {len(report['coverage_gaps'])} gaps"
    if code == 1:
        return Said(DANGEROUS, counts)
    return Said(UNSURE if code or report["findings"] or report["coverage_gaps"] else CLEAN, counts)


SCANNERS: dict[str, Callable[[Path], Said]] = {
    "safeload": safeload,
    "picklescan": picklescan,
    "modelscan": modelscan,
    "fickling": fickling,
    "hayward": hayward,
}


def warm(names: tuple[str, ...]) -> None:
    """Import what each tool needs and let it scan one tiny file: that is no part of its time."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        tiny = Path(folder, "tiny.pkl")
        tiny.write_bytes(b"\x80\x02}q\x00.")
        packed = Path(folder, "tiny.pt")
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("tiny/data.pkl", tiny.read_bytes())
        for name in names:
            for path in (tiny, packed):
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    SCANNERS[name](path)
    sys.stdout.flush()
