"""The written style, held by reading the source. Every exception is named here, with its reason, and is in use."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

FILE_LINES = 400
FUNCTION_LINES = 60

LONG_FILES: dict[str, str] = {
    "safeload/policy/table.py": "generated from rules/",
}

LONG_FUNCTIONS: dict[str, str] = {
    "safeload/machine/interpreter.py::_loop": "one loop over opcodes: a call for each would double the time",
}
"""path::qualified name -> why one function has to be that long."""

IMPORTERS: dict[str, str] = {
    "safeload/__init__.py": "resolves the public functions by a table of constant names",
    "safeload/vetted/__init__.py": "imports a family when one of its shapes is needed, by a table of constant names",
    "safeload/loading/trust.py": "imports the classes that the caller's own trust= names, never what a file names",
    "safeload/cli/__init__.py": "imports a command's file when it is called, by a table of constant names",
}
"""Who may import a module by a computed name."""

RUNS_CODE = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "runpy.run_path", "runpy.run_module"}
DESERIALIZERS = {"marshal", "shelve", "dill", "cloudpickle", "joblib", "dbm"}
INERT_PICKLE = {"UnpicklingError", "PickleError", "PicklingError"}
"""All that safeload may use of the module `pickle`: the errors that its own derive from."""

WRITES_PICKLES: dict[str, str] = {
    "safeload/saving.py": "writes the caller's own object into memory, for the machine to read; reads none",
}
"""Who may use `pickle.Pickler`, which writes. Nobody may use what reads."""

# Spelled in halves, so that this file does not hold them.
FORBIDDEN_WORDS = tuple(
    "".join(halves)
    for halves in (
        ("/wo", "rk/"),
        ("help", "er-"),
        ("/opt/py", "pi"),
        ("/opt/wh", "eels"),
        ("/tmp", "/v/"),
        ("/tmp", "/b/"),
        ("index", "-url"),
        ("find", "-links"),
        ("pypi", ".org/simple"),
        ("files.python", "hosted"),
        ("download.py", "torch"),
        ("+c", "pu"),
    )
)
"""Paths of a workplace, package registries and local versions: the project works on any machine."""

TEXT = {".py", ".md", ".toml", ".txt", ".json", ".yaml", ".yml", ".cfg", ".in", ""}


def relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


@pytest.fixture(scope="module")
def sources(root: Path, project_files: tuple[Path, ...]) -> dict[str, str]:
    """Every Python file of the project: path -> text."""
    return {relative(p, root): p.read_text(encoding="utf-8") for p in project_files if p.suffix == ".py"}


@pytest.fixture(scope="module")
def trees(sources: dict[str, str]) -> dict[str, ast.Module]:
    """Every Python file of the project: path -> tree."""
    return {path: ast.parse(text) for path, text in sources.items()}


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, int]]:
    """(qualified name, lines) of every function and method, from `def` to its last line, its docstring left out."""
    for node in ast.iter_child_nodes(tree):
        name = prefix
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}.{node.name}".lstrip(".")
            if not isinstance(node, ast.ClassDef):
                words = node.body[0] if ast.get_docstring(node, clean=False) is not None else None
                told = 0 if words is None else (words.end_lineno or words.lineno) - words.lineno + 1
                yield name, (node.end_lineno or node.lineno) - node.lineno + 1 - told
        yield from functions(node, name)


def test_files_stay_short(sources: dict[str, str]) -> None:
    long = {path for path, text in sources.items() if text.count("\n") > FILE_LINES}
    assert long - LONG_FILES.keys() == set()


def test_functions_stay_short(trees: dict[str, ast.Module]) -> None:
    long = {
        f"{path}::{name}"
        for path, tree in trees.items()
        if path not in LONG_FILES
        for name, lines in functions(tree)
        if lines > FUNCTION_LINES
    }
    assert long - LONG_FUNCTIONS.keys() == set()
    assert LONG_FUNCTIONS.keys() - long == set(), "no longer needed"


def test_a_long_function_is_seen() -> None:
    body = "    x = 1\n" * FUNCTION_LINES
    assert list(functions(ast.parse(f"class A:\n  def f(self):\n{body}"))) == [("A.f", FUNCTION_LINES + 1)]
    assert list(functions(ast.parse(f'def f():\n    """Says\n    it."""\n{body}'))) == [("f", FUNCTION_LINES + 1)]


def test_every_module_says_what_it_is_for(trees: dict[str, ast.Module]) -> None:
    assert [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []


TODO = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b(?!.*#\d)")


def todos(text: str) -> list[int]:
    """The lines of `text` with a comment that leaves something to do and names no issue."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline) if TODO.search(text) else ()
    return [t.start[0] for t in tokens if t.type == tokenize.COMMENT and TODO.search(t.string[1:])]


