"""What is shipped: the contents of wheels and of the source distribution, the compiled machine, and the ways back.

Builds run setup.py's backend directly on a copy of the project, so that they need no network and leave nothing behind.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# A compiled build takes a minute or two, and the tests over it some more.
pytestmark = [pytest.mark.wheel, pytest.mark.timeout(3600)]

SHIPPED = (
    "safeload/py.typed",
    "safeload/policy/table.py",
    "safeload/machine/interpreter.py",
    "safeload/scanning/scanner.py",
    "safeload/cli/__init__.py",
    "safeload/__main__.py",
)

COMPILED = re.compile(r"\.(so|pyd)$")


@dataclass(frozen=True, slots=True)
class Built:
    """One built distribution, and what the build said."""

    path: Path
    log: str

    def names(self) -> set[str]:
        if self.path.suffix == ".whl":
            with zipfile.ZipFile(self.path) as archive:
                return set(archive.namelist())
        with tarfile.open(self.path) as archive:
            return {name.partition("/")[2] for name in archive.getnames()} - {""}


Build = Callable[..., Built]


def a_compiler() -> bool:
    return any(shutil.which(name) for name in ("cc", "gcc", "clang", "cl"))


@pytest.fixture(scope="module")
def build(root: Path, project_files: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Run one hook of the build backend on a new copy of the project, with the given environment variables."""

    def run(hook: str, **environment: str) -> Built:
        copy = tmp_path_factory.mktemp("project")
        for path in project_files:
            target = copy / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
        out = copy / "dist"
        code = f"import setuptools.build_meta as backend; print(); print(backend.{hook}({str(out)!r}))"
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=copy,
            env={**os.environ, "SAFELOAD_PURE": "", **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert [p for p in copy.rglob("*") if COMPILED.search(p.name)] == [], "a build left a module in the checkout"
        assert not (copy / "build").exists()
        return Built(out / done.stdout.splitlines()[-1].strip(), done.stderr)

    return run


@pytest.fixture(scope="module")
def wheel(build: Build) -> Built:
    """The wheel as a user's `pip install .` builds it: compiled where there is a compiler."""
    return build("build_wheel")


@pytest.fixture(scope="module")
def sdist(build: Build) -> Built:
    return build("build_sdist")


@pytest.fixture(scope="module")
def installed(wheel: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds what the wheel installs."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel.path) as archive:
        archive.extractall(folder)
    return folder


def sources(root: Path, project_files: tuple[Path, ...]) -> set[str]:
    names = {path.relative_to(root).as_posix() for path in project_files}
    return {name for name in names if name.startswith("safeload/")}


def test_the_wheel_holds_the_package_and_nothing_else(
    wheel: Built, root: Path, project_files: tuple[Path, ...]
) -> None:
    names = {name for name in wheel.names() if ".dist-info/" not in name}
    assert set(SHIPPED) <= names
    assert {name for name in names if not COMPILED.search(name)} == sources(root, project_files)


def test_the_wheel_carries_the_licence(wheel: Built) -> None:
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.names())


def test_the_source_distribution_holds_what_a_build_needs(
    sdist: Built, root: Path, project_files: tuple[Path, ...]
) -> None:
    names = sdist.names()
    assert sources(root, project_files) <= names
    assert {"setup.py", "pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "rules/build.py"} <= names
    assert [name for name in names if name.startswith(("tests", "samples", "benchmarks", ".ci"))] == []


def test_an_editable_install_is_plain_python(build: Build) -> None:
    editable = build("build_editable")
    assert editable.path.name.endswith("-py3-none-any.whl")
    assert [name for name in editable.names() if COMPILED.search(name)] == []


@pytest.mark.skipif(not a_compiler(), reason="no C compiler here")
class TestCompiled:
    def test_every_hot_module_is_compiled(self, wheel: Built, root: Path) -> None:
        compiled = {name.split(".")[0] for name in wheel.names() if COMPILED.search(name)}
        machine = {p.stem for p in (root / "safeload/machine").glob("*.py")} - {"__init__", "interface"}
        hot = {
            "document/": ("cell", "document", "dtypes", "elements"),
            "containers/": ("safetensors_file", "kinds/torch_zip", "zip/directory", "zip/entry"),
            "converting/": ("encoding", "verify/comparing", "write/writer"),
            "converting/plan/": ("layout", "naming", "plan", "select", "views"),
            "inputs/": ("cached", "file", "lfs", "stream"),
            "machine/": machine,
            "scanning/": ("declared", "judge", "nesting"),
            "tree/": ("encode", "json_text", "nodes", "objects", "paths", "scalars", "spelling", "storages"),
            "vetted/": ("collections_types", "consumption"),
            "vetted/torch/": ("geometry", "storages", "tensors"),
        }
        assert compiled == {
            "safeload__mypyc",
            *(f"safeload/{folder}{name}" for folder, names in hot.items() for name in names),
        }
        assert "compiled" in wheel.log

    def test_the_compiled_machine_is_what_is_imported(self, installed: Path) -> None:
        code = "import safeload.machine.interpreter as m, safeload.document.cell as c; print(m.__file__, c.__file__)"
        done = subprocess.run([sys.executable, "-c", code], cwd=installed, capture_output=True, text=True, check=True)
        assert all(COMPILED.search(name) for name in done.stdout.split())

    def test_no_plain_class_extends_a_compiled_one(self, installed: Path) -> None:
        """mypyc's classes refuse that when an object is made: `save` of a wheel did, while the checkout's worked."""
        done = subprocess.run(
            [sys.executable, "-c", PLAIN_OVER_COMPILED], cwd=installed, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["looked", "at", "some"]

    def test_the_compiled_modules_pass_the_tests_of_their_folders(self, installed: Path, root: Path) -> None:
        """What is shipped is what is tested: the same tests, with the wheel's modules before the checkout's."""
        done = subprocess.run(
            [sys.executable, root / "tests/compiled.py", "--site", installed],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


PLAIN_OVER_COMPILED = """
import importlib, inspect, pkgutil, sys
import safeload

def compiled(kind):
    name = kind.__module__
    return name.startswith("safeload.") and sys.modules[name].__file__.endswith((".so", ".pyd"))

looked = 0
for found in pkgutil.walk_packages(safeload.__path__, "safeload."):
    if not found.name.endswith("__main__"):
        module = importlib.import_module(found.name)
        for name, kind in vars(module).items():
            if inspect.isclass(kind) and kind.__module__ == found.name and not compiled(kind):
                looked += 1
                if any(compiled(base) for base in kind.__mro__):
                    print(found.name, name)
print("looked at", "some" if looked > 100 else looked)
"""


def stub_compiler(folder: Path, passes: str) -> str:
    """A compiler that compiles files of one name and fails for all others."""
    script = folder / "cc"
    script.write_text(f'#!/bin/sh\ncase "$*" in *{passes}*) exec cc "$@";; esac\necho broken >&2\nexit 1\n')
    script.chmod(0o755)
    return str(script)


def hidden_mypyc(folder: Path) -> str:
    (folder / "mypyc").mkdir()
    (folder / "mypyc/__init__.py").write_text("raise ImportError('hidden')\n")
    return str(folder)


@pytest.mark.skipif(os.name != "posix", reason="the compilers of these tests are shell scripts")
@pytest.mark.parametrize("missing", ["asked for", "compiler", "compiler halfway", "mypyc"])
def test_without_a_compiled_machine_the_wheel_is_plain_python(missing: str, build: Build, tmp_path: Path) -> None:
    environment, line = {
        "asked for": lambda: ({"SAFELOAD_PURE": "1"}, "SAFELOAD_PURE is set"),
        "compiler": lambda: ({"CC": str(tmp_path / "absent")}, "no C compiler"),
        "compiler halfway": lambda: ({"CC": stub_compiler(tmp_path, "probe.c")}, "the compiler failed"),
        "mypyc": lambda: ({"PYTHONPATH": hidden_mypyc(tmp_path)}, "mypyc: ImportError('hidden')"),
    }[missing]()
    if missing in ("compiler halfway", "mypyc") and not a_compiler():
        pytest.skip("no C compiler here")
    plain = build("build_wheel", **environment)
    (said,) = (text for text in plain.log.splitlines() if text.startswith("safeload: "))
    assert said.startswith("safeload: the machine is not compiled, plain Python is used: ")
    assert line in said
    assert plain.path.name.endswith("-py3-none-any.whl")
    assert [name for name in plain.names() if COMPILED.search(name)] == []
