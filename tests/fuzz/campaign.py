"""Damaged files by the million: `python -m tests.fuzz.campaign --cases 1000000 --seed 1 --jobs 2 --out DIR`.

Starts workers (`tests.fuzz.worker`), restarts one behind the case that killed it or on which it hangs, keeps the inputs
of all failures, makes the smallest that fail alike, and ends with one line and status 1 when there were any. What is
slow or large is listed for a person to look at and fails nothing. `--case N` runs one case of a campaign again,
`--replay FILE` one file.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

from tests.fuzz.exercise import Exercise, Problem
from tests.fuzz.minimise import smallest
from tests.fuzz.mutants import Case, Mutants
from tests.fuzz.seeds import digest, fetch
from tests.fuzz.worker import Place, Plan

ROOT = Path(__file__).resolve().parents[2]
HUNG = 120.0
"""Seconds of the processor after which a case is taken for endless, and its worker is killed."""
ASLEEP = 3600.0
"""Seconds after which a case is taken for hung that uses none."""
_KEPT = 2
"""Inputs kept of one kind of failure."""


def command(folder: Path, number: int) -> list[str]:
    """How a worker is started."""
    return [sys.executable, "-m", "tests.fuzz.worker", str(folder), str(number)]


class Worker:
    """A process and the number of the case it is at."""

    def __init__(self, folder: Path, number: int, plan: Plan) -> None:
        self.folder, self.number, self.plan = folder, number, plan
        self.place = Place(folder / f"{number}.at")
        self.place.put(plan.first + number, 0)
        self.deaths: list[tuple[int, str]] = []
        self.start()

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
        with (self.folder / f"{self.number}.err").open("ab") as errors:
            self.process = subprocess.Popen(
                command(self.folder, self.number), cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                stdout=errors, stderr=errors,
            )  # fmt: skip
        self.last, self.since, self.used = -1, time.monotonic(), 0.0

    def hangs(self) -> bool:
        """Whether it has been at one case for too long. A busy machine makes a case wait, which is not its fault."""
        return _used(self.process.pid) - self.used > HUNG or time.monotonic() - self.since > ASLEEP

    def alive(self) -> bool:
        """Look after it: whether it still has something to do."""
        at, done = self.place.get()
        if at != self.last:
            self.last, self.since, self.used = at, time.monotonic(), _used(self.process.pid)
        code = self.process.poll()
        if code is None and not self.hangs():
            return True
        if code == 0:
            return False
        why = f"the process ends with {code}" if code is not None else "no answer"
        self.process.kill()
        self.process.wait()
        self.deaths.append((at, why))
        # One death is the case's; one after the other without progress is the worker's own.
        if len(self.deaths) > 20 and done < len(self.deaths):
            return False
        self.place.put(at + self.plan.jobs, done + 1)
        self.start()
        return True


def _used(pid: int) -> float:
    """Seconds of the processor that a process has used; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_seeds(folder: Path) -> None:
    """Store the seeds. In a process of its own, where the order of sets is fixed."""
    code = "import sys; from pathlib import Path; from tests.fuzz.seeds import make_all, store;"
    code += "store(make_all(Path()), Path(sys.argv[1]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    subprocess.run([sys.executable, "-c", code, str(folder.resolve())], check=True, cwd=ROOT, env=environment)


def run(folder: Path, plan: Plan) -> int:
    """The whole campaign. Gives the exit status."""
    make_seeds(folder / "seeds")
    (folder / "plan.json").write_text(json.dumps(plan._asdict()))
    mutants = Mutants(fetch(folder / "seeds"), plan.seed)
    print(f"{len(mutants.seeds)} seeds ({digest(mutants.seeds)}), seed {plan.seed}", file=sys.stderr)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = time.monotonic()
    workers = [Worker(folder, number, plan) for number in range(plan.jobs)]
    said = 0.0
    try:
        while sum(worker.alive() for worker in workers):  # every one is looked after
            time.sleep(0.2)
            if time.monotonic() - said > 15:
                said = time.monotonic()
                _progress(workers, plan, said - start)
    except KeyboardInterrupt:
        print("stopped: what is done so far", file=sys.stderr)
    finally:
        signal.signal(signal.SIGTERM, before)
        for worker in workers:
            worker.process.kill()
    return summary(folder, plan, workers, mutants, time.monotonic() - start)


def _progress(workers: list[Worker], plan: Plan, seconds: float) -> None:
    done = sum(worker.place.get()[1] for worker in workers)
    deaths = sum(len(worker.deaths) for worker in workers)
    print(f"{seconds:6.0f} s  {done:>9} of {plan.cases}  {deaths} deaths", file=sys.stderr, flush=True)


