"""`safeload explain` as users see it: exact text, exit codes, standard input, and what it says when it cannot."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from safeload.cli import app
from safeload.cli.commands import explain as command
from safeload.integrations import other_parser
from tests.explaining.cases import CASES, FILES, GOLDEN, HOSTILE, LONG, explain, printed

CLEAN = b"\x80\x04N."
DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."
UNVETTED = b"cmine\nNet\n)\x81."


def test_code_of_torchscript_is_not_laid_to_pickle() -> None:
    said = explain(str(FILES / "benign/torchscript.pt")).stdout
    assert "unvetted: It holds code that runs when TorchScript loads it" in said
    assert "Plain pickle would import" not in said
    # A member whose role is its own name is named once.
    assert "pickle 3 of 3  net/constants.pkl (protocol 2" in said


@pytest.mark.skipif(os.name == "nt", reason="names are quoted for another shell there")
@pytest.mark.parametrize("name", CASES)
def test_golden(name: str) -> None:
    assert printed(name) == (GOLDEN / name).read_bytes().decode("utf-8")


def test_every_golden_file_is_used() -> None:
    assert {path.name for path in GOLDEN.glob("explain-*")} == set(CASES)


@pytest.mark.parametrize("name", [name for name in CASES if "color" not in name])
def test_no_escape_reaches_a_terminal(name: str) -> None:
    text = printed(name).replace("\n", "")
    assert text.isascii()
    assert text.isprintable()


@pytest.mark.parametrize(("data", "code"), [(CLEAN, 0), (DANGEROUS, 1), (UNVETTED, 1), (DANGEROUS[:-1], 1), (b"K", 2)])
@pytest.mark.parametrize("how", [(), ("--json",), ("--opcodes",)])
def test_the_exit_code_is_the_verdict(data: bytes, code: int, how: tuple[str, ...]) -> None:
    result = explain("-", *how, stdin=data)
    assert (result.exit_code, result.stderr) == (code, "")
    assert result.stdout


def test_a_file_and_standard_input_are_told_alike(tmp_path: Path) -> None:
    for sample in ("benign/legacy.pt", "bytes/pickle-in-tar-gz.tgz", "bytes/object-array.npz"):
        data = (FILES / sample).read_bytes()
        (tmp_path / "m").write_bytes(data)
        of_file = explain(str(tmp_path / "m"), "--opcodes").stdout.split("\n")
        of_pipe = explain("-", "--opcodes", stdin=data).stdout.split("\n")
        assert of_file[1:-2] == of_pipe[1:-2]
        assert of_pipe[0].startswith("-  ")


def test_a_pipe_that_cannot_seek(root: Path) -> None:
    line = [sys.executable, "-m", "safeload", "explain", "-"]
    done = subprocess.run(line, cwd=root, input=DANGEROUS, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"2. dangerous  calls it with 'echo harmless'   (at 0x1e)" in done.stdout


def test_one_stream() -> None:
    two = CLEAN + DANGEROUS
    assert "pickle 2 of 2" in explain("-", "--stream", "2", stdin=two).stdout
    assert "pickle 1 of 2" not in explain("-", "--stream", "2", stdin=two).stdout
    result = explain("-", "--stream", "3", stdin=two)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Error: there is no pickle 3: - has 1, 2\n")
    assert "has only 1\n" in explain("-", "--stream", "2", stdin=CLEAN).stderr
    assert "has no pickle\n" in explain(str(FILES / "benign/weights.safetensors"), "--stream", "1").stderr


def test_all_leaves_nothing_out() -> None:
    short, every = (explain("-", "--opcodes", *how, stdin=LONG).stdout for how in ((), ("--all",)))
    assert "opcodes left out; --all prints every one" in short
    assert "left out" not in every
    count = json.loads(explain("-", "--json", stdin=LONG).stdout)["streams"][0]["opcodes"]
    assert every.count("\n") == count + 7
    fields = json.loads(explain("-", "--json", "--opcodes", stdin=LONG).stdout)["streams"][0]
    assert len(fields["listing"]) + fields["listing_left_out"] == count
    assert (
        len(json.loads(explain("-", "--json", "--opcodes", "--all", stdin=LONG).stdout)["streams"][0]["listing"])
        == count
    )


def test_json_has_what_the_text_has() -> None:
    document = json.loads(explain("-", "--json", stdin=HOSTILE).stdout)
    assert document["schema"] == "safeload.explain/1"
    assert (document["path"], document["container"], document["verdict"]) == ("-", "pickle", "dangerous")
    (stream,) = document["streams"]
    text = explain("-", stdin=HOSTILE).stdout
    for step in stream["steps"]:
        assert f"{step['number']}. {step['standing']}" in text
        assert step["words"] in text


def test_a_tree_is_no_pickle_and_is_told(tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    out = str(tmp_path / "nested.safetensors")
    done = CliRunner().invoke(app, ["convert", "-q", str(FILES / "benign/nested.pt"), out])
    assert (done.exit_code, done.output) == (0, "")
    text = explain(out).stdout
    assert "tree 1 of 1  safeload.tree  no pickle; safeload would build from it\n" in text
    assert "vetted  builds 4 tensors with torch._utils._rebuild_tensor_v2   (safeload.tree at 0x" in text
    assert "a tree has no opcodes" in explain(out, "--opcodes").stdout
    fields = json.loads(explain(out, "--json", "--opcodes").stdout)["streams"][0]
    assert (fields["role"], fields["listing"]) == ("tree", [])


def test_a_lot_is_told_in_few_lines() -> None:
    effects = b"ccollections\nOrderedDict\nq\x00" + b"h\x00)R0" * 20_000 + b"cos\ngetpid\n)R" * 3000
    text = explain("-", stdin=effects + b".").stdout
    assert text.count("\n") < 100
    assert "builds 20,000 objects with collections.OrderedDict" in text
    assert "5,962 more steps are left out (5,962 dangerous); --all tells every one" in text


def test_what_cannot_be_told(tmp_path: Path) -> None:
    for args, said in (
        ((str(tmp_path / "none"),), "No such file"),
        ((str(tmp_path),), "is a folder"),
        (("-", "--opcodes", "--python"), "exclude each other"),
        (("-", "--limit", "nothing=1"), "unknown limit"),
        (("-", "--stream", "0"), "--stream"),
    ):
        result = explain(*args, stdin=CLEAN)
        assert (result.exit_code, result.stdout) == (2, "")
        assert said in result.stderr, args


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
def test_a_closed_standard_input(root: Path) -> None:
    line = f'"{sys.executable}" -m safeload explain - <&-'
    done = subprocess.run(["bash", "-c", line], cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "Error: standard input is closed; name a file instead of -\n")


@pytest.mark.skipif(os.name == "nt", reason="names are quoted for another shell there")
def test_the_examples_of_the_docs_are_true(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    text = (root / "docs/explain.md").read_text(encoding="utf-8")
    found = re.findall(r"    \$ safeload explain (.*)\n((?:    .*\n|\n(?=    ))+)", text)
    assert len(found) == 2
    for args, block in found:
        assert re.sub(r"(?m)^    ", "", block) == explain(*args.split()).stdout


def test_the_docs_name_every_field(root: Path) -> None:
    text = (root / "docs/explain.md").read_text(encoding="utf-8")
    document = json.loads(explain("-", "--json", "--opcodes", stdin=DANGEROUS).stdout)
    stream = document["streams"][0]
    for fields in (document, stream, stream["steps"][0], stream["listing"][0]):
        assert [field for field in fields if f"`{field}`" not in text and f'"{field}"' not in text] == []


def test_a_limit_is_a_place_where_it_stops() -> None:
    result = explain("-", "--limit", "opcodes=3", stdin=DANGEROUS)
    assert result.exit_code == 1
    assert "understood up to here: stops at" in result.stdout


def test_python_without_fickling(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "fickling" else find(name))
    result = explain("-", "--python", stdin=DANGEROUS)
    assert (result.exit_code, result.stdout) == (2, "")
    assert (
        result.stderr
        == "Error: this needs fickling, which is not installed: pip install '.[explain]'  # in a clone of safeload\n"
    )


def test_python_is_labelled_and_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "need", lambda *_: None)
    answers = [
        other_parser.EquivalentPython("fickling 9", "x = '\x1b[2J'\ny = 1", ""),
        other_parser.EquivalentPython("fickling", "", "no\x1b"),
    ]
    monkeypatch.setattr(other_parser, "equivalent_python", lambda data: answers.pop(0))
    text = explain("-", "--python", stdin=DANGEROUS).stdout
    assert (
        "  as fickling 9 reads it: another parser's reading, not the judgement\n    x = '\\x1b[2J'\n    y = 1\n" in text
    )
    assert text.endswith("next: delete it, or show this to whoever it came from; there are no tensors in it to save\n")
    text = explain("-", "--python", stdin=DANGEROUS).stdout
    assert "  it has no answer: no\\x1b\n" in text


def test_starting_imports_no_torch_and_no_fickling(root: Path) -> None:
    code = (
        "import sys\nfrom safeload.cli import app\n"
        "try: app.main(['explain', 'samples/files/benign/checkpoint.pt'])\nexcept SystemExit: pass\n"
        "print(*sorted({'torch', 'numpy', 'fickling', 'rich', 'subprocess'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[-2] == ""
