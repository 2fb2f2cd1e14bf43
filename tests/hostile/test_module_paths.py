"""Modules that lie in wait: on the module path, in the current folder, in registries of copyreg, in a file's names."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, OrderedDict
from pathlib import Path

import pytest

from safeload.vetted import collections_types
from tests.hostile.surroundings import FILES, ROOT, SAMPLES, ask, clean, command, environment, shadow

STANDARD = ("collections/__init__", "copyreg", "codecs", "json/__init__", "struct", "zipfile", "hashlib", "resource",
            "tomllib/__init__", "zlib", "bisect", "tempfile", "pickle", "_pickle", "typing", "enum")  # fmt: skip
INSTALLED = ("numpy/core", "torch/_utils", "torch/storage", "safetensors/torch", "click/core", "rich/console",
             "pyseccomp")  # fmt: skip
STARTED = ("sitecustomize", "usercustomize")


def reports(*paths: object, **options: object) -> bytes:
    """The JSON report of the samples, or of `paths`, by the command."""
    done = command("scan", "--format", "json", *(paths or FILES), **options)  # type: ignore[arg-type]
    assert done.stderr == b""
    assert done.returncode == 1
    return done.stdout


@pytest.fixture(scope="module")
def honest() -> bytes:
    """The report in a good place."""
    return reports()


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """Where every module that lies in wait says that it was imported."""
    return tmp_path / "imported"


@pytest.fixture
def trap(tmp_path: Path, marker: Path) -> Path:
    """A folder full of modules that lie in wait, a safeload among them."""
    folder = tmp_path / "trap"
    folder.mkdir()
    shadow(folder, marker, *STANDARD, *INSTALLED, *STARTED, "safeload/cli", "encodings/utf_8")
    for package in ("numpy", "torch", "safetensors", "click", "rich", "safeload", "encodings"):
        shadow(folder, marker, f"{package}/__init__")
    return folder


def said(marker: Path) -> set[str]:
    return set(marker.read_text().split()) if marker.exists() else set()


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_the_current_folder_is_not_on_the_path_of_the_command(
    jobs: tuple[str, ...], trap: Path, marker: Path, honest: bytes
) -> None:
    assert reports(*jobs, *FILES, cwd=trap) == honest
    assert said(marker) == set()


def test_nor_of_a_conversion(trap: Path, marker: Path, tmp_path: Path) -> None:
    done = command("convert", SAMPLES / "benign" / "checkpoint.pt", tmp_path / "out.safetensors", cwd=trap)
    assert (done.returncode, said(marker)) == (0, set())


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
@pytest.mark.parametrize("flags", [(), ("-P",)])
def test_python_m_leaves_the_current_folder_before_it_imports_a_dependency(
    jobs: tuple[str, ...], flags: tuple[str, ...], tmp_path: Path, marker: Path, honest: bytes
) -> None:
    """What Python itself needs for `-m` it takes from the current folder unless -P forbids: out of our reach."""
    folder = tmp_path / "trap"
    folder.mkdir()
    names = (*INSTALLED, "numpy/__init__", "torch/__init__", "click/__init__", "rich/__init__", "json/__init__",
             "struct", "zipfile", "zlib", "bisect", "hashlib", "tempfile", "resource", "tomllib/__init__")  # fmt: skip
    shadow(folder, marker, *names, *(("collections/__init__", "copyreg") if flags else ()))
    line = [sys.executable, *flags, "-m", "safeload", "scan", "--format", "json", *jobs, *FILES]
    done = subprocess.run(line, cwd=folder, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, check=False)
    assert (done.stderr, done.stdout) == (b"", honest)
    assert said(marker) == set()


def test_python_m_where_the_current_folder_is_gone(tmp_path: Path) -> None:
    code = f"import os; os.mkdir('x'); os.chdir('x'); os.rmdir('../x'); os.execv({sys.executable!r}, {[sys.executable]}"
    code += f" + ['-m', 'safeload', 'scan', '-q', {str(SAMPLES / 'benign' / 'array.npy')!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment(PYTHONPATH=str(ROOT)),
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_shadows_on_pythonpath_change_no_verdict(
    jobs: tuple[str, ...], trap: Path, marker: Path, honest: bytes
) -> None:
    """Whoever writes PYTHONPATH runs code in every Python; but what safeload needs not is not imported from there."""
    for package in ("safeload", "click", "rich", "encodings"):
        for file in (trap / package).iterdir():
            file.unlink()
        (trap / package).rmdir()
    where = environment(PYTHONPATH=str(trap))
    assert reports(*jobs, *FILES, env=where) == honest
    # The trap works: Python took its own modules from it.
    assert {"sitecustomize", "collections", "json"} <= said(marker)
    assert not said(marker) & {"numpy", "torch", "torch._utils", "torch.storage", "safetensors", "numpy.core"}


def test_loads_beside_shadows(trap: Path, marker: Path, tmp_path: Path) -> None:
    for package in ("safeload", "encodings", "numpy", "torch", "safetensors"):
        for file in (trap / package).iterdir():
            file.unlink()
        (trap / package).rmdir()
    assert ask(tmp_path, env=environment(PYTHONPATH=str(trap)))["answers"] == clean()
    assert {"sitecustomize", "usercustomize", "collections", "copyreg", "struct"} & said(marker)


def test_registries_of_copyreg(tmp_path: Path, marker: Path) -> None:
    """Extension codes, reducers and the functions of copyreg itself, replaced before anything is scanned or loaded."""
    before = f"""
