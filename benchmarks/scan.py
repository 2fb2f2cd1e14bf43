"""safeload beside picklescan, modelscan and fickling, in one run, on the same files: `make bench`.

Each figure is the median of 5 fresh processes (3 for a command above 5 s, 1 above 20 s); the tools take turns, so that
what else the machine does falls on all of them. Files are in the page cache. Targets are printed with what was
measured, met or missed. Prints Markdown.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from measure import Cost, median, repeats, run, run_all
from targets import HEAD, Target, say

TOOLS = ("safeload", "picklescan", "modelscan", "fickling")
INPUTS = {
    "500 MB zip": "zip_500mb.pth",
    "1 MB zip": "zip_1mb.pth",
    "200 MB legacy file": "legacy_200mb.pth",
    "million opcodes, tensors": "million_tensors.pth",
    "million opcodes, plain data": "million_plain.pkl",
    "folder of 200 files": "folder_200",
}
MILLION = ("million opcodes, tensors", "million opcodes, plain data")
MB = 1_000_000
START_UPS = {
    "import click": ("{python}", "-c", "import click"),
    "import safeload.cli": ("{python}", "-c", "import safeload.cli"),
    "safeload --version": ("{bin}/safeload", "--version"),
    "safeload scan of a tiny file, rules included": ("{bin}/safeload", "scan", "{corpus}/tiny.pkl"),
    "picklescan of a tiny file": ("{bin}/picklescan", "-p", "{corpus}/tiny.pkl"),
}
RULES_INCLUDED = "safeload scan of a tiny file, rules included"


@dataclass(frozen=True, slots=True)
class Row:
    """One tool on one input: the command's cost, and the seconds of a scan within a process, or why there are none."""

    tool: str
    command: Cost
    inside: float | None
    inside_error: str = ""


class Bench:
    """The places of one run."""

    def __init__(self, python: Path, corpus: Path) -> None:
        self.python = python
        self.bin = python.parent
        self.corpus = corpus

    def commands(self, tool: str, path: Path) -> list[list[str]]:
        """The command line a user of the tool would type; fickling takes one file at a time."""
        program = str(self.bin / tool)
        if tool == "safeload":
            return [[program, "scan", str(path)]]
        if tool == "fickling":
            paths = sorted(path.iterdir()) if path.is_dir() else [path]
            return [[program, "--check-safety", "--json-output", os.devnull, str(p)] for p in paths]
        return [[program, "-p", str(path)]]

    def probe(self, what: str, path: Path) -> dict[str, float]:
        """The answer of benchmarks/probe.py from a fresh process; {"error": ...} when it ended otherwise."""
        script = Path(__file__).with_name("probe.py")
        cost = run([str(self.python), str(script), what, str(path)], self.corpus)
        try:
            answer: dict[str, float] = json.loads(cost.output.strip().splitlines()[-1])
        except (ValueError, IndexError):
            return {"error": cost.outcome}  # type: ignore[dict-item]
        return answer

    def measure(self, path: Path, tools: Sequence[str]) -> list[Row]:
        """Every tool on one input, taking turns."""
        for tool in tools[:1]:
            run_all(self.commands(tool, path), self.corpus)  # pages in, bytecode written
        costs = {tool: [run_all(self.commands(tool, path), self.corpus)] for tool in tools}
        inside = {tool: [self.probe(tool, path)] for tool in tools}
        for turn in range(1, 5):
            for tool in tools:
                if turn < repeats(costs[tool][0]):
                    costs[tool].append(run_all(self.commands(tool, path), self.corpus))
                    inside[tool].append(self.probe(tool, path))
        rows = []
        for tool in tools:
            errors = [str(answer["error"]) for answer in inside[tool] if "error" in answer]
            seconds = None if errors else statistics.median(answer["seconds"] for answer in inside[tool])
            rows.append(Row(tool, median(costs[tool]), seconds, errors[0] if errors else ""))
        return rows

    def start_ups(self) -> dict[str, float]:
        """Median wall seconds of each start-up, 15 turns."""
        places = {"python": str(self.python), "bin": str(self.bin), "corpus": str(self.corpus)}
        walls: dict[str, list[float]] = {name: [] for name in START_UPS}
        for _ in range(15):
            for name, argv in START_UPS.items():
                walls[name].append(run([part.format(**places) for part in argv], self.corpus).wall)
        return {name: statistics.median(values) for name, values in walls.items()}


