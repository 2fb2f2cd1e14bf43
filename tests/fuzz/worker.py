"""One process of a campaign: takes cases by number, exercises each, writes down what was wrong, and may die.

    python -m tests.fuzz.worker DIR NUMBER

It reads DIR/plan.json and DIR/seeds, works through its own cases from DIR/NUMBER.at on, keeps in that file the number
of the case it is at, and appends a line of JSON to DIR/NUMBER.log for each problem, slow or large case. Whoever started
it restarts it behind the case that killed it (`tests.fuzz.campaign`); without that process it stops.
"""

from __future__ import annotations

import gc
import json
import mmap
import os
import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from tests.fuzz.exercise import Exercise, watched
from tests.fuzz.mutants import Case, Mutants
from tests.fuzz.seeds import fetch

_EVERY = 2000
"""Cases between two notes of the counts."""


class Plan(NamedTuple):
    """What every worker of a campaign knows.

    seed, first, cases, jobs   case numbers first ... first + cases - 1, dealt out in turn
    slow                       seconds (of the processor) of a case worth a note
    grown                      bytes by which a case may raise the resident set
    memory                     bytes of address space beyond those at the start
    until                      wall clock at which to stop, 0 for none
    """

    seed: int
    first: int
    cases: int
    jobs: int
    slow: float
    grown: int
    memory: int
    until: float = 0.0


class Place:
    """Two numbers in a file that outlives the worker: the case it is at, and how many are done."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 16)

    def get(self) -> tuple[int, int]:
        """The case, and how many are done."""
        return int.from_bytes(self._map[:8], "little"), int.from_bytes(self._map[8:], "little")

    def put(self, case: int, done: int) -> None:
        """Note both."""
        self._map[:] = case.to_bytes(8, "little") + done.to_bytes(8, "little")


def limit_memory(more: int) -> None:
    """Allow this process `more` bytes of address space than it has."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + more, hard))


def warm(exercise: Exercise, cases: list[Case]) -> None:
    """Have everything imported that is imported on first use: what a case then imports is the doing of its file."""
    for case in cases:
        exercise.run(case, random.Random(0))


def work(folder: Path, number: int) -> None:
    """All cases of this worker from where it is."""
    import torch

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    plan = Plan(**json.loads((folder / "plan.json").read_text()))
    seeds = fetch(folder / "seeds")
    place = Place(folder / f"{number}.at")
    mutants = Mutants(seeds, plan.seed)
    with (
        watched() as effects,
        tempfile.TemporaryDirectory() as files,
        (folder / f"{number}.log").open("a", encoding="utf-8") as log,
    ):
        warm(Exercise(Path(files), share=1.0, converted=1.0), [Case(s.data, s.beside, s.name) for s in seeds])
        effects.clear()
        exercise = Exercise(Path(files), effects=effects)
        limit_memory(plan.memory)
        gc.collect()
        gc.freeze()
        _cases(plan, place, mutants, exercise, log)


def _cases(plan: Plan, place: Place, mutants: Mutants, exercise: Exercise, log: TextIO) -> None:
    index, done = place.get()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    parent = os.getppid()
    while os.getppid() == parent and index < plan.first + plan.cases and not 0 < plan.until < time.time():
        place.put(index, done)
        case = mutants.case(index)
        # Of the processor: on a busy machine the clock on the wall says little. What sleeps is taken for hung.
        start = time.process_time()
        problems = exercise.run(case, random.Random(index))
        took = time.process_time() - start
        now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for problem in problems:
            _note(log, "problem", index, case.recipe, **problem._asdict())
        if took > plan.slow:
            _note(log, "slow", index, case.recipe, seconds=round(took, 2))
        if (now - peak) * 1024 > plan.grown:
            _note(log, "large", index, case.recipe, mib=(now - peak) >> 10)
        peak = max(now, peak)
        index, done = index + plan.jobs, done + 1
        if done % _EVERY == 0:
            _counts(log, exercise)
    place.put(index, done)
    _counts(log, exercise)


def _counts(log: TextIO, exercise: Exercise) -> None:
    _note(log, "counts", 0, "", counts=dict(exercise.done))
    exercise.done.clear()


def _note(log: TextIO, what: str, index: int, recipe: str, **more: Any) -> None:
    print(json.dumps({"what": what, "case": index, "recipe": recipe, **more}), file=log, flush=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
