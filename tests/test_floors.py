"""The house: a file imports only from lower floors or from its own folder, and folders on one floor never meet.

Imports are read from the source, so lazy ones and those under TYPE_CHECKING count. The floors are those of the layout
that CONTRIBUTING.md draws; a new module at the top of safeload/ has to be given one here first.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

FLOORS: tuple[tuple[str, ...], ...] = (
    ("errors", "install", "limits", "findings", "source", "report"),
    ("document",),
    ("inputs", "containers", "machine", "reports"),
    ("policy", "project"),
    ("vetted",),
    ("checks", "tree", "modules"),
    ("scanning",),
    ("loading", "converting", "explaining", "inspecting", "attesting"),
    ("saving", "restricted", "integrations", "workers"),
    ("cli",),
    ("__init__", "types", "__main__"),
)
"""Lowest first: the names at the top of safeload/ (folders, or files without their ending)."""

FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

ABOVE_LOADING = {"loading", "saving", "restricted", "integrations", "workers", "cli"}

OUTSIDERS: dict[str, set[str]] = {
    "click": {"cli"},
    "rich": {"cli"},
    "torch": ABOVE_LOADING,
    "numpy": ABOVE_LOADING | {"converting", "inspecting"},
    "safetensors": ABOVE_LOADING | {"converting"},
    "fickling": {"integrations", "cli"},
    "pathspec": {"inputs"},
    "sitecustomize": {"integrations"},
    "pyseccomp": {"workers"},
    "jinja2": {"scanning"},
    "yaml": {"scanning", "containers"},
}
"""Who may import what is not in the standard library; nobody imports anything else."""

ENDS_ITS_PROCESS = {
    "safeload/workers/serve.py": "a worker whose parent is gone ends at once, however long its file would take",
}
"""Files outside the command that may print or exit, and why."""

FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "core", "base", "misc"}


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's target, as an absolute dotted name, and where it stands."""

    target: str
    line: int


def package_files(root: Path) -> list[Path]:
    return sorted((root / "safeload").rglob("*.py"))


def place(path: Path, root: Path) -> str:
    """The name at the top of safeload/ that `path` belongs to."""
    return path.relative_to(root / "safeload").parts[0].removesuffix(".py")


