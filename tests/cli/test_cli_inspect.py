"""`safeload inspect` and `safeload diff` as users see them: exact text, exit codes, hostile names.

Run this file to write the golden files again after an output was changed on purpose; read the difference first.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from safeload.cli import app
from safeload.cli.commands import diff as diff_command
from safeload.cli.commands import inspect as inspect_command
from safeload.cli.text import inspect_text as inspected
from safeload.inspecting.interface import Entry

ROOT = Path(__file__).resolve().parent.parent.parent
GOLDEN = ROOT / "tests" / "golden"
CHECKPOINT, MODULE = "samples/files/benign/checkpoint.pt", "samples/files/benign/subclass.pt"
EVIL, WEIGHTS = "samples/files/names/payload-in-data-pkl.pt", "samples/files/benign/weights.safetensors"
HOSTILE = "hostile name \x1b[31m%0A::error::<script>.pkl"


def text_opcode(text: str) -> bytes:
    data = text.encode()
    return b"\x8c" + bytes([len(data)]) + data


def hostile() -> bytes:
    """Names, values and a class made of what terminals, CI and browsers act upon."""
    thing = text_opcode("m\n::error::x") + text_opcode("N\x1b[31m\u202e<b>") + b"\x93)\x81"
    values = pickle.dumps("v\x07\x9b31m\u2066", 4)[2:].replace(b"\x94", b"")
    body = b"}" + text_opcode("thing\r\x1b]0;t\x07") + thing + b"s"
    body += text_opcode("<script>alert(1)</script>") + values[9:-1] + b"s"
    body += text_opcode("k\u202eexe.| [x](y) ::warning::%0a") + b"K\x01s"
    return b"\x80\x04" + body + b"."


def call(*args: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(map(str, args)), input=stdin)


CASES: dict[str, tuple[str, ...]] = {
    "inspect-checkpoint.txt": ("inspect", CHECKPOINT),
    "inspect-tree.txt": ("inspect", CHECKPOINT, "--tree"),
    "inspect-checkpoint.json": ("inspect", CHECKPOINT, "--json"),
    "inspect-subclass.txt": ("inspect", MODULE),
    "inspect-dangerous.txt": ("inspect", EVIL),
    "inspect-nothing.txt": ("inspect", "samples/files/bytes/truncated.pt"),
    "inspect-hostile.txt": ("inspect", "-", "--all"),
    "inspect-hostile-tree.txt": ("inspect", "-", "--tree", "--all"),
    "inspect-hostile.json": ("inspect", "-", "--json"),
    "diff.txt": ("diff", CHECKPOINT, EVIL),
    "diff.json": ("diff", CHECKPOINT, EVIL, "--json"),
    "diff-same.txt": ("diff", CHECKPOINT, CHECKPOINT),
}


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def shown(name: str) -> str:
    return call(*CASES[name], stdin=hostile()).stdout


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    assert shown(name) == (GOLDEN / name).read_text(encoding="utf-8")


def test_every_golden_file_is_used() -> None:
    there = {path.name for pattern in ("inspect-*", "diff*") for path in GOLDEN.glob(pattern)}
    assert there == set(CASES)


def test_hostile_text_reaches_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / HOSTILE.replace("/", "_")
    other = tmp_path / "other.pkl"
    path.write_bytes(hostile())
    other.write_bytes(pickle.dumps({"a\x1b[2J": "\x07", "thing\r\x1b]0;t\x07": 2}))
    for args in (
        ("inspect", path), ("inspect", path, "--tree"), ("inspect", path, "--json"),
        ("inspect", path, "--sort", "name"),
        ("diff", path, other), ("diff", path, other, "--json"), ("diff", other, path, "--keys-only"),
    ):  # fmt: skip
        result = call(*args)
        assert result.exit_code in (0, 1)
        bad = {
            c for c in result.output if c != "\n" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        }
        assert bad == set()
        assert not any(line.startswith(("::", "%0")) for line in result.output.split("\n"))


def test_exit_codes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(pickle.dumps({"x": 1}))
    (tmp_path / "b").write_bytes(pickle.dumps({"x": 2}))
    a, b = tmp_path / "a", tmp_path / "b"
    cut = "samples/files/bytes/truncated.pt"
    half = "samples/files/bytes/hidden-between-members.pt"
    for args, code in (
        (("inspect", a), 0), (("inspect", EVIL), 0), (("inspect", cut), 2), (("inspect", tmp_path / "no"), 2),
        (("inspect", tmp_path), 2), (("inspect", a, "--tree", "--json"), 2),
        (("inspect", a, "--tree", "--sort", "size"), 2),
        (("inspect", a, "--limit", "names=x"), 2), (("diff", a, a), 0), (("diff", a, b), 1), (("diff", a, cut), 2),
        (("diff", half, half), 2), (("diff", a, tmp_path / "no"), 2), (("diff", a), 2),
    ):  # fmt: skip
        assert (args, call(*args).exit_code) == (args, code)
    result = call("diff", a, b, "-q")
    assert (result.exit_code, result.output) == (1, "")


def test_sort_and_match() -> None:
    names = [
        line.split()[0] for line in call("inspect", CHECKPOINT, "--match", "optimizer.*.lr").stdout.split("\n")[5:-1]
    ]
    assert names == ["name", "optimizer.param_groups.0.lr"]
    result = call("inspect", CHECKPOINT, "--match", "none*")
    assert result.stdout.endswith("nothing matches: --match takes names like 'layers.*.weight'\n")
    found = json.loads(call("inspect", CHECKPOINT, "--json", "--match", "*exp_avg", "--match", "epoch").stdout)
    assert [entry["path"] for entry in found["entries"]] == ["optimizer.state.0.exp_avg", "epoch"]
    assert (found["summary"]["shown"], found["summary"]["entries"]) == (2, 19)
    entries = [Entry(name, name, 1, "tensor", nbytes=size, offset=at) for name, size, at in
               (("w10", 4, 9), ("w2", 8, None), ("a", 4, 5), ("w" + "9" * 5000, 1, 1))]  # fmt: skip
    order = {by: [e.path[:3] for e in inspected.ordered(entries, by)] for by in ("size", "name", "file")}
    assert order == {
        "size": ["w2", "w10", "a", "w99"],
        "name": ["a", "w2", "w10", "w99"],
        "file": ["w99", "a", "w10", "w2"],
    }


def test_a_terminal_gets_what_fits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "m.pkl"
    path.write_bytes(pickle.dumps({f"{'long' * 20}.k{n}": {"x": "x" * (60 + n)} for n in range(100)}))
    monkeypatch.setattr(inspect_command, "is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    lines = call("inspect", path).stdout.split("\n")
    assert lines[-2].endswith("more: --all, or --match GLOB for some of them")
    assert len(lines) <= 24
    assert max(map(len, lines[5:])) <= 80
    assert len(call("inspect", path, "--all").stdout.split("\n")) > 100
    lines = call("inspect", path, "--tree").stdout.split("\n")
    assert lines[-2].endswith("more lines: --all")
    assert len(lines) <= 24
    assert max(map(len, lines[5:])) <= 80
    monkeypatch.setattr(diff_command, "is_terminal", lambda stream: stream is sys.stdout)
    (tmp_path / "other").write_bytes(pickle.dumps({}))
    assert "  81 more: --all\n" in call("diff", path, tmp_path / "other").stdout


def test_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    for args in (("inspect", EVIL), ("diff", EVIL, EVIL)):
        assert "\x1b[1;31mDANGEROUS\x1b[0m" in call(*args, "--color", "always").stdout
        monkeypatch.setenv("FORCE_COLOR", "1")
        assert "\x1b" in call(*args).stdout
        assert "\x1b" not in call(*args, "--json").stdout
        monkeypatch.setenv("NO_COLOR", "1")
        assert "\x1b" not in call(*args).stdout
        monkeypatch.delenv("NO_COLOR")


def test_module_run_and_closed_pipe() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "safeload", "inspect", CHECKPOINT]
    done = subprocess.run(command, cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


if __name__ == "__main__":
    os.chdir(ROOT)
    for case in CASES:
        (GOLDEN / case).write_text(shown(case), encoding="utf-8")
