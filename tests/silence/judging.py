"""What safeload says of a case: by path, in a folder beside a clean model, inside a plain zip, staged in git.

The command runs in this process, with its exit status; no case is loaded.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from safeload.cli import app
from tests.silence.generate import Case
from tests.silence.writers import zip_of

FORMS = ("file", "folder", "zip")


class Said(NamedTuple):
    """The whole verdict ("none" when nothing was reported), the exit status and what was found.

    own   verdicts of the files that are not the clean neighbour
    """

    verdict: str
    status: int
    rules: tuple[str, ...]
    own: tuple[str, ...]

    @property
    def silent(self) -> bool:
        """Clean, skipped, or ended with 0."""
        return self.verdict in {"clean", "skipped", "none"} or self.status == 0

    @property
    def dangerous(self) -> bool:
        return self.verdict == "dangerous"


def scanned(path: Path) -> Said:
    result = CliRunner().invoke(app, ["scan", "--no-config", "--format", "json", str(path)])
    try:
        report = json.loads(result.stdout)
    except json.JSONDecodeError:
        return Said("none", result.exit_code, (), ())
    rules = {finding["rule"] for file in report["files"] for finding in file["findings"]}
    own = tuple(file["verdict"] for file in report["files"] if not file["path"].endswith("good.pt"))
    return Said(report["summary"]["verdict"], result.exit_code, tuple(sorted(rules)), own)


def judged(case: Case, form: str) -> Said:
    """One of FORMS; a repository is judged by the hook in the place of all of them."""
    if case.kind == "git":
        return hooked(case.path)
    if form == "file":
        return scanned(case.path)
    if form == "folder":
        return scanned(case.folder)
    return scanned(wrapped(case))


def hooked(repository: Path) -> Said:
    home = Path.cwd()
    os.chdir(repository)
    try:
        result = CliRunner().invoke(app, ["hook", "scan", "--staged", "-v"])
    finally:
        os.chdir(home)
    words = {0: "clean", 1: "dangerous", 2: "unjudged"}
    verdict = (
        "unvetted" if result.exit_code == 1 and "DANGEROUS" not in result.stdout.upper() else words[result.exit_code]
    )
    return Said(verdict, result.exit_code, (), ())


def wrapped(case: Case) -> Path:
    """All files of the case's folder, in a plain zip beside it."""
    path = case.folder.with_suffix(".zip")
    if not path.exists():
        files = sorted(file for file in case.folder.rglob("*") if file.is_file())
        path.write_bytes(zip_of({str(file.relative_to(case.folder)): file.read_bytes() for file in files}))
    return path
