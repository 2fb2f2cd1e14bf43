"""Every case judged, and every hostile one loaded by its real loader:

    python -m tests.silence.campaign [--out FILE] [--scan-only] [--only WORDS]

Prints counts and each miss; FILE gets a line for each. The status is 1 when something hostile is silent, something
benign is dangerous, or a loader that a case names does not run its payload.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.silence.generate import Case, cases
from tests.silence.judging import FORMS, judged
from tests.silence.loaders import missing

ROOT = Path(__file__).resolve().parents[2]


def run_loaders(chosen: Iterable[Case]) -> dict[str, tuple[bool, str]]:
    """Name -> whether it ran its payload, and what the loader said. One child for each loader."""
    answers: dict[str, tuple[bool, str]] = {}
    by_loader: dict[str, list[Case]] = {}
    for case in chosen:
        if case.loader and not missing(case.loader):
            by_loader.setdefault(case.loader, []).append(case)
    for group in by_loader.values():
        waiting = group
        while waiting:
            asked = json.dumps([[str(case.path.resolve()), case.loader, case.argument] for case in waiting])
            done = subprocess.run(
                [sys.executable, "-W", "ignore", "-m", "tests.silence.loaders"],
                input=asked, capture_output=True, text=True, cwd=ROOT, check=False,
            )  # fmt: skip
            lines = [tuple(json.loads(line)) for line in done.stdout.splitlines()]
            answers |= {case.name: line for case, line in zip(waiting, lines, strict=False)}
            if len(lines) == len(waiting):
                break
            # The child died of the next one.
            answers[waiting[len(lines)].name] = (
                False,
                f"the loader ended with {done.returncode}: {done.stderr[-200:]}",
            )
            waiting = waiting[len(lines) + 1 :]
    return answers


def misjudged(case: Case, forms: tuple[str, ...] = FORMS) -> list[str]:
    """What is wrong with what safeload says, a line for each form."""
    found = []
    for form in forms:
        said = judged(case, form)
        wrong = said.silent if case.hostile else said.dangerous
        wrong |= "internal-error" in said.rules
        if wrong:
            found.append(f"{case.name} [{form}] {said.verdict} {said.status} {','.join(said.rules)} {said.own}")
        if case.kind == "git":
            break
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--scan-only", action="store_true")
    parser.add_argument("--only", default="")
    given = parser.parse_args()
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        chosen = [case for case in cases(Path(folder)) if given.only in case.name]
        counts = Counter("hostile" if case.hostile else "benign" for case in chosen)
        print(f"{dict(counts)} cases written in {time.perf_counter() - start:.1f} s", flush=True)
        start = time.perf_counter()
        for case in chosen:
            lines += misjudged(case)
        print(f"{len(lines)} misjudged, in {time.perf_counter() - start:.1f} s", flush=True)
        unproven: list[str] = []
        if not given.scan_only:
            ran = run_loaders(case for case in chosen)
            for case in chosen:
                if case.name in ran and ran[case.name][0] != case.hostile:
                    unproven.append(f"{case.name} {case.loader}: {ran[case.name][1]}")
            fired = sum(ran[case.name][0] for case in chosen if case.hostile and case.name in ran)
            print(f"{fired} hostile files fired, {len(unproven)} not as claimed", flush=True)
    for line in [*lines, *unproven]:
        print(line)
    if given.out:
        given.out.write_text("".join(f"{line}\n" for line in [*lines, *unproven]), encoding="utf-8")
    return 1 if lines or unproven else 0


if __name__ == "__main__":
    sys.exit(main())
