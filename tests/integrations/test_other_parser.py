"""Another parser's reading in a process of its own: what it answers, and that nothing of it gets out."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from safeload.integrations import other_parser
from safeload.integrations.other_parser import LARGEST, equivalent_python, read

fickling = pytest.mark.skipif(importlib.util.find_spec("fickling") is None, reason="needs fickling")
PAYLOAD = b"cos\nsystem\n(S'echo harmless'\ntR."


@fickling
def test_equivalent_python() -> None:
    found = equivalent_python(PAYLOAD)
    assert found.parser.startswith("fickling 0.")
    assert (found.python, found.problem) == (
        "from os import system\n_var0 = system('echo harmless')\nresult = _var0",
        "",
    )


@fickling
@pytest.mark.parametrize("data", [b"", b"\xff", PAYLOAD[:20], b"0.", b"\x82\x05", b"(" * 50_000 + b"t" * 50_000 + b"."])
def test_its_failures_are_words(data: bytes) -> None:
    found = equivalent_python(data)
    assert found.problem
    assert found.python == ""


@fickling
def test_what_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(other_parser, "SECONDS", 2)
    found = equivalent_python(b"N" + b"2\x86" * 60 + b".")
    assert found.python == ""
    assert found.problem


def test_large_pickles_are_not_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("it was started"))
    found = equivalent_python(b"N" * (LARGEST + 1))
    assert found.problem == f"the pickle has {LARGEST + 1} bytes, and {LARGEST} at most are handed over"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("import sys; sys.exit(7)", "it ended with code 7 and without an answer"),
        ("print('no json')", "it ended with code 0 and without an answer"),
        ("import time; time.sleep(60)", "it was not done after 1 seconds"),
    ],
)
def test_a_process_that_goes_wrong(monkeypatch: pytest.MonkeyPatch, program: str, said: str) -> None:
    run = subprocess.run
    monkeypatch.setattr(other_parser, "SECONDS", 1)
    monkeypatch.setattr(subprocess, "run", lambda _, **how: run([sys.executable, "-c", program], **how))
    assert equivalent_python(PAYLOAD) == ("fickling", "", said)


def test_a_process_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert equivalent_python(PAYLOAD).problem == "it could not be started: No such file or directory"


def test_without_fickling_the_answer_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fickling.fickle", None)
    assert read(PAYLOAD)["python"] == ""
    assert "fickling" in read(PAYLOAD)["problem"]