import collections, copyreg, sys
def fire(*args, **options):
    open({str(marker)!r}, "a").write("fired\\n")
    raise SystemExit("fired")
for code in range(1, 256):
    copyreg.add_extension("antigravity", f"name{{code}}", code)
    copyreg._extension_cache[code] = fire
for kind in (dict, list, tuple, set, str, int, collections.OrderedDict, bytes, complex):
    copyreg.dispatch_table[kind] = fire
copyreg._reconstructor = copyreg.__newobj__ = copyreg.__newobj_ex__ = fire
"""
    found = ask(tmp_path, before=before)
    assert found["answers"] == clean()
    assert said(marker) == set()
    assert "antigravity" not in found["modules"]


def test_classes_of_collections_that_were_replaced(tmp_path: Path, marker: Path) -> None:
    """The published attack replaces OrderedDict by what runs its argument. Ours are the classes themselves."""
    before = f"""
import collections
class Runs(collections.OrderedDict):
    def __init__(self, *args, **options):
        if args and isinstance(args[0], str):
            open({str(marker)!r}, "a").write("fired\\n")
        super().__init__(*() if args and isinstance(args[0], str) else args, **options)
    def items(self):
        return []
    def __iter__(self):
        return iter(())
collections.OrderedDict = Runs
"""
    found = ask(tmp_path, before=before)
    assert found["answers"] == clean()
    assert said(marker) == set()


def test_names_that_may_not_be_attributes_do_not_depend_on_this_python() -> None:
    assert frozenset(dir(OrderedDict)) <= collections_types._ORDERED_DICT
    assert frozenset(dir(Counter)) <= collections_types._COUNTER


UNKNOWN = ("lying_in_wait", "lying.in_wait", "torch.jit.unsupported_tensor_ops")
KNOWN = ("antigravity", "this", "xmlrpc.client", "turtle")


def names(*modules: str) -> bytes:
    """A pickle that names a class of each module, calls it, and sets the state of what that gave."""
    return b"\x80\x02](" + b"".join(b"c" + module.encode() + b"\nThing\n)R}b" for module in modules) + b"e."


def test_nothing_is_imported_because_a_file_names_it(tmp_path: Path, marker: Path) -> None:
    folder = tmp_path / "installed"
    folder.mkdir()
    shadow(folder, marker, "lying_in_wait", "lying/__init__", "lying/in_wait")
    unknown, known = tmp_path / "unknown.pkl", tmp_path / "known.pt"
    unknown.write_bytes(names(*UNKNOWN))
    known.write_bytes(names(*UNKNOWN, *KNOWN))
    installed = environment(PYTHONPATH=str(folder))
    found = ask(tmp_path, files=(str(unknown), str(known)), env=installed)
    first, second = found["answers"].values()
    assert (first["scan"]["verdict"], second["scan"]["verdict"]) == ("unvetted", "dangerous")
    refused = [first["load"], second["load"], second["record"], first["convert"], second["convert"]]
    assert [answer[0] for answer in refused] == ["UnsafeCheckpoint"] * 5
    # Records were made of what is only unknown: none of them is of the class.
    kind, items = first["record"]
    assert (kind, [item[0] for item in items]) == ("builtins.list", ["safeload.document.record.Record"] * len(UNKNOWN))
    assert not {*UNKNOWN, *KNOWN, "lying", "xmlrpc"} & set(found["modules"])
    assert said(marker) == set()
    for options in ((), ("--jobs", "2")):
        done = command("scan", *options, unknown, known, env=installed)
        assert (done.returncode, said(marker)) == (1, set())
    # The trap works: who imports it, says so.
    subprocess.run([sys.executable, "-c", "import lying.in_wait"], env=installed, check=True)
    assert said(marker) == {"lying", "lying.in_wait"}


def test_without_torch_numpy_and_safetensors(tmp_path: Path) -> None:
    """Scans are the same; what needs a library says which extra has it."""
    before = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "numpy", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""
    answers = ask(tmp_path, before=before)["answers"]
    assert {path: answer["scan"] for path, answer in answers.items()} == {
        path: answer["scan"] for path, answer in clean().items()
    }
    for path, answer in answers.items():
        if answer["scan"]["verdict"] == "clean":
            assert (answer["load"][0], answer["convert"][0]) == ("MissingExtra", "MissingExtra"), path
            assert "pip install '.[torch]'" in answer["load"][1]


def test_without_torch_conversions_are_the_same(tmp_path: Path) -> None:
    before = "import sys; sys.modules['torch'] = None"
    answers = ask(tmp_path, before=before)["answers"]
    for path, answer in answers.items():
        assert (answer["scan"], answer["convert"]) == (clean()[path]["scan"], clean()[path]["convert"])
