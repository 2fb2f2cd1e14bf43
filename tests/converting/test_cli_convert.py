"""`safeload convert` and `safeload verify` as users see them: exact text, exit codes, and what is on the disk."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file

import safeload
from safeload.cli import app, progress
from safeload.cli import exit_code as ending
from safeload.errors import MissingExtra

DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")


class Net(torch.nn.Module):
    """A class of the user's own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)


def call(*args: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, list(map(str, args)), input=stdin)


def convert(*args: str | Path, stdin: bytes | None = None) -> Result:
    return call("convert", *args, stdin=stdin)


def files(place: Path) -> list[str]:
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def model(here: Path) -> Path:
    tied = torch.ones(4, 4)
    torch.save({"embed": tied, "head": tied, "bias": torch.zeros(3)}, "model.pth")
    return here / "model.pth"


def golden(root: Path, name: str, text: str) -> None:
    """Compare with the file in tests/golden, which holds what a user sees to the byte."""
    assert text == (root / "tests/golden" / name).read_text(encoding="utf-8")


def test_convert_says_what_it_did(model: Path, root: Path) -> None:
    result = convert("model.pth")
    golden(root, "convert.txt", result.output)
    assert result.exit_code == 0
    assert load_file("model.safetensors").keys() == {"embed", "bias"}
    result = call("verify", "model.pth", "model.safetensors")
    golden(root, "verify.txt", re.sub(r"safetensors \d+\.\d+\.\d+", "safetensors X", result.output))
    assert result.exit_code == 0


def test_quiet(model: Path) -> None:
    assert (convert("-q", "model.pth").output, call("verify", "-q", "model.pth", "model.safetensors").output) == (
        "",
        "",
    )


def test_shards_and_manifest(model: Path, root: Path) -> None:
    result = convert("model.pth", "out/", "--max-shard-size", "64", "--manifest", "m.json")
    golden(root, "convert-shards.txt", result.output)
    assert result.exit_code == 0
    assert json.loads(Path("m.json").read_text())["source"]["verdict"] == "clean"
    assert call("verify", "model.pth", "out").exit_code == 0


def test_a_refusal(here: Path, root: Path) -> None:
    Path("evil model.pkl").write_bytes(DANGEROUS)
    result = convert("evil model.pkl")
    golden(root, "convert-refused.txt", result.stderr)
    assert (result.exit_code, result.stdout) == (1, "")
    assert files(here) == ["evil model.pkl"]


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return os.system, ("echo harmless",)


@posix
def test_disarmed(here: Path, root: Path) -> None:
    torch.save({"x": Evil(), "a": torch.tensor([97, 98])}, "evil.pt")
    assert convert("evil.pt").exit_code == 1
    result = convert("evil.pt", "--disarm")
    golden(root, "convert-disarmed.txt", result.output)
    assert result.exit_code == 0
    assert load_file("evil.safetensors")["a"].tolist() == [97, 98]


