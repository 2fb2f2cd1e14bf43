"""Odd archives by the hundred thousand: does safeload read what torch reads, or else not call the file clean?

    python -m tests.differential.archive_campaign --cases 100000 --seed 1 --jobs 2 --out DIR

Cases are judged in child processes with bounds, in case torch's reader does not survive one. Progress goes to standard
error, one line with counts to standard output; DIR gets each failing archive, what every reader saw of it, and
`summary.json`. The status is 1 when there was a disagreement, a foreign exception, or a clean file that torch dies of.
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

from tests.differential.archives import Case, make

CHUNK = 5000
"""Cases of one child: importing torch takes as long as two thousand of them."""

BAD = "DIFFERENT"
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


def examine(case: Case, path: Path) -> tuple[str, dict[str, Any]]:
    """The outcome of one case and, of a bad one, what each reader saw. `path` is a file to write it to."""
    # Imports torch, which the parent does without.
    from tests.differential import archive_readers as readers

    ours = readers.ours_reads(case.data)
    if ours.clean:
        # Made anew each time: a file system that is to empty a file first writes the old one to the disk.
        path.unlink(missing_ok=True)
        path.write_bytes(case.data)
        if not readers.loads_from(path, ours):
            ours.foreign = "load: the path gives another object than the bytes"
        theirs = readers.torch_reads_all(case.data, path)
        zipped = readers.zipfile_reads(case.data, every=True)
        found = readers.disagreements(ours, theirs, zipped)
        # Of an archive of archives there is no object to compare; mapped, compressed storages are garbage to torch.
        if not found and ours.main is not None and ours.stored and theirs.main is not None:
            mapped = readers.torch_maps(path)
            if mapped is not readers.NOTHING and not readers.same(mapped, ours.loaded):
                found.append("torch.load(mmap=True) gives another object")
        loads = theirs.loaded is not readers.NOTHING
        outcome = "clean, loads as torch loads it" if loads else "clean, torch refuses"
    else:
        theirs, zipped = readers.torch_reads(case.data), readers.zipfile_reads(case.data)
        found = [] if ours.loaded is readers.NOTHING else ["loaded although it is not clean"]
        outcome = f"refused, {_among(theirs.main, zipped.main)}"
        if case.plain:
            found.append("an honest archive is refused")
    if ours.foreign:
        found.append(ours.foreign)
    if not found:
        return outcome, {}
    seen = {"safeload": ours, "torch": theirs, "zipfile": zipped}
    return f"{BAD}: {_kind(found[0])}", {"found": found, "seen": {who: vars(s) for who, s in seen.items()}}


def _among(torch_main: bytes | None, zipfile_main: bytes | None) -> str:
    """How torch and zipfile compare on a file that safeload refuses."""
    if torch_main is None:
        return "only zipfile reads it" if zipfile_main is not None else "nobody reads it"
    if zipfile_main is None:
        return "only torch reads it"
    return "torch and zipfile read the same" if torch_main == zipfile_main else "torch and zipfile differ"


def _kind(words: str) -> str:
    """A disagreement without its names and numbers, to count by."""
    return " ".join("..." if any(c.isdigit() or c == "'" for c in word) else word for word in words.split())[:100]


def work(seed: int, first: int, count: int, out: Path) -> None:
    """The child: one JSON line a case, written at once, so that the parent knows which one it died of."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    import torch  # after the limits, and never in the parent

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "case.pt")
        for number in range(first, first + count):
            case = make(seed, number)
            outcome, seen = examine(case, path)
            if seen:
                keep(out, seed, case, outcome, seen)
            line = json.dumps([number, outcome, case.tricks])
            os.write(1, line.encode() + b"\n")


def keep(out: Path, seed: int, case: Case, outcome: str, seen: dict[str, Any]) -> None:
    """Write a failing archive and what each reader made of it."""
    out.mkdir(parents=True, exist_ok=True)
    stem = f"{seed}-{case.number}"
    Path(out, f"{stem}.pt").write_bytes(case.data)
    told = {"outcome": outcome, "tricks": case.tricks, **seen}
    Path(out, f"{stem}.json").write_text(json.dumps(told, indent=1, default=repr), encoding="utf-8")


def _lines(seed: int, first: int, count: int, out: Path) -> Iterator[tuple[int, str, list[str]]]:
    """The outcomes of a range of cases, from as many children as it takes."""
    stop = first + count
    while first < stop:
        options = ["--seed", str(seed), "--first", str(first), "--cases", str(stop - first), "--out", str(out)]
        command = [sys.executable, "-m", "tests.differential.archive_campaign", "--worker", *options]
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
        yield _died(seed, first, out, child.returncode)
        first += 1


def _died(seed: int, number: int, out: Path, status: int) -> tuple[int, str, list[str]]:
    """The outcome of a case that the child did not survive: safeload alone, in this process, which has no torch."""
    from safeload import scan

    case = make(seed, number)
    if scan(case.data).verdict.value != "clean":
        return number, "refused, torch does not survive it", list(case.tricks)
    outcome = f"{BAD}: torch does not survive a clean file"
    keep(out, seed, case, outcome, {"status": status})
    return number, outcome, list(case.tricks)


def run(seed: int, cases: int, jobs: int, out: Path, *, progress: bool = False) -> Tally:
    """The whole campaign. Raises RuntimeError when a child fails for a reason that is no case's."""
    tally = Tally()
    start = time.monotonic()
    ranges = [(first, min(CHUNK, cases - first)) for first in range(0, cases, CHUNK)]
    with ThreadPoolExecutor(jobs) as pool:
        for lines in pool.map(lambda r: list(_lines(seed, *r, out)), ranges):
            for line in lines:
                tally.add(*line)
            if progress:
                took = time.monotonic() - start
                print(f"{tally.cases}/{cases}, {len(tally.bad)} bad, {took:.0f} s", file=sys.stderr, flush=True)
    return tally


def main() -> int:
    """The command line. See the module."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.seed, options.first, options.cases, options.out)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    tally = run(options.seed, options.cases, options.jobs, options.out, progress=True)
    summary = {"seed": options.seed, **vars(tally)}
    Path(options.out, "summary.json").write_text(json.dumps(summary, indent=1, sort_keys=True), encoding="utf-8")
    print(tally.line())
    return 1 if tally.bad else 0


if __name__ == "__main__":
    sys.exit(main())
