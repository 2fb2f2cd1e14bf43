"""YAML with tags for Python objects is told; YAML without them, and texts that only speak of them, are not."""

from __future__ import annotations

import codecs

import pytest
import yaml

from safeload.containers.text.yaml_file import YamlFile
from safeload.inputs import MemorySource
from safeload.scanning.scanner import scan

HOSTILE = {
    "apply": b"a: !!python/object/apply:builtins.open [MARKER, w]\n",
    "new": b"!!python/object/new:subprocess.Popen [x]\n",
    "name": b"x: !!python/name:posix.system\n",
    "module": b"x: !!python/module:antigravity\n",
    "verbatim": b"!<tag:yaml.org,2002:python/object/apply:os.system> [x]\n",
    "escaped": b"!!%70ython/object/apply:os.system [x]\n",
    "escaped verbatim": b"!<tag:yaml.org,2002:%70ython/object/apply:os.system> [x]\n",
    "own handle": b"%TAG !p! tag:yaml.org,2002:python/\n---\n!p!object/apply:os.system [x]\n",
    "own handle in half": b"%TAG !p! tag:yaml.org,2002:pyth\n---\n!p!on/object/apply:os.system [x]\n",
    "as a key": b"? !!python/object/apply:os.system [x]\n: 1\n",
    "behind comments": b"# a comment\n" * 800 + b"a: !!python/object/apply:os.system [x]\n",
    "byte order mark": codecs.BOM_UTF8 + b"a: !!python/object/apply:os.system [x]\n",
    "utf-16": "a: !!python/object/apply:os.system [x]\n".encode("utf-16"),
    "flow": b"{a: [1, {b: !!python/object/apply:os.system [x]}]}\n",
    "a document before the mistake": b"--- !!python/object/apply:os.system [x]\n--- \n]broken\n",
    "an anchor": b"a: &x !!python/object/apply:os.system [x]\nb: *x\n",
}

QUIET = {
    "settings": b"a: 1\nb: [1, 2]\n",
    "plain values": b"a: !!python/tuple [1, 2]\nb: !!python/unicode x\nc: !!str y\n",
    "own tags": b"a: !Ref x\nb: !include other.yaml\n",
    "a page about tags": b"Never write `!!python/object/apply:os.system` in settings:\n  - it runs: here\n x\n",
    "JavaScript": b"const a = !!process.env.CI; const b = !!python;\n",
    "quoted": b'a: "!!python/object/apply:os.system"\n',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_tag_that_names_python_is_judged(name: str) -> None:
    report = scan(HOSTILE[name])
    assert (report.verdict, report.container) == ("dangerous", "yaml")
    assert "yaml-python" in {finding.rule for finding in report.findings}


@pytest.mark.parametrize("name", HOSTILE)
def test_the_loader_would_follow_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[str] = []

    class Watched(yaml.UnsafeLoader):
        def find_python_name(self, name, mark, unsafe=False):  # type: ignore[no-untyped-def]
            followed.append(name)
            return lambda *args: None

        def find_python_module(self, name, mark, unsafe=False):  # type: ignore[no-untyped-def]
            followed.append(name)
            return

    try:
        list(yaml.load_all(HOSTILE[name], Loader=Watched))
    except yaml.YAMLError:
        assert name == "a document before the mistake"
    except TypeError:
        assert name == "new"  # what is no class is not made
    assert followed


@pytest.mark.parametrize("name", QUIET)
def test_other_texts_are_no_such_yaml(name: str) -> None:
    assert not YamlFile().recognise(MemorySource(QUIET[name]))


def test_a_class_of_a_project_is_unvetted() -> None:
    report = scan(b"a: !!python/object:our_project.Config {x: 1}\n")
    assert report.verdict == "unvetted"
    assert {finding.rule for finding in report.findings} == {"yaml-python", "unknown-global"}


def test_an_unknown_tag_is_unjudged() -> None:
    assert scan(b"a: !!python/whatever:x 1\n").verdict == "unjudged"


def test_one_too_large_to_be_parsed_is_unjudged() -> None:
    data = b"a: !!python/object/apply:os.system [x]\n" + b"b: 1\n" * 500_000
    report = scan(data)
    assert (report.verdict, [finding.rule for finding in report.findings]) == ("unjudged", ["limit-reached"])


@pytest.mark.slow
def test_deep_nesting_is_bounded() -> None:
    data = b"a: !!python/object/apply:os.system " + b"[" * 5000 + b"]" * 5000
    assert scan(data).verdict in ("dangerous", "unjudged")