def test_what_an_unvetted_file_needs(here: Path) -> None:
    torch.save({"net": Net(), "w": torch.ones(1)}, "net.pt")
    refused = convert("net.pt")
    assert refused.exit_code == 1
    assert "--allow unvetted" in refused.stderr
    assert "--records" in refused.stderr
    allowed = convert("net.pt", "--allow", "unvetted", "-q")
    assert allowed.exit_code == 0
    assert "left out: object" in allowed.stdout
    assert "Net" in allowed.stdout
    assert convert("net.pt", "r.safetensors", "--records").exit_code == 0
    assert load_file("r.safetensors").keys() == {"net.layer.weight", "net.layer.bias", "w"}


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "unjudged"),
        (b"\x80\x04", "unjudged"),
        (b"\x00\x01garbage", "unjudged"),
        (b"version https://git-lfs", "unjudged"),
    ],
)
def test_unjudged_never_converts(here: Path, content: bytes, word: str) -> None:
    Path("x.pt").write_bytes(content)
    for options in ((), ("--disarm",), ("--allow", "unvetted"), ("--records",)):
        result = convert("x.pt", *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "(verdict: unjudged)" in result.stderr
    assert files(here) == ["x.pt"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nothing.pt",), "nothing.pt: No such file or directory"),
        (("model.pth", "model.pth"), "is the source itself"),
        (("model.pth", "old.safetensors"), "old.safetensors: exists already: --force replaces it"),
        (("model.pth", "no/such/x.safetensors"), "No such file or directory"),
        (("model.pth", "--max-shard-size", "5XB"), "5GB or 500MiB"),
        (("model.pth", "--recursive"), "takes a folder"),
        (("model.pth", "--rename", "a"), "OLD=NEW"),
        (("model.pth", "--rename", "a=b", "--rename", "a=c"), "two new names"),
        (("model.pth", "--keys", "x*"), "no tensor matches"),
        (("model.pth", "--strip-prefix", "module."), "do not have it"),
        (("model.pth", "--dtype", "int8"), "int8"),
        (("model.pth", "--jobs", "0"), "range"),
        (("model.pth", "--limit", "x=1"), "unknown limit"),
        (("-",), "give DST"),
        ((), "SRC"),
        (("empty",), "--recursive"),
        (("empty", "--recursive"), "no checkpoint below"),
    ],
)
def test_mistakes(model: Path, here: Path, args: tuple[str, ...], message: str) -> None:
    Path("old.safetensors").write_text("old")
    Path("empty").mkdir()
    before = files(here)
    result = convert(*args)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert files(here) == before
    assert Path("old.safetensors").read_text() == "old"


def test_choosing_and_renaming(model: Path) -> None:
    state = {f"module.layer.{i}": torch.ones(2) * i for i in range(3)}
    torch.save({"model": state, "epoch": 1}, "t.ckpt")
    args = ("--keys", "model.*", "--keys", "nothing*", "--strip-prefix", "model.module.", "--rename", "layer.0=first")
    result = convert("t.ckpt", *args, "--dtype", "bf16")
    assert result.exit_code == 0
    held = load_file("t.safetensors")
    assert held.keys() == {"first", "layer.1", "layer.2"}
    assert held["layer.2"].dtype == torch.bfloat16
    assert "were cast to bf16" in result.output
    assert call("verify", "t.ckpt", "t.safetensors").exit_code == 0


def test_force(model: Path) -> None:
    convert("model.pth")
    assert convert("model.pth").exit_code == 2
    assert convert("model.pth", "--force").exit_code == 0


def test_standard_input(model: Path) -> None:
    result = convert("-", "out.safetensors", stdin=model.read_bytes())
    assert result.exit_code == 0, result.output
    assert load_file("out.safetensors")["bias"].shape == (3,)


def test_a_folder(model: Path, root: Path) -> None:
    (Path("sub")).mkdir()
    (Path("sub") / "evil.pkl").write_bytes(DANGEROUS)
    Path("sub/broken.pt").write_bytes(b"\x80\x04")
    torch.save({"w": torch.ones(1)}, "sub/w.bin")
    result = convert(".", "out", "--recursive", "--jobs", "3")
    golden(root, "convert-folder.txt", result.output)
    assert result.exit_code == 2
    os.unlink("sub/broken.pt")
    again = convert(".", "out", "--recursive")
    assert again.exit_code == 1
    assert again.output.endswith("2 done before, 2 no checkpoint to convert, 1 failed\n")
    os.unlink("sub/evil.pkl")
    assert convert(".", "out", "--recursive", "-q").output == ""


@posix
def test_names_cannot_act_on_a_terminal(here: Path) -> None:
    torch.save({"a\x1b[2J": torch.ones(1), "b": (t := torch.ones(2)), "c\x1b]0;x": t}, "x.pt")
    Path("x.pt").rename("x\x1b[31m.pt")
    result = convert("x\x1b[31m.pt")
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    Path("e\x1b[31m.pkl").write_bytes(b"cos\nsystem\n(S'\\x1b[2J'\ntR.")
    result = convert("e\x1b[31m.pkl")
    assert result.exit_code == 1
    assert "\x1b" not in result.output


