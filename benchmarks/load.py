"""safeload.load beside torch.load and safetensors, in one run, on the same data: a part of `make bench`.

Each figure is the median of 5 fresh processes with one thread; the tools take turns, so that what else the machine does
falls on all of them. Every file is read once before each of its loads, so all of them read from the page cache. Imports
and first-use set-up are a table of their own and not counted. Every load of safeload includes the scan and the gate.
Targets are printed with what was measured, met or missed. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import run
from targets import HEAD, Target, say

MB = 1_000_000
TOOLS = {
    "safeload": "safeload.load",
    "torch-weights": "torch.load, weights_only",
    "torch-weights-mmap": "torch.load, weights_only, mmap",
    "torch-full-mmap": "torch.load, full pickle, mmap",
    "safetensors": "safetensors load_file",
}


@dataclass(frozen=True, slots=True)
class Input:
    """One kind of file: its name without the suffix, that of a tiny one of its kind, and who can read it."""

    file: str
    tiny: str
    tools: tuple[str, ...]


OPTIMIZER = "Adam state of a million opcodes"
INPUTS = {
    "1 GB, 300 tensors": Input("gb_300", "tiny", tuple(TOOLS)),
    "1 GB, 10,000 tensors": Input("gb_10000", "tiny", tuple(TOOLS)),
    OPTIMIZER: Input("adam", "tiny_adam", tuple(TOOLS)[:4]),
}
# (input, rival, at most this much of the rival's time to load)
TARGETS = (
    ("1 GB, 300 tensors", "torch-weights-mmap", 0.5),
    ("1 GB, 300 tensors", "safetensors", 1.2),
    ("1 GB, 10,000 tensors", "torch-weights-mmap", 0.35),
    ("1 GB, 10,000 tensors", "safetensors", 1.2),
    (OPTIMIZER, "torch-weights", 0.35),
)
COLUMNS = ("load", "touched", "load_cpu", "peak", "peak_touched")
SET_UPS = ("torch", "imports", "set_up")

Figures = Mapping[str, float]
"""What load_probe.py answered, each figure the median of its runs."""


class Disagreement(Exception):
    """A tool gave other data than the rest, or no answer: its time would be no result."""


class Bench:
    """The places of one run."""

    def __init__(self, python: Path, wheel: Path | None, corpus: Path) -> None:
        self.python = python
        self.corpus = corpus
        # Before site-packages, where an editable install of the checkout may lie.
        self.path = [f"PYTHONPATH={wheel}"] if wheel else []

    def command(self, *arguments: str | Path) -> list[str]:
        """The interpreter, with one thread and without what the caller's environment asks of it."""
        threads = [f"{name}_NUM_THREADS=1" for name in ("OMP", "MKL", "RAYON")]
        return ["env", "-u", "PYTHONPATH", *self.path, *threads, str(self.python), *map(str, arguments)]

    def probe(self, tool: str, given: Input) -> dict[str, float]:
        """One load in a fresh process. Raises Disagreement when it failed."""
        suffix = ".safetensors" if tool == "safetensors" else ".pth"
        path = (self.corpus / given.file).with_suffix(suffix)
        read_through(path)
        tiny = (self.corpus / given.tiny).with_suffix(suffix)
        cost = run(self.command(Path(__file__).with_name("load_probe.py"), tool, tiny, path), self.corpus)
        try:
            answer: dict[str, float] = json.loads(cost.output.strip().splitlines()[-1])
        except (ValueError, IndexError):
            raise Disagreement(f"{TOOLS[tool]}, {path.name}: {cost.outcome}\n{cost.output}") from None
        return answer

    def measure(self, given: Input, tools: Sequence[str], turns: int) -> dict[str, Figures]:
        """Every tool on one input, taking turns. Raises Disagreement."""
        answers: dict[str, list[dict[str, float]]] = {tool: [] for tool in tools}
        for _ in range(turns):
            for tool in tools:
                answers[tool].append(self.probe(tool, given))
        found = {(answer["tensors"], answer["sum"]) for several in answers.values() for answer in several}
        if len(found) != 1:
            raise Disagreement(f"the tools do not agree on what {given.file} holds: {sorted(found)}")
        return {
            tool: {key: statistics.median(answer[key] for answer in several) for key in several[0]}
            for tool, several in answers.items()
        }

    def versions(self) -> str:
        """What was compared, on what."""
        code = (
            "import torch, safetensors, safeload, safeload.machine.interpreter as m; "
            "print('safeload ' + safeload.__version__, 'torch ' + torch.__version__, "
            "'safetensors ' + safetensors.__version__, "
            "'the machine is ' + ('compiled' if not m.__file__.endswith('.py') else 'PLAIN PYTHON'), sep=', ')"
        )
        done = subprocess.run(self.command("-c", code), cwd="/", capture_output=True, text=True, check=True)
        return (
            f"{done.stdout.strip()}; Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
            f"{os.cpu_count()} cores, one thread"
        )


