"""safeload.convert beside `torch.load` + `save_file` and `cp`, in one run, on the same files: a part of `make bench`.

Each time is the median of 5 fresh processes; the tools take turns, so that what else the machine does falls on all of
them. Each is measured without and with a final fsync of file and folder, and held against the others of its kind only:
without, the output is in the page cache when the time ends, with, it is on the disk. The source is read once before
each run, so all of them read from the page cache; the output of the run before is removed and nothing of it waits to
be written. safeload's verification (every byte of both files read again and compared) follows each
portion that it writes and is in its time; in a row of its own it runs afterwards, and is timed apart.
Peaks are of processes of their own. Targets are printed with what was measured, met or missed. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from load import Bench, read_through
from measure import run
from targets import HEAD, Target, say

MB = 1_000_000
MIB = 1 << 20
TOOLS = {
    "safeload": "safeload.convert",
    "safeload-apart": "safeload.convert(overlap=False)",
    "torch": "torch.load + save_file",
    "cp": "cp",
}
INPUTS = {"1 GB, 300 tensors": "gb_300", "1 GB, 10,000 tensors": "gb_10000"}
LARGE = {"1 GB, 300 tensors": "gb_300", "1 GB, 10,000 tensors": "gb_10000", "8 GB, 300 tensors": "gb8_300"}
SYNC = {False: "no fsync", True: "fsync"}
AGAINST_TORCH = {"1 GB, 300 tensors": 1.0, "1 GB, 10,000 tensors": 0.4}
AGAINST_CP = 1.35
PEAK_MB = 48

Answer = dict[str, Any]
Times = Mapping[bool, Mapping[str, Answer]]
"""With fsync or without -> tool -> what convert_probe.py answered, each figure the median of its runs."""


class Failed(Exception):
    """A tool ended otherwise than with its answer."""


def probe(bench: Bench, tool: str, name: str, *, sync: bool, watch: bool) -> Answer:
    """One conversion in a fresh process."""
    src, dst = bench.corpus / f"{name}.pth", bench.corpus / "converted.safetensors"
    read_through(src)
    script = Path(__file__).with_name("convert_probe.py")
    flags = [str(int(flag)) for flag in (sync, watch)]
    cost = run(bench.command(script, tool, *flags, bench.corpus / "tiny.pth", src, dst), bench.corpus)
    try:
        answer: Answer = json.loads(cost.output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise Failed(f"{TOOLS[tool]}, {src.name}: {cost.outcome}\n{cost.output}") from None
    return answer


def median(answers: Sequence[Answer]) -> Answer:
    """The median of each figure; of stages too."""
    stages = {stage for answer in answers for stage in answer["stages"]}
    found: Answer = {key: statistics.median(answer[key] for answer in answers) for key in answers[0] if key != "stages"}
    found["stages"] = {s: statistics.median(answer["stages"].get(s, 0.0) for answer in answers) for s in stages}
    found["unread"] = statistics.median(unread(answer) for answer in answers)
    return found


def unread(answer: Answer) -> float:
    """Seconds without the reading again, where that is a stage of its own."""
    return float(answer["wall"]) - float(answer["stages"].get("verify", 0.0))


def times(bench: Bench, name: str, turns: int) -> Times:
    """Every tool on one input, taking turns."""
    found: dict[bool, dict[str, list[Answer]]] = {sync: {tool: [] for tool in TOOLS} for sync in SYNC}
    for _ in range(turns):
        for sync in SYNC:
            for tool in TOOLS:
                found[sync][tool].append(probe(bench, tool, name, sync=sync, watch=False))
    return {sync: {tool: median(answers) for tool, answers in tools.items()} for sync, tools in found.items()}


def table(name: str, found: Times) -> list[str]:
    """One input as a Markdown table."""
    lines = [
        f"### {name}",
        "",
        "| | output | s | of it verification, s | without it, s | CPU, s | of torch + save_file | without it, of cp |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for sync, tools in found.items():
        for tool, answer in tools.items():
            apart = tool == "safeload-apart"
            parts = ("", "", "")
            if apart:
                of_cp = answer["unread"] / tools["cp"]["wall"]
                parts = (f"{answer['stages']['verify']:.3f}", f"{answer['unread']:.3f}", f"{of_cp:.2f}")
            lines.append(
                f"| {TOOLS[tool]} | {SYNC[sync]} | {answer['wall']:.3f} | {parts[0]} | {parts[1]} "
                f"| {answer['cpu']:.3f} | {answer['wall'] / tools['torch']['wall']:.2f} | {parts[2]} |"
            )
    stages = found[True]["safeload-apart"]["stages"]
    words = ", ".join(f"{stage} {seconds:.3f}" for stage, seconds in sorted(stages.items(), key=lambda item: -item[1]))
    return [*lines, "", f"Stages of {TOOLS['safeload-apart']} with fsync, s: {words}.", ""]


def peaks_table(found: Mapping[str, Mapping[str, Answer]]) -> list[str]:
    """What memory each took above its process after the imports."""
    lines = [
        "### Peak resident memory above the same process after its imports",
        "",
        "| | | MB | bytes of the source mapped | bytes of the output mapped |",
        "|---|---|---|---|---|",
    ]
    for name, tools in found.items():
        for tool, answer in tools.items():
            mapped = f"{answer['mapped']:,} | {answer['output_mapped']:,}"
            lines.append(f"| {TOOLS[tool]} | {name} | {answer['peak'] / MB:.1f} | {mapped} |")
    return [*lines, ""]


def targets(results: Mapping[str, Times], peaks: Mapping[str, Mapping[str, Answer]]) -> list[Target]:
    """What the project promises of a conversion, with what was measured."""
    found = []
    for name, by_sync in results.items():
        for sync, tools in by_sync.items():
            ours, apart, torch, cp = (tools[tool] for tool in TOOLS)
            how = f"{name}, {SYNC[sync]}"
            limit = AGAINST_TORCH[name]
            found += [
                Target(f"{how}: with verification, of torch.load + save_file", ours["wall"] / torch["wall"], limit),
                Target(f"{how}: without re-reading, of cp", apart["unread"] / cp["wall"], AGAINST_CP),
            ]
    for name, tools in peaks.items():
        ours = tools["safeload"]
        found += [
            Target(f"{name}: peak above the imports", ours["peak"] / MB, PEAK_MB * MIB / MB, "MB"),
            Target(f"{name}: bytes of the source mapped", ours["mapped"], 0, "bytes"),
        ]
    return found


def corpus(bench: Bench, names: Sequence[str]) -> None:
    """Make the files that are missing."""
    missing = [name for name in names if not (bench.corpus / f"{name}.pth").is_file()]
    if missing:
        script = Path(__file__).with_name("convert_corpus.py")
        subprocess.run(bench.command(script, bench.corpus, *missing), check=True)


def main() -> int:
    """Make the corpus, measure, print the tables and the targets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", type=Path, default=Path(sys.executable), help="an interpreter with torch")
    parser.add_argument("--wheel", type=Path, help="a folder with safeload's wheel, installed by pip --target")
    parser.add_argument("--corpus", type=Path, help="a folder to make the files in, or to find them in (20 GB)")
    parser.add_argument("--input", action="append", choices=INPUTS, help="time this input only (repeatable)")
    parser.add_argument("--turns", type=int, default=5, help="processes for each figure (default: 5)")
    parser.add_argument("--no-large", action="store_true", help="leave out the 8 GB file")
    parser.add_argument("--strict", action="store_true", help="end with status 1 when a target is missed")
    args = parser.parse_args()
    large = {name: file for name, file in LARGE.items() if not (args.no_large and file.startswith("gb8"))}
    with tempfile.TemporaryDirectory(prefix="safeload-bench-") as scratch:
        folder = (args.corpus or Path(scratch)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        bench = Bench(args.python.absolute(), args.wheel and args.wheel.resolve(), folder)
        corpus(bench, ["tiny", *INPUTS.values(), *large.values()])
        say("## safeload convert, measured", "", bench.versions(), "")
        results: dict[str, Times] = {}
        for name in args.input or INPUTS:
            results[name] = times(bench, INPUTS[name], args.turns)
            say(*table(name, results[name]))
        peaks = {
            name: {
                tool: probe(bench, tool, file, sync=True, watch=True)
                for tool in ("safeload", "torch")
                if tool == "safeload" or not file.startswith("gb8")
            }
            for name, file in large.items()
        }
    say(*peaks_table(peaks))
    found = targets(results, peaks)
    say(*HEAD, *(target.line() for target in found))
    return 1 if args.strict and not all(target.met for target in found) else 0


if __name__ == "__main__":
    sys.exit(main())