def table(name: str, size: int, rows: list[Row]) -> list[str]:
    """One input as a Markdown table."""
    base = next((row for row in rows if row.tool == "picklescan"), rows[0])
    lines = [
        f"### {name} ({size / MB:.1f} MB)",
        "",
        "| tool | command, s | CPU, s | peak, MB | in process, s | wall / picklescan | CPU / picklescan | ended |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cost = row.command
        inside = f"{row.inside:.4f}" if row.inside is not None else row.inside_error
        lines.append(
            f"| {row.tool} | {cost.wall:.3f} | {cost.cpu:.3f} | {cost.peak / MB:.0f} | {inside} "
            f"| {cost.wall / base.command.wall:.2f} | {cost.cpu / base.command.cpu:.2f} | {cost.outcome} |"
        )
    return [*lines, ""]


def size_of(path: Path) -> int:
    return sum(p.stat().st_size for p in path.iterdir()) if path.is_dir() else path.stat().st_size


def targets(
    results: dict[str, list[Row]], sizes: dict[str, int], reads: dict[str, float], starts: dict[str, float]
) -> list[Target]:
    """What the project promises of a scan, with what was measured."""
    ours = {name: rows[0].command for name, rows in results.items()}
    theirs = {name: row.command for name, rows in results.items() for row in rows if row.tool == "picklescan"}
    found = [Target(f"{name}: wall, of picklescan's", ours[name].wall / theirs[name].wall, 1) for name in theirs]
    for name in MILLION:
        if name in theirs:
            found.append(Target(f"{name}: CPU, of picklescan's", ours[name].cpu / theirs[name].cpu, 0.2))
            above = (ours[name].peak - ours["1 MB zip"].peak - sizes[name]) / MB if "1 MB zip" in ours else 0.0
            found.append(Target(f"{name}: peak above the input and a small scan's peak", above, 64 * 1.048576, "MB"))
            whole = (ours[name].peak - sizes[name]) / MB
            found.append(
                Target(f"{name}: whole peak, interpreter included, above the input", whole, 64 * 1.048576, "MB")
            )
    if "folder of 200 files" in theirs:
        name = "folder of 200 files"
        found.append(Target(f"{name}: CPU, of picklescan's", ours[name].cpu / theirs[name].cpu, 0.7))
    if reads:
        found.append(Target("500 MB zip: bytes of storages read", reads.get("of_storages", float("inf")), 0, "bytes"))
    above_click = (starts[RULES_INCLUDED] - starts["import click"]) * 1000
    found.append(Target(f"{RULES_INCLUDED}: above `import click`", above_click, 40, "ms"))
    return found


def versions(python: Path) -> str:
    """What was compared, on what."""
    code = (
        "from importlib.metadata import version as v; import safeload.machine.interpreter as m; "
        f"print(*(t + ' ' + v(t) for t in {TOOLS!r}), "
        "'the machine is ' + ('compiled' if not m.__file__.endswith('.py') else 'PLAIN PYTHON'), sep=', ')"
    )
    done = subprocess.run([python, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    return (
        f"{done.stdout.strip()}; Python {platform.python_version()}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores"
    )


def measured(bench: Bench, tools: Sequence[str], names: Sequence[str]) -> list[Target]:
    """Measure, printing each table when it is there."""
    results: dict[str, list[Row]] = {}
    sizes: dict[str, int] = {}
    for name in names:
        path = bench.corpus / INPUTS[name]
        sizes[name] = size_of(path)
        results[name] = bench.measure(path, tools)
        say(*table(name, sizes[name], results[name]))
    reads = bench.probe("reads", bench.corpus / INPUTS["500 MB zip"]) if "500 MB zip" in names else {}
    if reads:
        say("### Bytes read of the 500 MB zip", "", "```", json.dumps(reads, indent=2), "```", "")
    starts = bench.start_ups()
    say("### Start-up", "", "| process | wall, ms | above `import click`, ms |", "|---|---|---|")
    base = starts["import click"]
    say(*(f"| {name} | {wall * 1000:.1f} | {(wall - base) * 1000:+.1f} |" for name, wall in starts.items()), "")
    return targets(results, sizes, reads, starts)


def main() -> int:
    """Make the corpus, measure, print the tables and the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, required=True, help="the interpreter whose environment holds the tools")
    parser.add_argument("--corpus-python", type=Path, default=Path(sys.executable), help="an interpreter with torch")
    parser.add_argument("--corpus", type=Path, help="a folder to make the corpus in, or to find it in")
    parser.add_argument("--tool", action="append", choices=TOOLS[1:], help="compare with this rival only (repeatable)")
    parser.add_argument("--input", action="append", choices=INPUTS, help="measure this input only (repeatable)")
    parser.add_argument("--strict", action="store_true", help="end with status 1 when a target is missed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="safeload-bench-") as scratch:
        corpus = args.corpus or Path(scratch)
        corpus.mkdir(parents=True, exist_ok=True)
        if not (corpus / "folder_200").is_dir():
            script = Path(__file__).with_name("corpus.py")
            subprocess.run([args.corpus_python, script, corpus], check=True)
        # The tools must find their own environment's safeload, not the checkout: no resolving of symlinks.
        bench = Bench(args.python.absolute(), corpus.resolve())
        say("## safeload scan, measured", "", versions(bench.python), "")
        found = measured(bench, ("safeload", *(args.tool or TOOLS[1:])), args.input or list(INPUTS))
    say(*HEAD, *(target.line() for target in found))
    return 1 if args.strict and not all(target.met for target in found) else 0


if __name__ == "__main__":
    sys.exit(main())
