"""Windows and macOS: nothing that only some systems have is used unless it was asked for first.

What each system has is read from the stubs of the standard library that mypy brings, so no list of ours can be
forgotten. A use is guarded when a condition around it, or a condition before it that leaves the function, asks for the
system (`sys.platform`, `os.name`) or for the thing (`hasattr`, `getattr`, `os.supports_dir_fd`), or when it stands in a
`try` that expects it to be missing. Whether the condition asks the right way round, only a run on such a system shows.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

SYSTEMS = ("linux", "darwin", "win32")

KEYWORDS = {"dir_fd", "src_dir_fd", "dst_dir_fd", "preexec_fn", "pass_fds"}
"""Arguments that raise where the system has no such thing."""

ASKS = {"hasattr", "getattr", "sys.platform", "os.name", "os.supports_dir_fd", "os.supports_follow_symlinks"}

EXPECTS = {"ImportError", "ModuleNotFoundError", "AttributeError", "NotImplementedError"}

ASKED_ELSEWHERE: dict[str, str] = {
    "safeload/converting/write/system.py::copy_file_range": "Mover names it only where os has it",
    "safeload/converting/write/system.py::sendfile": "Mover names it only where os has it",
    "safeload/converting/write/system.py::link": "a folder is given only for a file without a name (os.O_TMPFILE)",
    "safeload/workers/fence.py::_lower": "called by functions that could import resource",
    "safeload/workers/fence.py::_filter": "called by _refuse_calls, on 64-bit Linux only",
}
"""path::function -> why it needs no guard of its own."""

MAPS: dict[str, str] = {
    "safeload/loading/storages.py": "a file that cannot be mapped is read instead, as with mmap=False",
}
"""Who maps files. All others read, so that safeload works where nothing can be mapped."""


def holds(test: ast.expr, system: str) -> bool | None:
    """Whether a condition of a stub holds on `system`; None where it asks for something else."""
    match test:
        case ast.Compare(
            left=ast.Attribute(value=ast.Name(id="sys"), attr="platform"),
            ops=[op],
            comparators=[ast.Constant(value=name)],
        ):
            return (system == name) == isinstance(op, ast.Eq)
        case ast.BoolOp(op=op, values=values):
            found = [holds(value, system) for value in values]
            decisive = isinstance(op, ast.Or)
            return decisive if decisive in found else None if None in found else not decisive
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = holds(operand, system)
            return None if inner is None else not inner
    return None


def defined(body: list[ast.stmt], system: str) -> Iterator[str]:
    """The names that a stub defines on one system, whatever the version of Python."""
    for node in body:
        match node:
            case ast.If(test=test, body=then, orelse=otherwise):
                answer = holds(test, system)
                yield from () if answer is False else defined(then, system)
                yield from () if answer is True else defined(otherwise, system)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Assign(targets=targets):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.ImportFrom(names=names):
                yield from (alias.name for alias in names if alias.asname == alias.name)  # what a stub re-exports


@functools.cache
def missing(module: str) -> frozenset[str]:
    """The names of a module of the standard library that one of SYSTEMS lacks; "*" when one lacks all of them."""
    found = find_spec("mypy")
    assert found is not None
    assert found.origin is not None
    stubs = Path(found.origin).parent / "typeshed/stdlib"
    path = stubs / (module.replace(".", "/") + ".pyi")
    path = path if path.is_file() else stubs / module.replace(".", "/") / "__init__.pyi"
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    names = {system: {name for name in defined(body, system) if name != "sys"} for system in SYSTEMS}
    every = set[str]().union(*names.values())
    own = {name for name in every if not name.startswith("_")}
    lacking = {name for system in SYSTEMS for name in every - names[system]}
    return frozenset(lacking | ({"*"} if any(own and not own & names[system] for system in SYSTEMS) else set()))


def asks(test: ast.AST, constants: set[str]) -> bool:
    """Whether a condition asks for the system, or for what it has."""
    return any(
        ast.unparse(node) in ASKS or (isinstance(node, ast.Name) and node.id in constants)
        for node in ast.walk(test)
        if isinstance(node, ast.Name | ast.Attribute)
    )


def leaves(body: list[ast.stmt]) -> bool:
    return isinstance(body[-1], ast.Return | ast.Raise | ast.Continue)


def expects(node: ast.Try) -> bool:
    """Whether a handler of a `try` is for something that is not there."""
    return any(
        handler.type is not None and not EXPECTS.isdisjoint(ast.unparse(handler.type).strip("()").split(", "))
        for handler in node.handlers
    )


def suppresses(node: ast.With) -> bool:
    """Whether a `with` passes over something that is not there."""
    calls = [item.context_expr for item in node.items if isinstance(item.context_expr, ast.Call)]
    return any(
        ast.unparse(call.func) in ("suppress", "contextlib.suppress")
        and not EXPECTS.isdisjoint(ast.unparse(argument) for argument in call.args)
        for call in calls
    )


def uses(node: ast.AST) -> Iterator[str]:
    """What one node uses that some system lacks."""
    match node:
        case ast.Attribute(value=ast.Name(id=module), attr=name) if name in missing(module):
            yield f"{module}.{name}"
        case ast.Import(names=names):
            yield from (alias.name for alias in names if "*" in missing(alias.name))
        case ast.ImportFrom(module=str(module), names=names, level=0):
            yield from (f"{module}.{alias.name}" for alias in names if {alias.name, "*"} & missing(module))
        case ast.keyword(arg=str(name)) if name in KEYWORDS:
            yield f"{name}="


def unguarded(source: str) -> list[tuple[str, str]]:
    """(function, use) of each use in a module that nothing asks for."""
    tree = ast.parse(source)
    constants = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None and asks(node.value, set())
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    found: list[tuple[str, str]] = []

    def visit(node: ast.AST, function: str, guarded: bool) -> None:
        if isinstance(node, ast.FunctionDef):
            function, guarded = node.name, False
        if not guarded:
            found.extend((function, use) for use in uses(node))
        match node:
            case ast.If() | ast.IfExp() | ast.While():
                inner = guarded or asks(node.test, constants)
            case ast.Try():
                inner = guarded or expects(node)
            case ast.With():
                inner = guarded or suppresses(node)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                inner = guarded or any(asks(test, constants) for part in node.generators for test in part.ifs)
            case _:
                inner = guarded
        for _, value in ast.iter_fields(node):
            behind = inner
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child, function, behind)
                    behind = behind or (
                        isinstance(child, ast.If) and leaves(child.body) and asks(child.test, constants)
                    )
                    behind = behind or (
                        isinstance(child, ast.Try) and expects(child) and leaves(child.handlers[0].body)
                    )

    visit(tree, "", False)
    return found


@pytest.fixture(scope="module")
def package(root: Path) -> dict[str, str]:
    """Every file of safeload/: path -> text."""
    files = sorted((root / "safeload").rglob("*.py"))
    return {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in files}


def test_nothing_is_used_that_a_system_lacks(package: dict[str, str]) -> None:
    found = [(f"{path}::{function}", use) for path, text in package.items() for function, use in unguarded(text)]
    assert [(where, use) for where, use in found if where not in ASKED_ELSEWHERE] == []
    assert ASKED_ELSEWHERE.keys() - {where for where, _ in found} == set(), "no longer needed"


def test_only_storages_are_mapped(package: dict[str, str]) -> None:
    importers = {
        path
        for path, text in package.items()
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import) and any(alias.name == "mmap" for alias in node.names)
    }
    assert importers == MAPS.keys()


def test_the_stubs_know_the_systems() -> None:
    lacking = {"O_NOFOLLOW", "O_DIRECTORY", "fork", "pread", "pwritev", "copy_file_range", "sendfile", "posix_fadvise"}
    assert lacking | {"geteuid", "uname", "O_TMPFILE", "sched_getaffinity"} <= missing("os")
    assert not {"open", "fstat", "replace", "O_RDONLY", "urandom", "fsync", "link", "dup2"} & missing("os")
    assert [name for name in ("fcntl", "resource", "pwd", "termios", "msvcrt") if "*" not in missing(name)] == []
    assert [name for name in ("os", "signal", "mmap", "json", "subprocess") if "*" in missing(name)] == []
    assert "SIGKILL" in missing("signal")
    assert "SIGINT" not in missing("signal")
    assert sys.platform in SYSTEMS


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.fork()",
        "import os\ndef f():\n    return os.pread(1, 2, 3)",
        "from os import geteuid",
        "import fcntl",
        "def f():\n    import resource",
        "import os, signal\nos.kill(1, signal.SIGKILL)",
        "import os\nos.stat('x', dir_fd=3)",
        "import os\nif x:\n    os.sendfile(1, 2, 3, 4)",
        "import os\ndef f():\n    if hasattr(os, 'pread'):\n        x = 1\n    return os.pread(1, 2, 3)",
        "try:\n    import resource\nexcept OSError:\n    pass",
        "import contextlib\nwith contextlib.suppress(OSError):\n    import resource",
        "import os\ndef f():\n    if hasattr(os, 'fork'):\n        def g():\n            os.fork()",
    ],
)
def test_what_is_not_asked_for_is_seen(source: str) -> None:
    assert unguarded(source)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nif hasattr(os, 'fork'):\n    os.fork()",
        "import os\nx = os.pread(1, 2, 3) if hasattr(os, 'pread') else b''",
        "import os\nx = getattr(os, 'O_NOFOLLOW', 0)",
        "import sys, os\ndef f():\n    if sys.platform == 'win32':\n        return 1\n    return os.geteuid()",
        "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None",
        "import os\ndef f():\n  try:\n    import resource\n  except ImportError:\n    return 0\n  return os.geteuid()",
        "import mmap\nFLAG = getattr(mmap, 'MAP_NORESERVE', 0)\nx = mmap.MAP_PRIVATE if FLAG else 0",
        "import os\nx = [os.fork for name in y if hasattr(os, name)]",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import resource",
        "import os\nos.open('x', os.O_RDONLY)",
    ],
)
def test_what_is_asked_for_passes(source: str) -> None:
    assert unguarded(source) == []