def summary(folder: Path, plan: Plan, workers: list[Worker], mutants: Mutants, seconds: float) -> int:
    """Collect the logs, keep and minimise what failed, print the line. Gives the exit status."""
    counts: collections.Counter[str] = collections.Counter()
    failed: dict[str, list[tuple[int, str]]] = {}
    looked: list[dict[str, Any]] = []
    for worker in workers:
        log = folder / f"{worker.number}.log"
        for line in log.read_text(encoding="utf-8").splitlines() if log.exists() else ():
            note = json.loads(line)
            if note["what"] == "counts":
                counts.update(note["counts"])
            elif note["what"] == "problem":
                failed.setdefault(note["kind"], []).append((note["case"], note["detail"]))
            else:
                looked.append(note)
        for case, why in worker.deaths:
            failed.setdefault(why, []).append((case, why))
    done = sum(worker.place.get()[1] for worker in workers)
    for kind, cases in failed.items():
        keep(folder / "failures", kind, cases, mutants)
    (folder / "summary.json").write_text(
        json.dumps({"cases": done, "seconds": seconds, "counts": counts, "failed": failed, "looked": looked}, indent=1)
    )
    for note in sorted(looked, key=lambda n: -n.get("seconds", n.get("mib", 0)))[:20]:
        print(f"look at: {note}", file=sys.stderr)
    total = sum(map(len, failed.values()))
    slow = sum(note["what"] == "slow" for note in looked)
    print(
        f"{done} cases in {seconds:.0f} s, {total} failures of {len(failed)} kinds, {slow} slower than {plan.slow} s, "
        f"{len(looked) - slow} larger than {plan.grown >> 20} MiB; "
        + ", ".join(f"{counts[k]} {k[5:]}" for k in sorted(counts) if k.startswith("scan ") and k != "scan done")
    )
    return 1 if total or (done < plan.cases and not plan.until) else 0


def keep(folder: Path, kind: str, cases: list[tuple[int, str]], mutants: Mutants) -> None:
    """Write the first inputs of one kind of failure, and the smallest that still fails so."""
    folder.mkdir(exist_ok=True)
    for index, detail in cases[:_KEPT]:
        case = mutants.case(index)
        (folder / f"{index}.bin").write_bytes(case.data)
        if case.beside is not None:
            (folder / f"{index}.tree.json").write_bytes(case.beside)
        told = f"{kind}\n{len(cases)} times\n{case.recipe}\n\n{detail}\n"
        (folder / f"{index}.txt").write_text(told, encoding="utf-8")
        print(f"FAILED {kind}: case {index}, {len(cases)} times; {folder / f'{index}.bin'}", file=sys.stderr)
    index = cases[0][0]
    case = mutants.case(index)
    if case.beside is None:
        (folder / f"{index}.small.bin").write_bytes(smallest(case.data, kind, index))


def exercise_one(case: Case, index: int) -> list[Problem]:
    """The problems of one file, here and now."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        whole = {"share": 1.0, "converted": 1.0} if index < 0 else {}
        return Exercise(Path(folder), **whole).run(case, random.Random(index))


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.campaign", description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="stop after so long, whatever is done by then")
    parser.add_argument("--slow", type=float, default=5, help="seconds of the processor that are worth a note")
    parser.add_argument("--grown", type=int, default=256, help="MiB by which a case may grow the process without one")
    parser.add_argument("--memory", type=int, default=4096, help="MiB of address space for the cases")
    parser.add_argument("--out", type=Path, help="folder for seeds, logs and failures; must be new or empty")
    parser.add_argument("--case", type=int, help="run this case of --out again")
    parser.add_argument("--replay", type=Path, help="run one file")
    given = parser.parse_args(arguments)
    if given.replay is not None:
        problems = exercise_one(Case(given.replay.read_bytes(), None, given.replay.name), -1)
    elif given.case is not None:
        plan = Plan(**json.loads((given.out / "plan.json").read_text()))
        problems = exercise_one(Mutants(fetch(given.out / "seeds"), plan.seed).case(given.case), given.case)
    else:
        out = given.out or Path(tempfile.mkdtemp(prefix="safeload-fuzz-"))
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            parser.error(f"{out} is not empty")
        until = time.time() + given.seconds if given.seconds else 0.0
        return run(out.resolve(), Plan(
            given.seed, given.first, given.cases, given.jobs, given.slow, given.grown << 20, given.memory << 20, until
        ))  # fmt: skip
    for problem in problems:
        print(f"{problem.kind}\n{problem.detail}")
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
