"""The docstrings of the public functions say what goes in, what comes out and what is raised; their examples run."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload

FUNCTIONS = sorted(name for name in safeload.__all__ if inspect.isfunction(getattr(safeload, name)))


def words(name: str) -> str:
    return inspect.getdoc(getattr(safeload, name)) or ""


def section(text: str, title: str) -> str:
    """The lines below "Title:", up to the next one that is not indented."""
    found = re.search(rf"^{title}:\n((?:[ ]{{4}}.*\n?|\n)*)", text, re.MULTILINE)
    return found[1] if found else ""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the examples name: `model.pt` with one tensor, `whole_model.pt` with a pickled module."""
    monkeypatch.chdir(tmp_path)
    torch.save({"weight": torch.ones(2, 3)}, "model.pt")
    torch.save(torch.nn.Linear(3, 2), "whole_model.pt")
    return tmp_path


def test_the_public_functions_are_found() -> None:
    assert {"scan", "load", "convert", "verify", "save", "inspect", "diff", "open", "state_dict", "protect"} <= {
        *FUNCTIONS
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_argument_is_told(name: str) -> None:
    function: Callable[..., Any] = getattr(safeload, name)
    told = re.findall(r"^ {4}(\w+): ", section(words(name), "Args"), re.MULTILINE)
    assert told == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_comes_out_and_what_is_raised_is_told(name: str) -> None:
    function: Callable[..., Any] = getattr(safeload, name)
    assert section(words(name), "Raises")
    gives = inspect.signature(function).return_annotation not in ("None", None)
    assert bool(section(words(name), "Returns")) == gives


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.usefixtures("files")
def test_the_example_runs_as_printed(name: str) -> None:
    example = doctest.DocTestParser().get_doctest(
        words(name), {"safeload": safeload, "torch": torch}, name, f"{name}.__doc__", 0
    )
    assert example.examples, "no example"
    said: list[str] = []
    result = doctest.DocTestRunner(verbose=False).run(example, out=said.append)
    assert result.failed == 0, "".join(said)
