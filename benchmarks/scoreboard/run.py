"""The scoreboard: `make scoreboard`. Builds the corpus in a temporary folder, asks every tool, prints one table.

    python benchmarks/scoreboard/run.py             everything, all tools; writes docs/scoreboard.md; minutes
    python benchmarks/scoreboard/run.py --quick     safeload alone, in this process, a part of the loads; seconds

Every hostile file is opened by an ordinary program in a child process first: one that runs nothing then, and has no
reason of its own, is left out and named. Ends with status 1 when safeload misses its targets.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Run as a script, Python looks for modules in this folder only.
sys.path[:0] = [str(ROOT)]

from hostile import Hostile, corpus  # noqa: E402
from process import Outcome, run  # noqa: E402
from proof import Opener, fired, openers, proven  # noqa: E402
from table import OURS, Board, Load, Scan, document, terminal  # noqa: E402

CHUNK = 40
CHUNK_S = 240.0
ALONE_S = 30.0
Answers = Mapping[str, tuple[str, str, float]]
"""Path -> word, why, seconds."""


def written(files: Sequence[Hostile], folder: Path) -> None:
    """The files, below `folder`."""
    for file in files:
        (folder / file.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / file.path).write_bytes(file.data)


def shown(files: Sequence[Hostile], folder: Path) -> tuple[list[Hostile], dict[str, Opener]]:
    """The files that are hostile, and how those that run something are opened; says which are left out."""
    kept, how = [], {}
    for file in files:
        opener = proven(folder / file.path)
        if opener is not None:
            how[file.path] = opener
        if opener is not None or file.reason:
            kept.append(file)
        else:
            say(f"left out, runs nothing here: {file.path}")
    return kept, how


def say(line: str) -> None:
    print(line, flush=True)


def in_chunks(paths: Sequence[str], one: Callable[[str], tuple[str, str]]) -> dict[str, tuple[str, str, float]]:
    """`one` for each path, forty in a child; where that ends otherwise, each in a child of its own."""

    def guarded(path: str) -> tuple[str, str, float]:
        start = time.perf_counter()
        try:
            word, why = one(path)
        except Exception as error:
            word, why = "raised", f"{type(error).__name__}: {error}"[:300]
        return word, why, time.perf_counter() - start

    found = {}
    for start in range(0, len(paths), CHUNK):
        chunk = paths[start : start + CHUNK]
        outcome = run(lambda chunk=chunk: [guarded(path) for path in chunk], CHUNK_S)
        if outcome.how == "returned":
            found.update(zip(chunk, map(tuple, outcome.value), strict=True))
            continue
        for path in chunk:
            alone = run(lambda path=path: guarded(path))
            found[path] = tuple(alone.value) if alone.how == "returned" else ("raised", alone.how, alone.seconds)
    return found


def scan(name: str, paths: Sequence[str], folder: Path) -> Answers:
    """What a scanner says of every file; an error is unsure."""
    from tools import SCANNERS, UNSURE

    def one(path: str) -> tuple[str, str]:
        said = SCANNERS[name](folder / path)
        return said.word, said.why

    return {
        path: (UNSURE if word == "raised" else word, why, seconds)
        for path, (word, why, seconds) in in_chunks(paths, one).items()
    }


def load_hostile(name: str, files: Sequence[Hostile], how: Mapping[str, Opener], folder: Path) -> dict[str, Outcome]:
    """How a loader ends on every hostile file.

    Many in one child: where none of them left or printed anything, and the child came to its end, none ran anything.
    Else each half in a child, down to single files.
    """
    from loaders import LOADERS

    def one(file: Hostile) -> tuple[str, str, float]:
        path = folder / file.path
        start = time.perf_counter()
        try:
            kind = type(LOADERS[name](path, how.get(file.path, openers(path)[0]))).__name__
        except Exception as error:
            return "raised", f"{type(error).__name__}: {error}"[:300], time.perf_counter() - start
        return "returned", kind, time.perf_counter() - start

    found: dict[str, Outcome] = {}
    waiting = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    while waiting:
        some = waiting.pop()
        outcome = run(lambda some=some: [one(file) for file in some], ALONE_S + len(some))
        quiet = outcome.how == "returned" and not outcome.left and not fired(outcome)
        if len(some) > 1 and not quiet:
            waiting += [some[: len(some) // 2], some[len(some) // 2 :]]
        elif outcome.how != "returned":
            found[some[0].path] = outcome
        else:
            for file, (ended, value, seconds) in zip(some, outcome.value, strict=True):
                found[file.path] = Outcome(ended, value, outcome.left, seconds, outcome.printed)
    return found


def load_benign(name: str, paths: Sequence[str], folder: Path) -> Answers:
    """Whether a loader loads every benign file: the word is "returned" or "raised"."""
    from loaders import LOADERS

    def one(path: str) -> tuple[str, str]:
        return "returned", type(LOADERS[name](folder / path, openers(folder / path)[0])).__name__

    return in_chunks(paths, one)


def not_refused(file: Hostile, outcome: Outcome) -> bool:
    """Whether the payload ran; or, of a file that harms memory, whether it was loaded or ended the process."""
    return fired(outcome) or (file.memory and outcome.how in ("returned", "killed", "timeout"))


def scanned(name: str, files: Sequence[Hostile], hostile: Answers, benign: Answers) -> Scan:
    """The row of a scanner."""
    alone = {file.payload: hostile[file.path][0] for file in reversed(files) if bare(file)}
    missed = [file for file in files if hostile[file.path][0] == "clean"]
    words = Counter(word for word, _, _ in benign.values())
    return Scan(
        name,
        len(missed),
        sum(alone.get(file.payload, "clean") != "clean" for file in missed),
        sum(word == "unsure" for word, _, _ in hostile.values()),
        words["dangerous"],
        words["dangerous"] + words["unsure"],
        sum(seconds for _, _, seconds in (*hostile.values(), *benign.values())),
    )


def bare(file: Hostile) -> bool:
    """Whether the file is a payload alone, in a pickle called one."""
    return file.path.startswith("call-") and file.path.endswith(".pkl")


def by_group(paths: Sequence[str]) -> str:
    """Counts by folder."""
    return ", ".join(f"{group} {count}" for group, count in sorted(Counter(p.split("/")[0] for p in paths).items()))


def full(only: Sequence[str], folder: Path) -> tuple[Board, list[str]]:
    """A whole run, and what safeload did not reach: lines to print."""
    import benign
    import loaders
    import tools
    from grafts import grafts

    scanners = [name for name in tools.SCANNERS if name in only]
    guards = [name for name in loaders.LOADERS if name in only]
    loaders.warm(tuple(guards))
    tools.warm(tuple(scanners))
    gc.freeze()  # or each child would copy what it only counts
    honest = benign.write(folder / "benign")
    files = [*corpus(), *grafts(folder / "benign")]
    written(files, folder / "hostile")
    files, how = shown(files, folder / "hostile")
    say(f"{len(how)} hostile files shown, {len(files) - len(how)} with a reason, {len(honest)} benign")
    scans, loads, lines = [], [], []
    for name in scanners:
        bad = scan(name, [file.path for file in files], folder / "hostile")
        good = scan(name, honest, folder / "benign")
        scans.append(scanned(name, files, bad, good))
        say(f"{name} missed: {by_group([p for p, said in bad.items() if said[0] == 'clean']) or 'nothing'}")
        if name == OURS:
            lines += [f"missed by safeload: {p}" for p, said in bad.items() if said[0] == "clean"]
            lines += [f"called dangerous by safeload: {p}: {s[1]}" for p, s in good.items() if s[0] == "dangerous"]
    for name in guards:
        bad_loads = load_hostile(name, files, how, folder / "hostile")
        good_loads = load_benign(name, honest, folder / "benign")
        ran = [file.path for file in files if not_refused(file, bad_loads[file.path])]
        refused = [path for path, said in good_loads.items() if said[0] != "returned"]
        seconds = sum(o.seconds for o in bad_loads.values()) + sum(said[2] for said in good_loads.values())
        loads.append(Load(name, len(ran), len(refused), seconds))
        say(f"{name} did not refuse: {by_group(ran) or 'nothing'}; did not load: {by_group(refused) or 'nothing'}")
        if name == OURS:
            returned = [p for p, outcome in bad_loads.items() if outcome.how == "returned"]
            lines += [f"not refused by safeload: {p}" for p in dict.fromkeys(ran + returned)]
            report_refused(refused, folder / "benign")
    return Board(today(), versions(), len(how), len(files) - len(how), len(honest), tuple(scans), tuple(loads)), lines


def report_refused(refused: Sequence[str], folder: Path) -> None:
    """Name every benign file that safeload does not load as it stands, and say what records do for it."""
    from loaders import safeload_records

    def one(path: str) -> tuple[str, str]:
        return "returned", type(safeload_records(folder / path, Opener.ANY)).__name__

    said = in_chunks(refused, one)
    for group in dict.fromkeys(path.split("/")[0] for path in refused):
        names = " ".join(path.split("/")[1] for path in refused if path.startswith(f"{group}/"))
        say(f"benign, not loaded by safeload: {group}: {names}")
    for path in refused:
        if said[path][0] != "returned":
            say(f"benign, not loaded by safeload with unvetted='record' either: {path}: {said[path][1][:100]}")
    say(f"with unvetted='record' safeload loads {sum(w == 'returned' for w, _, _ in said.values())} of {len(refused)}")


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def versions() -> str:
    """What ran, without the names of others."""
    import torch

    import safeload

    numpy = version("numpy")
    return (
        f"safeload {safeload.__version__}, Python {platform.python_version()}, "
        f"torch {torch.__version__.split('+')[0]}, numpy {numpy}"
    )


def quick(folder: Path) -> list[str]:
    """safeload alone: every hostile file is judged, every sixth loaded; tensors and plain values have to load."""
    import safeload

    problems = []
    for index, file in enumerate(corpus()):
        if safeload.scan(file.data).verdict == "clean":
            problems.append(f"missed by safeload: {file.path}")
        if index % 6 == 0 and loads_quietly(file.data):
            problems.append(f"not refused by safeload: {file.path}")
    for path, save in honest_part():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        save(folder / path)
        if safeload.scan(folder / path).verdict != "clean":
            problems.append(f"not called clean by safeload: {path}")
        elif not loads_quietly(folder / path):
            problems.append(f"not loaded by safeload: {path}")
    return problems


def honest_part() -> Iterator[tuple[str, Callable[[Path], None]]]:
    """Some of the benign files."""
    import benign
    import torch

    torch.manual_seed(0)
    for part in (benign.of_tensors, benign.of_python):
        yield from part()


def loads_quietly(source: Path | bytes) -> bool:
    """Whether safeload loads it."""
    import io

    import safeload

    try:
        safeload.load(io.BytesIO(source) if isinstance(source, bytes) else source)
    except safeload.SafeloadError:
        return False
    return True


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="safeload only, a slice, nothing written")
    parser.add_argument("--tool", action="append", help="this tool only (repeatable); nothing is written")
    parser.add_argument("--corpus", type=Path, help="a folder to keep the corpus in")
    parser.add_argument("--write", type=Path, default=ROOT / "docs" / "scoreboard.md", help="the document")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="safeload-scoreboard-") as scratch:
        folder = (args.corpus or Path(scratch)).resolve()
        if args.quick:
            problems = quick(folder)
        else:
            every = ("safeload", "picklescan", "modelscan", "fickling", "hayward", "weights_only")
            board, problems = full(args.tool or every, folder)
            others = ", ".join(f"{name} {version(name)}" for name in every[1:-1] if name in (args.tool or every))
            say(f"\n{board.hostile} hostile files shown, {board.odd} odd ones, {board.benign} benign; {board.date}")
            say(f"{board.versions}; {others}")
            say(f"\n{terminal(board)}\n")
            if not args.tool:
                args.write.write_text(document(board), encoding="utf-8")
    for line in problems:
        say(line)
    say("safeload reached its targets" if not problems else f"safeload did not reach its targets: {len(problems)}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
