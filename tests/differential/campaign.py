"""Compare the machine with CPython over many cases: python -m tests.differential.campaign --cases 1000000 --seed 1

The second reader has a say as well: it is held against the verdict where it takes the bytes of a case. Progress goes
to stderr, one line of counts to stdout. Inputs on which a scan believes to have understood what CPython does otherwise
are made small and written to --out; then the exit status is 1. The same seed gives the same cases, and --start goes on
from one of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.differential import pickles
from tests.differential.judging_cases import Judged
from tests.differential.oracle_process import Case, Oracle
from tests.differential.second_opinion import second_opinion

BATCH = 100
CHUNK = 2_000
"""Cases that a worker takes at a time."""
OUTCOMES = ("equal", "refused by both", "unjudged", "unvettable", "gave up", "DISAGREES")
KEPT = 50
"""Failing inputs beyond this many are counted only."""
SHRINKING = 400
"""How often a failing input is tried again to make it smaller."""


class Chunk(NamedTuple):
    """What became of a row of cases: counts of (outcome, verdict), failures, and how often the child died."""

    counts: Counter[tuple[str, str]]
    failures: list[tuple[int, Case, str]]
    deaths: int


def compare(seed: int, start: int, stop: int, oracle: Oracle) -> Chunk:
    """Cases `start` to `stop` of `seed`. The child works on one batch while this process judges it too."""
    done = Chunk(Counter(), [], 0)
    before = oracle.deaths
    for first in range(start, stop, BATCH):
        indices = range(first, min(stop, first + BATCH))
        cases = [pickles.case(seed, index) for index in indices]
        oracle.ask(cases)
        judged = [Judged(case) for case in cases]
        for index, ours, answer in zip(indices, judged, oracle.answers(), strict=True):
            outcome, detail = outcome_of(ours, answer)
            done.counts[outcome, str(ours.verdict)] += 1
            if outcome == "DISAGREES":
                done.failures.append((index, ours.case, detail))
    return done._replace(deaths=oracle.deaths - before)


def outcome_of(ours: Judged, answer: Any) -> tuple[str, str]:
    """What `Judged.outcome` says; and DISAGREES where the second reader sees something else in the same bytes."""
    found = ours.outcome(answer)
    detail = "" if found[0] == "DISAGREES" else second_opinion(ours.case[0])
    return ("DISAGREES", detail) if detail else found


_oracle: Oracle | None = None


def _begin(python: str) -> None:
    global _oracle
    _oracle = Oracle(python)


def _chunk(task: tuple[int, int, int]) -> Chunk:
    assert _oracle is not None
    return compare(*task, _oracle)


def disagrees(case: Case, oracle: Oracle) -> bool:
    """Does one case fail?"""
    oracle.ask([case])
    return outcome_of(Judged(case), oracle.answers()[0])[0] == "DISAGREES"


def minimised(case: Case, fails: Callable[[Case], bool]) -> Case:
    """A smaller case that still fails: parts are left out, larger ones first."""
    data, encoding = case
    tries = SHRINKING
    size = max(1, len(data) // 2)
    while size and tries:
        at = 0
        while at < len(data) and tries:
            tries -= 1
            shorter = data[:at] + data[at + size :]
            if fails((shorter, encoding)):
                data = shorter
            else:
                at += size
        size //= 2
    return data, encoding


def keep(folder: Path, seed: int, failures: list[tuple[int, Case, str]], oracle: Oracle) -> None:
    """Write failing inputs, made small, with what is wrong beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, case, detail in failures:
        data, encoding = minimised(case, lambda smaller: disagrees(smaller, oracle))
        name = f"{seed}-{index}"
        (folder / f"{name}.pkl").write_bytes(data)
        (folder / f"{name}.whole.pkl").write_bytes(case[0])
        (folder / f"{name}.txt").write_text(f"{detail}\nencoding {encoding}\n{data!r}\n", encoding="utf-8")
        print(f"case {index} of seed {seed}: {detail}", file=sys.stderr)


def tasks(seed: int, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """The cases in chunks."""
    for first in range(start, stop, CHUNK):
        yield seed, first, min(stop, first + CHUNK)


def summary(counts: Counter[tuple[str, str]], deaths: int) -> str:
    """One line: how many cases came out how, and how many of the equal ones were called clean."""
    found = [f"{name} {sum(n for (outcome, _), n in counts.items() if outcome == name)}" for name in OUTCOMES]
    found[0] += f" ({counts['equal', 'clean']} of them clean)"
    return f"{counts.total()} cases: {', '.join(found)}; CPython died {deaths} times"


def main(arguments: list[str] | None = None) -> int:
    """Run the campaign; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential.campaign", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="the first case, to go on where a run ended")
    parser.add_argument("--jobs", type=int, default=1, help="each is a process with a child of its own")
    parser.add_argument("--child", default=sys.executable, metavar="PYTHON", help="the CPython (3.8 or newer) to ask")
    parser.add_argument("--out", type=Path, default=Path("disagreements"), help="folder for failing inputs")
    given = parser.parse_args(arguments)
    counts: Counter[tuple[str, str]] = Counter()
    failures: list[tuple[int, Case, str]] = []
    deaths = 0
    oracle = Oracle(given.child)
    began = shown = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(given.jobs, _begin, (given.child,)) as pool:
        for chunk in pool.imap(_chunk, tasks(given.seed, given.start, given.start + given.cases)):
            counts += chunk.counts
            failures += chunk.failures
            if chunk.failures and len(failures) <= KEPT:
                keep(given.out, given.seed, chunk.failures, oracle)
            deaths += chunk.deaths
            if time.monotonic() - shown > 10:
                shown = time.monotonic()
                rate = counts.total() / (shown - began)
                reached = given.start + counts.total()
                print(f"up to case {reached}, {rate:.0f}/s, {len(failures)} disagree", file=sys.stderr, flush=True)
    oracle.close()
    print(summary(counts, deaths))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