@pytest.mark.parametrize("damage", [lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda data: data[:-1]])
def test_verify_finds_a_difference(model: Path, damage: Any) -> None:
    convert("model.pth")
    path = Path("model.safetensors")
    path.write_bytes(damage(path.read_bytes()))
    result = call("verify", "model.pth", "model.safetensors")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Refused: model.safetensors does not hold what model.pth holds: ")


def test_help_teaches(here: Path) -> None:
    shown = convert("--help").output
    for word in ("Examples:", "safeload convert model.pth", "--max-shard-size", "--disarm", "Exit codes:"):
        assert word in shown
    assert "safeload verify model.pth model.safetensors" in call("verify", "--help").output


def test_a_missing_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(extra: str, *modules: str) -> None:
        raise MissingExtra(f"this needs numpy, which is not installed: pip install '.[{extra}]'")

    for module in ("convert", "verify"):
        monkeypatch.setattr(f"safeload.cli.commands.{module}.need", missing)
        result = call(module, "model.pth", "x")
        assert result.exit_code == 2
        assert "pip install '.[convert]'" in result.stderr
    assert ending.need is not missing


def test_torch_is_not_imported(model: Path, root: Path) -> None:
    code = (
        "import sys; from safeload.cli import app\n"
        "try: app.main(['convert', 'model.pth'])\n"
        "except SystemExit as done: print(done.code, 'torch' in sys.modules)"
    )
    path = os.pathsep.join([str(root), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.stdout.endswith("0 False\n")


# The bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_bytes_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "DELAY", 0)
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with progress.byte_progress(show=True) as on_bytes:
        assert on_bytes is not None
        for step in range(1, 60):
            on_bytes("write", step * 1_000_000, 60_000_000)
            time.sleep(0.01)
        on_bytes("verify", 1_000_000, 60_000_000)
    shown = screen.getvalue()
    assert "writing" in shown
    assert "MB/s" in shown


def test_writing_and_comparing_are_one_bar_that_only_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, int, int]] = []
    monkeypatch.setattr(progress._Bar, "show", lambda _, *shown: seen.append(shown))
    with progress.byte_progress(show=True) as on_bytes:
        assert on_bytes is not None
        for step in range(1, 5):
            on_bytes("write", step, 4)
            on_bytes("verify", step, 4)
        on_bytes("sync", 0, 4)
    assert seen[0] == ("writing", 1, 4)
    assert {words for words, _, _ in seen[1:-1]} == {"writing and verifying"}
    assert [done for _, done, _ in seen[1:-1]] == [2, 3, 4, 5, 6, 7, 8]
    assert {total for _, _, total in seen[1:-1]} == {8}
    assert seen[-1] == ("syncing", 0, 4)


def test_several_files_are_told_as_one(tmp_path: Path) -> None:

    (tmp_path / "a").mkdir()
    for name in "abc":
        torch.save({"w": torch.ones(300_000)}, tmp_path / "a" / f"{name}.pth")
    told: dict[str, list[tuple[int, int]]] = {}
    safeload.convert(
        tmp_path / "a", recursive=True, jobs=2,
        progress=lambda stage, done, total: told.setdefault(stage, []).append((done, total)),
    )  # fmt: skip
    for stage in ("write", "verify"):
        amounts = [done for done, _ in told[stage]]
        assert amounts == sorted(amounts)
    assert told["write"][-1][0] == told["write"][-1][1] > 3_600_000


def test_no_bar_where_nobody_looks() -> None:
    with progress.byte_progress(show=False) as on_bytes:
        assert on_bytes is None


def test_short_work_has_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress.byte_progress(show=True) as on_bytes:
        assert on_bytes is not None
        on_bytes("write", 1, 1)
    assert screen.getvalue() == ""
