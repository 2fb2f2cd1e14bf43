"""The scoreboard: its slice reaches the targets, its corpus is the same everywhere, its document is generated."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import ROOT

FOLDER = ROOT / "benchmarks" / "scoreboard"
DOCUMENT = ROOT / "docs" / "scoreboard.md"
NAMES = ("picklescan", "modelscan", "fickling", "hayward", "weights_only")
DIGEST = """
import hashlib
from hostile import corpus
whole = hashlib.sha256()
for file in corpus()[::7]:
    whole.update(repr((file.path, file.payload, file.reason, file.memory)).encode() + file.data)
print(len(corpus()), whole.hexdigest())
"""
PROOF = """
import sys
from pathlib import Path
from proof import Opener, fired, opened
from process import run
print(*(fired(run(lambda: type(opened(Path(path), Opener.ANY)).__name__)) for path in sys.argv[1:]))
"""


def python(*words: str | Path, seed: str = "0") -> subprocess.CompletedProcess[str]:
    """A Python that finds the scoreboard's modules and ours, and no others than this one does."""
    paths = (str(FOLDER), str(ROOT), os.environ.get("PYTHONPATH", ""))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONHASHSEED": seed}
    return subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def table() -> ModuleType:
    """benchmarks/scoreboard/table.py."""
    spec = importlib.util.spec_from_file_location("scoreboard_table", FOLDER / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[spec.name]


def test_the_slice_reaches_its_targets() -> None:
    done = python(FOLDER / "run.py", "--quick")
    assert done.stdout.splitlines() == ["safeload reached its targets"], done.stdout + done.stderr
    assert done.returncode == 0


def test_the_corpus_is_the_same_under_every_hash_seed() -> None:
    first, second = python("-c", DIGEST), python("-c", DIGEST, seed="1")
    assert re.fullmatch(r"\d{3,4} [0-9a-f]{64}\n", first.stdout), first.stderr
    assert first.stdout == second.stdout


def test_a_file_is_hostile_only_when_something_ran(tmp_path: Path) -> None:
    (tmp_path / "runs.pkl").write_bytes(b"cos\nsystem\n(S'touch board-ran'\ntR.")
    (tmp_path / "prints.pkl").write_bytes(b"cbuiltins\neval\n(S'print(\"safeload-sample\")'\ntR.")
    (tmp_path / "names.pkl").write_bytes(b"cos\nsystem\n.")
    (tmp_path / "fails.pkl").write_bytes(b"cno_such_module\nx\n(tR.")
    (tmp_path / "honest.pkl").write_bytes(b"}.")
    names = ("runs", "prints", "names", "fails", "honest")
    done = python("-c", PROOF, *(tmp_path / f"{name}.pkl" for name in names))
    assert done.stdout.split() == ["True", "True", "False", "False", "False"], done.stderr


def board(table: ModuleType) -> object:
    """Made-up results."""
    scans = (
        table.Scan("safeload", 0, 0, 3, 0, 5, 1.5),
        table.Scan("modelscan", 10, 2, 3, 4, 5, 2.04),
        table.Scan("hayward", 11, 2, 3, 4, 5, 2.0),
        table.Scan("picklescan", 12, 2, 3, 4, 5, 2.0),
    )
    loads = (
        table.Load("safeload", 0, 7, 3.0),
        table.Load("weights_only", 1, 8, 2.0),
        table.Load("fickling", 1, 9, 2.0),
    )
    return table.Board("2026-01-02", "safeload 0.1.0, Python 3.11.7", 700, 90, 600, scans, loads)


def test_the_terminal_shows_every_name(table: ModuleType) -> None:
    lines = table.terminal(board(table)).splitlines()
    shown = {line.split()[0]: line.split()[1:] for line in lines if line.split()[0] in (*NAMES, "safeload")}
    assert shown["safeload"] == ["0", "0", "3", "0", "5", "0", "7", "1.5", "3.0"]
    assert shown["weights_only"] == ["-", "-", "-", "-", "-", "1", "8", "-", "2.0"]
    assert shown["modelscan"] == ["10", "2", "3", "4", "5", "-", "-", "2.0", "-"]
    assert len({len(line) for line in lines}) == 1


def test_the_document_names_one_tool(table: ModuleType) -> None:
    text = table.document(board(table))
    assert [name for name in NAMES if name in text] == []
    assert text.count("| safeload |") == 2
    assert sorted(re.findall(r"^\| (tool [A-Z]) ", text, re.M)) == ["tool A", "tool A", "tool B", "tool B", "tool C"]
    for number in ("| 10 |", "| 11 |", "| 12 |"):
        assert number in text


def test_letters_do_not_follow_the_order_of_names(table: ModuleType) -> None:
    scans = board(table).scans
    assert table.shuffled(scans)[1:] == table.shuffled((scans[0], *scans[:0:-1]))[1:]


def test_a_document_is_read_back(table: ModuleType) -> None:
    text = table.document(board(table))
    assert table.document(table.read(text)) == text


def test_the_published_document_is_generated(table: ModuleType) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert table.document(table.read(text)) == text
    assert [name for name in NAMES if name in text.casefold()] == []
    published = table.read(text)
    assert [row.tool for row in published.scans] == ["safeload", "tool A", "tool B", "tool C", "tool D"]
    assert [row.tool for row in published.loads] == ["safeload", "tool A", "tool B", "tool C"]


def test_the_published_row_reaches_the_targets(table: ModuleType) -> None:
    published = table.read(DOCUMENT.read_text(encoding="utf-8"))
    ours = published.scans[0]
    assert (ours.missed, ours.unread, ours.dangerous, published.loads[0].ran) == (0, 0, 0, 0)
