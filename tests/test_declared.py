"""What is declared: requirements, lower bounds, pins and the version agree wherever they are stated."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest


def project(root: Path) -> dict[str, Any]:
    return dict(tomllib.loads((root / "pyproject.toml").read_text())["project"])


def test_a_bare_install_needs_no_machine_learning_library(root: Path) -> None:
    """The command needs click and rich; judging needs a parser of templates, one of YAML and gitignore patterns."""
    needed = [re.split(r"[<>=~!]", need)[0] for need in project(root)["dependencies"]]
    assert needed == ["click", "jinja2", "pathspec", "pyyaml", "rich"]


def test_every_lower_bound_is_stated_once(root: Path) -> None:
    """The extras and the README agree on the oldest torch and Python, and the pins lie above every bound."""
    extras: dict[str, list[str]] = project(root)["optional-dependencies"]
    bounds: dict[str, set[str]] = {}
    for need in (*project(root)["dependencies"], *(need for needs in extras.values() for need in needs)):
        name, bound = need.partition(";")[0].split(">=")
        bounds.setdefault(name, set()).add(bound)
    assert {name: found for name, found in bounds.items() if len(found) != 1} == {}
    readme = (root / "README.md").read_text()
    (torch,) = bounds["torch"]
    assert f"torch {torch} or newer" in readme
    assert f"Python {project(root)['requires-python'].removeprefix('>=')} or newer" in readme
    found_pins = re.findall(r"^([\w-]+)==([\w.]+)$", (root / "constraints.txt").read_text(), re.MULTILINE)
    pins = {name.replace("_", "-").lower(): pin for name, pin in found_pins}
    for name, (bound,) in ((name, tuple(found)) for name, found in bounds.items()):
        assert version(pins[name]) >= version(bound), name


def version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def test_this_environment_is_the_pinned_one(root: Path) -> None:
    """The suite is run with what constraints.txt says, where it was installed by the Makefile."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed_version

    different = {}
    for name, pin in re.findall(r"^([\w-]+)==([\w.]+)$", (root / "constraints.txt").read_text(), re.MULTILINE):
        try:
            found = installed_version(name).partition("+")[0]
        except PackageNotFoundError:
            continue
        if found != pin:
            different[name] = found
    if not Path(sys.prefix, ".installed-all").exists():
        pytest.skip("not the environment that the Makefile makes")
    assert different == {}


def test_one_version(root: Path) -> None:
    stated = project(root)["version"]
    tree = ast.parse((root / "safeload/report.py").read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert constants["VERSION"] == stated
    assert f"## {stated}" in (root / "CHANGELOG.md").read_text()
