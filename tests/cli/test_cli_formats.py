"""Several reports of one scan: which goes where, and what is refused before anything is judged."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from click.testing import CliRunner, Result
from lxml import etree

from safeload.cli import app, outputs
from safeload.errors import UsageError
from safeload.reports import FORMATS, escape

DANGEROUS = b"cos\nsystem\n(S'echo harmless'\ntR."

BEGINNINGS = {
    "text": "DANGEROUS  ",
    "json": '{\n  "schema": "safeload.scan/1"',
    "sarif": '{\n "$schema": "https://docs.oasis-open.org/sarif/',
    "junit": '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites',
    "github": "::error file=",
    "markdown": "## safeload: dangerous",
    "html": "<!doctype html>",
}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m").mkdir()
    (tmp_path / "m/model.pkl").write_bytes(DANGEROUS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def scan(*args: str) -> Result:
    return CliRunner().invoke(app, ["scan", "m", *args])


def written(place: Path) -> dict[str, str]:
    """File -> the format of what is in it."""
    return {path.name: form_of(path.read_text(encoding="utf-8")) for path in place.iterdir() if path.is_file()}


def form_of(text: str) -> str:
    return next((form for form, start in BEGINNINGS.items() if text.lower().startswith(start.lower())), text[:80])


@pytest.mark.parametrize("form", [form.name for form in FORMATS])
def test_every_format_on_standard_output(place: Path, form: str) -> None:
    result = scan("--format", form)
    assert (result.exit_code, form_of(result.stdout), result.stderr) == (1, form, "")


@pytest.mark.parametrize(
    ("args", "stdout", "files"),
    [
        ("", "text", {}),
        ("-o a", "", {"a": "text"}),
        ("-o -", "text", {}),
        ("--format json -o -", "json", {}),
        ("--format json -o a", "", {"a": "json"}),
        ("-o a --format json", "", {"a": "json"}),
        ("--format sarif -o a --format html -o b", "", {"a": "sarif", "b": "html"}),
        ("-o a --format sarif -o b --format html", "", {"a": "sarif", "b": "html"}),
        ("--format text --format sarif -o a", "text", {"a": "sarif"}),
        ("--format sarif -o a --format text", "text", {"a": "sarif"}),
        ("--format sarif -o a --format text -o -", "text", {"a": "sarif"}),
        ("-o a --format junit --format github", "github", {"a": "junit"}),
        ("--format=json --output=a --format=json -ob", "", {"a": "json", "b": "json"}),
    ],
)
def test_pairs(place: Path, args: str, stdout: str, files: dict[str, str]) -> None:
    result = scan(*args.split())
    assert (result.exit_code, form_of(result.stdout) if result.stdout else "", result.stderr) == (1, stdout, "")
    assert written(place) == files


def test_all_of_them_at_once(place: Path) -> None:
    names = [form.name for form in FORMATS]
    args = list(itertools.chain.from_iterable(("--format", name, "-o", f"{name}.out") for name in names))
    result = scan(*args)
    assert (result.exit_code, result.output) == (1, "")
    assert written(place) == {f"{name}.out": name for name in names}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ("--format json --format sarif", "one report can go to standard output, not json and sarif"),
        ("--format json -o - --format sarif", "not json and sarif"),
        ("-o a -o b", "-o 'b' has no --format of its own"),
        ("--format json -o a -o b", "-o 'b' has no --format of its own"),
        ("--format json -o a --format sarif -o a", "-o 'a' is named twice"),
        ("--format json -o a --format sarif -o ./m/../a", "is named twice"),
        ("--format json -o new --format sarif -o link", "is named twice"),
        ("--format json -o a --format sarif -o m", "is a folder"),
        ("--format json -o a --format sarif -o none/b", "there is no folder"),
        ("--format json -o a --format sarif -o m/model.pkl", "one of the files to scan"),
        ("--format json -o a --format yaml", "'text', 'json', 'sarif', 'junit', 'github', 'markdown', 'html'"),
    ],
)
def test_refused_before_anything_is_judged(place: Path, monkeypatch: pytest.MonkeyPatch, args: str, said: str) -> None:
    (place / "link").symlink_to("new")
    monkeypatch.setattr("safeload.cli.commands.scan.judged", lambda *_: pytest.fail("a file was judged"))
    result = scan(*args.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert written(place) == {}


def test_a_statement_is_no_report(place: Path) -> None:
    options = ["--format", "json", "-o", "a", "--format", "sarif", "-o", "b", "--attest", "./b"]
    result = CliRunner().invoke(app, ["scan", "m/model.pkl", *options])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--attest and -o name the same file" in result.stderr


def test_a_format_of_the_configuration_stands_first(place: Path) -> None:
    (place / "safeload.toml").write_text('format = ["text", "sarif"]\n')
    result = scan("-o", "a.sarif")
    assert (result.exit_code, form_of(result.stdout)) == (1, "text")
    assert written(place) == {"a.sarif": "sarif", "safeload.toml": 'format = ["text", "sarif"]\n'}
    assert form_of(scan("--format", "json").stdout) == "json"


def test_files_are_written_though_nobody_reads_the_rest(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> None:
        raise SystemExit(2)

    monkeypatch.setattr(outputs, "write_out", gone)
    assert scan("--format", "text", "--format", "sarif", "-o", "a").exit_code == 2
    assert written(place) == {"a": "sarif"}


def test_color_is_for_what_goes_to_a_terminal(place: Path) -> None:
    assert "\x1b" in scan("--color", "always", "--format", "text", "--format", "json", "-o", "a").stdout
    assert "\x1b" not in (place / "a").read_text()


def test_sarif_of_a_scan_has_the_text_of_its_rules_and_relative_addresses(place: Path) -> None:
    result = CliRunner().invoke(app, ["scan", str(place / "m"), "--format", "sarif"])
    (run,) = json.loads(result.stdout)["runs"]
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["id"] == "runs-programs"
    assert rule["help"]["text"].startswith("The name starts a program")
    assert run["artifacts"][0]["location"] == {"uri": "m/model.pkl", "uriBaseId": "%SRCROOT%", "index": 0}


@pytest.mark.skipif(sys.platform != "linux", reason="names like these need a file system that takes any byte")
def test_a_file_with_a_name_made_against_reports(place: Path) -> None:
    name = "a\n::error::x%0A##[error]|`<script>](javascript:x)![](http:x)]]>\x1b[2J\u202e\udcff.pkl"
    (place / "m/model.pkl").rename(place / "m" / name)
    args = [arg for form in FORMATS if form.name != "github" for arg in ("--format", form.name, "-o", form.name)]
    result = scan(*args, "--format", "github")
    assert result.exit_code == 1
    assert [line[:8] for line in result.stdout.splitlines()] == ["::error ", "dangerou"]
    texts = {form.name: (place / form.name).read_text(encoding="utf-8") for form in FORMATS if form.name != "github"}
    assert json.loads(texts["json"])["files"][0]["path"] == f"m/{name}"
    (artifact,) = json.loads(texts["sarif"])["runs"][0]["artifacts"]
    assert unquote_to_bytes(artifact["location"]["uri"]) == b"m/" + name.encode("utf-8", "surrogateescape")
    case = etree.fromstring(texts["junit"].encode()).find("testsuite/testcase")
    assert case.get("name") == "m/" + escape.bare(name)
    assert "\\x60<script>](javascript:x)![](http:x)]]>\\x1b[2J\\u202e\\xff.pkl`" in texts["markdown"]
    for form, text in texts.items():
        assert [c for c in "\x1b\u202e\udcff" if c in text] == [], form
        assert "##[" not in text, form
        assert ("<script>]" in text) is (form in {"text", "json", "markdown"}), form


def test_an_output_without_a_format_is_named_in_the_message() -> None:
    with pytest.raises(UsageError, match=r"-o 'x'"):
        outputs._pairs([("forms", "json"), ("files", "a"), ("files", "x")])
