"""`safeload doctor`: what is there, what is missing and what is broken, and the command for each."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from safeload.cli import app, parts
from safeload.cli.commands import doctor as module
from safeload.cli.commands.doctor import Line, examined, fence, own, text
from safeload.cli.parts import Part, version_tuple
from safeload.policy import Policy
from safeload.report import VERSION
from safeload.workers import pool
from safeload.workers.fence import Fence
from safeload.workers.process import Ended


def doctor(*args: str, **options: Any) -> Result:
    return CliRunner().invoke(app, ["doctor", *args], **options)


def part(version: Any, least: str = "") -> Part:
    def asked() -> str | None:
        if isinstance(version, BaseException):
            raise version
        return version

    return Part("acme", asked, least, "nothing acmes", "pip install acme")


def test_all_of_it_on_this_machine() -> None:
    result = doctor()
    assert result.stderr == ""
    for name in ("safeload", "python", "machine", "torch", "numpy", "safetensors", "fickling", "git", "fence"):
        assert re.search(rf"^{name} +(ok|missing|broken)", result.stdout, re.MULTILINE), name
    assert f"{VERSION}, policy {Policy.default().digest[:12]}" in result.stdout
    assert result.exit_code == (1 if " broken " in result.stdout else 0)
    assert "\x1b" not in result.stdout


def test_json() -> None:
    document = json.loads(doctor("--json").stdout)
    assert document["schema"] == "safeload.doctor/1"
    assert document["parts"][0] == {
        "name": "safeload",
        "state": "ok",
        "found": f"{VERSION}, policy {Policy.default().digest[:12]}",
        "without": "",
        "install": "",
    }
    assert document["ok"] == all(line["state"] != "broken" for line in document["parts"])


def test_states_of_a_part() -> None:
    assert examined(part("2.10.1", "2.4")) == Line("acme", "ok", "2.10.1")
    assert examined(part(None, "2.4")) == Line("acme", "missing", "", "nothing acmes", "pip install acme")
    old = examined(part("2.3.9", "2.4"))
    assert (old.state, old.found, old.install) == ("broken", "2.3.9, older than 2.4", "pip install acme")
    for error in (ImportError("no libacme.so\nmore"), OSError("no libacme.so"), RuntimeError("no libacme.so")):
        assert examined(part(error))[:3] == ("acme", "broken", "no libacme.so")
    assert examined(part(ValueError())).found == "ValueError"


def test_what_is_broken_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fence", lambda: Line("fence", "ok", ""))
    monkeypatch.setattr(module, "parts", lambda: (part(None),))
    assert doctor().exit_code == 0
    monkeypatch.setattr(module, "parts", lambda: (part("1.0", "2.0"),))
    result = doctor()
    assert result.exit_code == 1
    assert "without it  nothing acmes\n" in result.stdout
    assert "install     pip install acme\n" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("Broken: acme.")
    assert json.loads(doctor("--json").stdout)["ok"] is False


def test_colors_and_escapes() -> None:
    lines = (Line("a", "ok", "1"), Line("bb", "broken", "\x1b[2J", "x", "pip install bb"))
    shown = text(lines)
    assert click.unstyle(shown) == (
        "a   ok       1\nbb  broken   \\x1b[2J\n      without it  x\n      install     pip install bb\n\nBroken: bb.\n"
    )
    assert "\x1b[32m" in shown
    assert "\x1b[" in doctor("--color", "always", color=True).stdout
    assert "\x1b[" not in doctor("--color", "never", color=True).stdout


def test_an_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PYTHON", (99, 0))
    assert [line.state for line in own() if line.name == "python"] == ["broken"]


@pytest.mark.parametrize(
    ("found", "state", "install"),
    [
        (Fence(("cpu",), True, ""), "ok", ""),
        (
            Fence((), False, "the library pyseccomp is not installed"),
            "missing",
            "pip install '.[sandbox]'  # in a clone of safeload",
        ),
        (Fence((), False, "pyseccomp does not find libseccomp"), "missing", "apt-get install libseccomp2"),
    ],
)
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the filter is of Linux")
def test_the_fence(monkeypatch: pytest.MonkeyPatch, found: Fence, state: str, install: str) -> None:
    monkeypatch.setattr(pool, "probe", lambda settings: found)
    assert (fence().state, fence().install) == (state, install)


def test_a_worker_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(settings: object) -> Fence:
        raise Ended(pool.unjudged("crashed", "no process could be started", ""))

    monkeypatch.setattr(pool, "probe", probe)
    assert fence()[:3] == ("fence", "broken", "no process could be started")


@pytest.mark.skipif(sys.platform == "win32", reason="writes shell scripts")
def test_programs_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = {p.name: p for p in parts.parts()}
    assert examined(wanted["git"]).state == "missing"
    script = tmp_path / "git"
    script.write_text("#!/bin/sh\necho git version 2.99.1\n")
    script.chmod(0o755)
    assert examined(wanted["git"]) == Line("git", "ok", "2.99.1")
    script.write_text("#!/bin/sh\nexit 3\n")
    assert examined(wanted["git"]).found == f"{script} --version ended with 3"


def test_versions() -> None:
    assert version_tuple("2.13.0a1") == (2, 13, 0)
    assert version_tuple("0.1.12") > version_tuple("0.1.9")
    assert version_tuple("unknown") == ()


def test_bounds_are_those_of_the_project(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    stated = {
        match[1]: match[2]
        for extra in ("convert", "torch", "explain")
        for line in project["optional-dependencies"][extra]
        if (match := re.match(r"([\w-]+)>=([\d.]+)", line))
    }
    assert {p.name: p.least for p in parts.parts() if p.least} == stated
    assert project["requires-python"] == ">=" + ".".join(map(str, module.PYTHON))
    for line in parts.parts():
        if extra := re.search(r"safeload\[(\w+)\]", line.install):
            assert extra[1] in project["optional-dependencies"]