def imports(tree: ast.Module, package: str) -> Iterator[Import]:
    """Every import in a module of `package`: `from a import b` counts as `a.b`, relative ones are resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            start = ""
            if node.level:
                parts = package.split(".")
                start = ".".join(parts[: len(parts) - node.level + 1])
            module = ".".join(part for part in (start, node.module or "") if part)
            for alias in node.names:
                yield Import(f"{module}.{alias.name}", node.lineno)


def inner_target(target: str, root: Path) -> str:
    """The name at the top of safeload/ that an import of ours means; a name of the facade is "__init__"."""
    first = [*target.split("."), ""][1]
    top = root / "safeload" / first
    return first if first and (top.is_dir() or top.with_suffix(".py").is_file()) else "__init__"


def violations(source: str, where: str, here: str, root: Path, *, package: str = "safeload") -> list[str]:
    """What one file, which belongs to `here`, imports against the rules."""
    found = []
    for item in imports(ast.parse(source), package):
        head = item.target.split(".", maxsplit=1)[0]
        if head == "safeload":
            there = inner_target(item.target, root)
            if not allowed(here, there, root):
                found.append(
                    f"{where}:{item.line}: {here} (floor {FLOOR[here]}) imports {there} (floor {FLOOR[there]})"
                )
        elif head in OUTSIDERS:
            if here not in OUTSIDERS[head]:
                found.append(f"{where}:{item.line}: {head} is imported outside {sorted(OUTSIDERS[head])}")
        elif head not in sys.stdlib_module_names:
            found.append(f"{where}:{item.line}: {head} is neither ours, nor standard, nor a declared dependency")
    return found


def allowed(here: str, there: str, root: Path) -> bool:
    """Lower floors and the own folder; files on one floor lie in one folder, folders on one floor are strangers."""
    if here == there or FLOOR[there] < FLOOR[here]:
        return True
    single = not any((root / "safeload" / name).is_dir() for name in (here, there))
    return FLOOR[here] == FLOOR[there] and single


def test_every_module_at_the_top_has_a_floor(root: Path) -> None:
    tops = {place(path, root) for path in package_files(root)}
    assert tops - FLOOR.keys() == set()


def levels(root: Path) -> dict[str, list[str]]:
    """Each folder of the package, with the files that lie in it and not deeper."""
    found: dict[str, list[str]] = {}
    for path in package_files(root):
        found.setdefault(path.parent.relative_to(root).as_posix(), []).append(path.name)
    return found


def test_the_root_holds_only_what_the_public_names_need(root: Path) -> None:
    assert {name.removesuffix(".py") for name in levels(root)["safeload"]} == {
        *("__init__", "__main__", "types"),
        *("errors", "install", "limits", "findings", "source", "report"),
        *("saving", "restricted"),
    }


def test_a_level_lists_at_most_fourteen_files_beside_its_init(root: Path) -> None:
    crowded = {folder: len(names) - 1 for folder, names in levels(root).items() if len(names) - 1 > 14}
    assert crowded == {}


def test_every_folder_says_what_it_is_for(root: Path) -> None:
    silent = [
        folder
        for folder in levels(root)
        if ast.get_docstring(ast.parse((root / folder / "__init__.py").read_text(encoding="utf-8"))) is None
    ]
    assert silent == []


def test_a_gerund_says_that_a_public_function_has_the_noun(root: Path) -> None:
    gerunds = [name for name in FLOOR if name.endswith("ing") and (root / "safeload" / name).is_dir()]
    assert gerunds, "no folder is a gerund any more: this test goes"
    for name in gerunds:
        words = ast.get_docstring(ast.parse((root / "safeload" / name / "__init__.py").read_text(encoding="utf-8")))
        assert "gerund" in (words or ""), name


def test_writing_and_verifying_share_no_code(root: Path) -> None:
    """`converting/verify` reads the output again: a fault of `converting/write` must not be a fault of both."""
    for here, there in (("verify", "write"), ("write", "verify")):
        paths = sorted((root / "safeload/converting" / here).glob("*.py"))
        assert paths
        for path in paths:
            found = imports(ast.parse(path.read_text(encoding="utf-8")), f"safeload.converting.{here}")
            used = [item for item in found if item.target.startswith(f"safeload.converting.{there}")]
            # Staging calls both, one after the other.
            assert used == [] or path.name == "staging.py", path


def test_contributing_draws_this_house(root: Path) -> None:
    drawing = (root / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Add a rule")[0]
    tops = {place(path, root) for path in package_files(root)} - set(FLOORS[-1])
    assert [name for name in sorted(tops) if not re.search(rf"\b{name}\b", drawing)] == []


def test_imports_go_down(root: Path) -> None:
    found: list[str] = []
    for path in package_files(root):
        package = ".".join(path.parent.relative_to(root).parts)
        where = str(path.relative_to(root))
        found += violations(path.read_text(encoding="utf-8"), where, place(path, root), root, package=package)
    assert found == []


@pytest.mark.parametrize(
    ("here", "source"),
    [
        ("machine", "from safeload.policy import packs"),
        ("machine", "def f():\n    from safeload.containers.interface import Pickle"),
        ("machine", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import safeload.vetted"),
        ("machine", "from ..containers import interface"),
        ("machine", "import safeload"),
        ("scanning", "from safeload import scan"),
        ("scanning", "import torch"),
        ("converting", "from torch import nn"),
        ("converting", "from safeload.loading import rebuild"),
        ("reports", "import rich.table"),
        ("scanning", "import click"),
        ("scanning", "import requests"),
        ("errors", "from safeload import limits, containers"),
        ("converting", "from safeload.loading.load import load"),
    ],
)
def test_the_rules_bite(root: Path, here: str, source: str) -> None:
    assert len(violations(source, "x.py", here, root, package="safeload.machine")) == 1


@pytest.mark.parametrize(
    ("here", "source"),
    [
        ("scanning", "from safeload.scanning.judge import judge"),
        ("machine", "from safeload.machine.program import Program\nfrom . import keys"),
        ("loading", "import torch, numpy"),
        ("document", "from safeload.document.cell import Cell"),
        ("cli", "import click, rich\nfrom safeload.scanning.scanner import scan"),
        ("__main__", "from safeload.cli import main"),
    ],
)
def test_the_rules_allow(root: Path, here: str, source: str) -> None:
    assert violations(source, "x.py", here, root, package="safeload.machine") == []


def test_files_on_one_floor_import_each_other_without_a_circle(root: Path) -> None:
    edges: dict[str, set[str]] = {}
    for path in package_files(root):
        here = place(path, root)
        if path.parent.name == "safeload":
            found = imports(ast.parse(path.read_text(encoding="utf-8")), "safeload")
            inner = {inner_target(item.target, root) for item in found if item.target.startswith("safeload.")}
            edges[here] = {there for there in inner if FLOOR[there] == FLOOR[here]}
    while free := {name for name, below in edges.items() if not below & edges.keys()}:
        edges = {name: below for name, below in edges.items() if name not in free}
    assert edges == {}


def of_a_name(node: ast.Attribute) -> str:
    """ "sys.exit"; "" where the attribute is of anything but a name."""
    return f"{node.value.id}.{node.attr}" if isinstance(node.value, ast.Name) else ""


def prints_and_exits(source: str) -> list[int]:
    """Lines that print or end the process, outside `if __name__ == "__main__"`."""
    tree = ast.parse(source)
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "__name__ == '__main__'"
        for node in ast.walk(block)
    }
    names = {"print", "exit", "quit", "SystemExit", "sys.exit", "os._exit", "os.abort", "sys.stdout", "sys.stderr"}
    return [
        node.lineno
        for node in ast.walk(tree)
        if (
            (isinstance(node, ast.Name) and node.id in names)
            or (isinstance(node, ast.Attribute) and of_a_name(node) in names)
        )
        and id(node) not in guarded
    ]


@pytest.mark.slow
def test_only_the_command_prints_and_exits(root: Path) -> None:
    found = {
        path.relative_to(root).as_posix(): lines
        for path in package_files(root)
        if place(path, root) not in ("cli", "__main__")
        if (lines := prints_and_exits(path.read_text(encoding="utf-8")))
    }
    assert {path: lines for path, lines in found.items() if path not in ENDS_ITS_PROCESS} == {}
    assert ENDS_ITS_PROCESS.keys() - found.keys() == set(), "no longer needed"


@pytest.mark.parametrize(
    "source", ["print(1)", "import sys\nsys.exit()", "raise SystemExit(2)", "import sys\nsys.stderr.write('x')"]
)
def test_prints_and_exits_are_seen(source: str) -> None:
    assert prints_and_exits(source)
    assert not prints_and_exits('if __name__ == "__main__":\n    ' + source.replace("\n", "\n    "))


def test_module_names_say_what_is_inside(root: Path) -> None:
    names = {
        part.removesuffix(".py")
        for path in package_files(root)
        for part in path.relative_to(root / "safeload").parts
        if part not in ("__init__.py", "__main__.py")
    }
    assert sorted(name for name in names if name in FORBIDDEN_NAMES or name.startswith("_")) == []


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import safeload", ("torch", "numpy", "safetensors", "click", "rich", "tomllib", "multiprocessing")),
        ("import safeload.cli", ("torch", "numpy", "safetensors", "rich", "tomllib", "multiprocessing")),
        ("import safeload; safeload.scan(b'N.')", ("torch", "numpy", "safetensors", "click", "rich", "tomllib")),
    ],
)
def test_what_is_not_needed_is_not_imported(statement: str, absent: tuple[str, ...]) -> None:
    code = f"{statement}\nimport sys\nprint(*sorted(set({absent!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")
