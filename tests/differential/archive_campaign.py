"""Odd archives by the hundred thousand: does safeload read what their loaders read, or else not call the file clean?

    python -m tests.differential.archive_campaign --cases 100000 --seed 1 --jobs 2 --out DIR

There are `--forms`: odd checkpoints of torch, archives of the other kinds, and tars; all of them without the option.

Cases are judged in child processes with bounds, in case torch's reader does not survive one. Progress goes to standard
error, one line with counts to standard output; DIR gets each failing archive, what every reader saw of it, and a
summary. The status is 1 when there was a disagreement, a foreign exception, or a clean file that torch dies of.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.differential.archive_examining import BAD, FORMS
from tests.differential.archives import Case

CHUNK = 5000
"""Cases of one child: importing torch takes as long as two thousand of them."""

_MEMORY = 24 << 30
_SECONDS = 600
_ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Tally:
    """What a campaign adds up to."""

    outcomes: Counter[str] = field(default_factory=Counter)
    tricks: Counter[str] = field(default_factory=Counter)
    clean_with: Counter[str] = field(default_factory=Counter)
    bad: list[int] = field(default_factory=list)

    @property
    def cases(self) -> int:
        return self.outcomes.total()

    def add(self, number: int, outcome: str, tricks: list[str]) -> None:
        self.outcomes[outcome] += 1
        self.tricks.update(set(tricks))
        if outcome.startswith("clean"):
            self.clean_with.update(set(tricks))
        if outcome.startswith(BAD):
            self.bad.append(number)

    def line(self) -> str:
        counts = ", ".join(f"{name}: {count}" for name, count in sorted(self.outcomes.items()))
        return f"{self.cases} archives, {len(self.bad)} disagreements ({counts})"


def work(form: str, seed: int, first: int, count: int, out: Path) -> None:
    """The child: one JSON line a case, written at once, so that the parent knows which one it died of."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    import torch  # after the limits, and never in the parent

    torch.set_num_threads(1)
    make, examine = FORMS[form]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "case.pt")
        for number in range(first, first + count):
            case = make(seed, number)
            outcome, seen = examine(case, path)
            if seen:
                keep(out, form, seed, case, outcome, seen)
            line = json.dumps([number, outcome, case.tricks])
            os.write(1, line.encode() + b"\n")


def keep(out: Path, form: str, seed: int, case: Case, outcome: str, seen: dict[str, Any]) -> None:
    """Write a failing archive and what each reader made of it."""
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{form}-{seed}-{case.number}"
    Path(out, f"{stem}.pt").write_bytes(case.data)
    told = {"outcome": outcome, "tricks": case.tricks, **seen}
    Path(out, f"{stem}.json").write_text(json.dumps(told, indent=1, default=repr), encoding="utf-8")


def _lines(form: str, seed: int, first: int, count: int, out: Path) -> Iterator[tuple[int, str, list[str]]]:
    """The outcomes of a range of cases, from as many children as it takes."""
    stop = first + count
    while first < stop:
        options = ["--seed", str(seed), "--first", str(first), "--cases", str(stop - first), "--out", str(out)]
        command = [sys.executable, "-m", "tests.differential.archive_campaign", "--worker", "--forms", form, *options]
        with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            for line in child.stdout:
                number, outcome, tricks = json.loads(line)
                first = number + 1
                yield number, outcome, tricks
        if child.returncode == 0:
            return
        if child.returncode > 0:
            raise RuntimeError(f"the child gave up at case {first} with status {child.returncode}")
        yield _died(form, seed, first, out, child.returncode)
        first += 1


def _died(form: str, seed: int, number: int, out: Path, status: int) -> tuple[int, str, list[str]]:
    """The outcome of a case that the child did not survive: safeload alone, in this process, which has no torch."""
    from safeload import scan

    case = FORMS[form].make(seed, number)
    if scan(case.data).verdict.value != "clean":
        return number, "refused, torch does not survive it", list(case.tricks)
    outcome = f"{BAD}: torch does not survive a clean file"
    keep(out, form, seed, case, outcome, {"status": status})
    return number, outcome, list(case.tricks)


def run(form: str, seed: int, cases: int, jobs: int, out: Path, *, progress: bool = False) -> Tally:
    """The whole campaign of one form. Raises RuntimeError when a child fails for a reason that is no case's."""
    tally = Tally()
    start = time.monotonic()
    ranges = [(first, min(CHUNK, cases - first)) for first in range(0, cases, CHUNK)]
    with ThreadPoolExecutor(jobs) as pool:
        for lines in pool.map(lambda r: list(_lines(form, seed, *r, out)), ranges):
            for line in lines:
                tally.add(*line)
            if progress:
                took = time.monotonic() - start
                print(f"{form}: {tally.cases}/{cases}, {len(tally.bad)} bad, {took:.0f} s", file=sys.stderr, flush=True)
    return tally


def main() -> int:
    """The command line. See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000, help="of each form")
    parser.add_argument("--forms", choices=FORMS, nargs="+", default=list(FORMS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.forms[0], options.seed, options.first, options.cases, options.out)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    bad = 0
    for form in options.forms:
        tally = run(form, options.seed, options.cases, options.jobs, options.out, progress=True)
        summary = {"seed": options.seed, **vars(tally)}
        text = json.dumps(summary, indent=1, sort_keys=True)
        Path(options.out, f"summary-{form}.json").write_text(text, encoding="utf-8")
        print(f"{form}: {tally.line()}", flush=True)
        bad += len(tally.bad)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