def read_through(path: Path) -> None:
    """Every byte once, so that the page cache holds it."""
    buffer = bytearray(1 << 24)
    with path.open("rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def table(name: str, size: int, figures: Mapping[str, Figures]) -> list[str]:
    """One input as a Markdown table."""
    ours = figures["safeload"]
    tensors = int(ours["tensors"])
    lines = [
        f"### {name} ({size / MB:.0f} MB, {tensors:,} tensors)",
        "",
        "| | load, s | and every page touched, s | CPU of the load, s | peak of the load, MB | peak once touched, MB "
        "| safeload's load is | touched |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for tool, row in figures.items():
        ratios = [f"{ours[key] / row[key]:.2f} of it" if tool != "safeload" else "" for key in ("load", "touched")]
        lines.append(
            f"| {TOOLS[tool]} | {row['load']:.4f} | {row['touched']:.4f} | {row['load_cpu']:.4f} "
            f"| {row['peak'] / MB:.0f} | {row['peak_touched'] / MB:.0f} | {ratios[0]} | {ratios[1]} |"
        )
    return [*lines, ""]


def set_up_table(results: Mapping[str, Mapping[str, Figures]]) -> list[str]:
    """What is paid once in a process and counted in no other figure."""
    lines = [
        "### Imports and set-up, once in a process and not counted above",
        "",
        "| | import torch, ms | its own imports, ms | first use: load of a tiny file of the kind, ms |",
        "|---|---|---|---|",
    ]
    for name, figures in results.items():
        lines += [
            f"| {TOOLS[tool]}, {name} | " + " | ".join(f"{row[key] * 1000:.1f}" for key in SET_UPS) + " |"
            for tool, row in figures.items()
        ]
    return [*lines, ""]


def targets(results: Mapping[str, Mapping[str, Figures]]) -> list[Target]:
    """What the project promises of a load, with what was measured."""
    return [
        Target(f"{name}: time to load, of {TOOLS[rival]}", row["safeload"]["load"] / row[rival]["load"], limit)
        for name, rival, limit in TARGETS
        if rival in (row := results.get(name, {}))
    ]


def main() -> int:
    """Make the corpus, measure, print the tables and the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="an interpreter with torch")
    parser.add_argument("--wheel", type=Path, help="a folder with safeload's wheel, installed by pip --target")
    parser.add_argument("--corpus", type=Path, help="a folder to make the files in, or to find them in (4 GB)")
    parser.add_argument("--tool", action="append", choices=tuple(TOOLS)[1:], help="compare with this only (repeatable)")
    parser.add_argument("--input", action="append", choices=INPUTS, help="measure this input only (repeatable)")
    parser.add_argument("--turns", type=int, default=5, help="processes for each figure (default: 5)")
    parser.add_argument("--strict", action="store_true", help="end with status 1 when a target is missed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="safeload-bench-") as scratch:
        corpus = (args.corpus or Path(scratch)).resolve()
        corpus.mkdir(parents=True, exist_ok=True)
        # No resolving of symlinks: an environment's interpreter is one.
        bench = Bench(args.python.absolute(), args.wheel and args.wheel.resolve(), corpus)
        if not (corpus / "adam.pth").is_file():
            subprocess.run(bench.command(Path(__file__).with_name("load_corpus.py"), corpus), check=True)
        say("## safeload load, measured", "", bench.versions(), "")
        results: dict[str, Mapping[str, Figures]] = {}
        for name in args.input or INPUTS:
            given = INPUTS[name]
            tools = [tool for tool in given.tools if tool == "safeload" or tool in (args.tool or TOOLS)]
            results[name] = bench.measure(given, tools, args.turns)
            say(*table(name, (corpus / f"{given.file}.pth").stat().st_size, results[name]))
    say(*set_up_table(results))
    found = targets(results)
    say(*HEAD, *(target.line() for target in found))
    return 1 if args.strict and not all(target.met for target in found) else 0


if __name__ == "__main__":
    sys.exit(main())