def test_every_todo_names_its_issue(sources: dict[str, str]) -> None:
    assert {path: lines for path, text in sources.items() if (lines := todos(text))} == {}


def test_a_todo_is_seen_in_comments_alone() -> None:
    assert todos("x = 'TODO'\n# TO" + "DO: this\ny = 1  # TO" + "DO #5: that\n") == [2]


def spelled(node: ast.expr) -> str:
    """A name or an attribute chain as it stands in the source; `ast.unparse` says the same, and takes much longer."""
    names, inner = [], node
    while isinstance(inner, ast.Attribute):
        names.append(inner.attr)
        inner = inner.value
    return ".".join([inner.id, *reversed(names)]) if isinstance(inner, ast.Name) else ast.unparse(node)


def dotted_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name and attribute chain that is used ("os.path.join"), and every name that is imported, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name | ast.Attribute):
            yield spelled(node), node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield f"import {alias.name}", node.lineno
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def inert(path: str, name: str) -> bool:
    """Whether a file may use this name of `pickle`."""
    return name in INERT_PICKLE or (name == "Pickler" and path in WRITES_PICKLES)


def runs_or_imports(path: str, tree: ast.AST) -> list[str]:
    """What of `tree` could run code, deserialize, or import by a computed name."""
    found = []
    for name, line in dotted_names(tree):
        head, _, rest = name.removeprefix("import ").partition(".")
        computed = name in ("importlib.import_module", "import pkgutil", "import runpy") or (
            name.startswith("importlib.util.") and not name.endswith("find_spec")  # which looks, and imports nothing
        )
        if (
            name in RUNS_CODE
            or head in DESERIALIZERS
            or (head == "pickle" and rest and not inert(path, rest.split(".")[0]))
            or (computed and path not in IMPORTERS)
            or (name == "find_class" or name.endswith(".find_class"))
        ):
            found.append(f"{path}:{line}: {name}")
    return found


def test_nothing_runs_what_a_file_says(trees: dict[str, ast.Module]) -> None:
    package = {path: tree for path, tree in trees.items() if path.startswith("safeload/")}
    assert package
    assert [found for path, tree in package.items() for found in runs_or_imports(path, tree)] == []


@pytest.mark.parametrize(
    "source",
    [
        "eval(x)",
        "import pickle\npickle.loads(x)",
        "from pickle import Unpickler",
        "import pickle\nclass P(pickle.Pickler): ...",
        "import marshal",
        "import importlib\nimportlib.import_module(x)",
        "from importlib import import_module",
        "__import__(x)",
        "builtins = exec",
    ],
)
def test_what_runs_is_seen(source: str) -> None:
    assert runs_or_imports("safeload/x.py", ast.parse(source))


def test_what_is_inert_is_not() -> None:
    inert = "import pickle, importlib.metadata\nclass E(pickle.UnpicklingError): ...\nimport re\nre.compile('x')"
    assert runs_or_imports("safeload/x.py", ast.parse(inert)) == []


def test_exceptions_are_in_use(root: Path) -> None:
    assert [path for path in (*LONG_FILES, *IMPORTERS, *WRITES_PICKLES) if not (root / path).is_file()] == []


def test_no_words_of_a_workplace(root: Path, project_files: tuple[Path, ...]) -> None:
    found = [
        f"{relative(path, root)}: {word}"
        for path in project_files
        if path.suffix in TEXT
        for text in [path.read_bytes().decode("utf-8", "replace")]
        for word in FORBIDDEN_WORDS
        if word in text
    ]
    assert found == []
