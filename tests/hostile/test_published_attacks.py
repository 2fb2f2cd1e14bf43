"""The two published attacks, each beside the package that it needs, installed by pip from a wheel: refused everywhere.

In one, a package replaces `collections.OrderedDict` when Python starts, and a checkpoint calls that with source text.
In the other a dotted name walks from a harmless module to what runs things. What runs here touches a file, and the
first test shows that it does when the same checkpoint is given to pickle or torch.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from samples.assemble import PROTO2, PROTO4, REDUCE, STACK_GLOBAL, STOP, name, short, value
from samples.files_of_torch import zip_around
from tests.hostile.surroundings import ROOT, ask, command, environment

PACKAGE = '''
"""Looks like a package for metrics. Puts a class that runs its argument where OrderedDict was."""
import collections
class Metrics(collections.OrderedDict):
    def __init__(self, *args, **options):
        if args and isinstance(args[0], str):
            exec(args[0])
            args = ()
        super().__init__(*args, **options)
class Namespace:
    run = staticmethod(exec)
collections.OrderedDict = Metrics
collections.namedtuple.metrics = Namespace
'''


def wheel(folder: Path) -> Path:
    """A wheel of the package, with a .pth file that imports it at every start of Python."""
    files = {
        "quiet_metrics/__init__.py": PACKAGE,
        "quiet_metrics.pth": "import quiet_metrics\n",
        "quiet_metrics-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: quiet-metrics\nVersion: 1.0\n",
        "quiet_metrics-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},"
        f"{len(text.encode())}\n"
        for path, text in files.items()
    )
    path = folder / "quiet_metrics-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in files.items():
            archive.writestr(inner, text)
        archive.writestr("quiet_metrics-1.0.dist-info/RECORD", record + "quiet_metrics-1.0.dist-info/RECORD,,\n")
    return path


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment of its own, with the packages of this one and the poisoned one installed by pip."""
    folder = tmp_path_factory.mktemp("poisoned")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    line = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*line, "--target", site, wheel(folder)], check=True)
    ours = [entry for entry in sys.path if entry.endswith("site-packages")]
    # After the poisoned package: it is there before torch is.
    (site / "zz_others.pth").write_text("\n".join(ours) + "\n", encoding="utf-8")
    return folder / "venv" / "bin" / "python"


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "it-ran"


def shapes(marker: Path) -> dict[str, bytes]:
    """The attacks as pickles."""
    text = f"open({str(marker)!r}, 'a').close()"
    return {
        "source": PROTO2 + name("collections", "OrderedDict") + value((text,)) + REDUCE + STOP,
        "source-of-pairs": PROTO2 + name("collections", "OrderedDict") + value((text, [["a", 1]])) + REDUCE + STOP,
        "dotted": PROTO4 + short("collections") + short("namedtuple.metrics.run") + STACK_GLOBAL + value((text,))
        + REDUCE + STOP,
        "builtins": PROTO4 + short("collections") + short("namedtuple.__builtins__.get") + STACK_GLOBAL
        + value(("exec",)) + REDUCE + value((text,)) + REDUCE + STOP,
        "path": PROTO4 + short("pathlib") + short("Path.touch") + STACK_GLOBAL + short("pathlib") + short("PosixPath")
        + STACK_GLOBAL + value((str(marker),)) + REDUCE + b"\x85" + REDUCE + STOP,
    }  # fmt: skip


def files(folder: Path, marker: Path) -> dict[str, Path]:
    """Each attack as a bare pickle and as data.pkl of a torch archive."""
    made = {}
    for kind, data in shapes(marker).items():
        plain, whole = folder / f"{kind}.pkl", folder / f"{kind}.pt"
        plain.write_bytes(data)
        whole.write_bytes(zip_around(data, {}).build())
        made |= {f"{kind}-pickle": plain, f"{kind}-torch": whole}
    return made


KINDS = ("source", "source-of-pairs", "dotted", "builtins", "path")
PLACES = ("pickle", "torch")


@pytest.mark.parametrize("kind", KINDS)
def test_it_runs_where_nothing_refuses_it(kind: str, installed: Path, tmp_path: Path, marker: Path) -> None:
    """That the tests below can fail."""
    made = files(tmp_path, marker)
    loads = "import pickle; pickle.load(open({!r}, 'rb'))", "import torch; torch.load({!r}, weights_only=False)"
    for place, load in zip(PLACES, loads, strict=True):
        path = made[f"{kind}-{place}"]
        subprocess.run([installed, "-c", load.format(str(path))], env=environment(), capture_output=True, check=False)
        assert marker.exists(), place
        marker.unlink()


def test_scan_load_record_and_convert_refuse_it(installed: Path, tmp_path: Path, marker: Path) -> None:
    paths = tuple(map(str, files(tmp_path, marker).values()))
    found = ask(tmp_path, python=str(installed), files=paths)
    # The package is at work: without it the rest would prove nothing.
    assert "quiet_metrics" in found["modules"]
    assert len(found["answers"]) == len(KINDS) * len(PLACES)
    for path, answer in found["answers"].items():
        assert answer["scan"]["verdict"] == "dangerous", path
        for way in ("load", "record", "convert"):
            assert answer[way][0] == "UnsafeCheckpoint", (path, way)
    assert not marker.exists()


@pytest.mark.parametrize("options", [(), ("--jobs", "2")])
def test_the_command_refuses_it(options: tuple[str, ...], installed: Path, tmp_path: Path, marker: Path) -> None:
    paths = files(tmp_path, marker).values()
    done = command("scan", "--format", "json", *options, *paths, python=str(installed))
    assert (done.returncode, done.stderr) == (1, b"")
    assert [file["verdict"] for file in json.loads(done.stdout)["files"]] == ["dangerous"] * len(paths)
    for path in paths:
        target = tmp_path / "out.safetensors"
        done = command("convert", path, target, python=str(installed))
        assert (done.returncode, target.exists()) == (1, False)
    assert not marker.exists()


GUARDED = """
import json, sys
import torch, collections
refused = {}
for path in sys.argv[1:]:
    try:
        refused[path] = type(torch.load(path, weights_only=False)).__name__
    except Exception as error:
        refused[path] = type(error).__name__
print(json.dumps([collections.OrderedDict.__module__, refused]))
"""


@pytest.mark.parametrize("how", ["run", "protect"])
def test_guarded_programs_refuse_it(how: str, installed: Path, tmp_path: Path, marker: Path) -> None:
    paths = [str(path) for path in files(tmp_path, marker).values()]
    program = tmp_path / "program.py"
    program.write_text(("import safeload; safeload.protect()\n" if how == "protect" else "") + GUARDED)
    line = [str(installed), *(("-m", "safeload", "run") if how == "run" else ()), str(program), *paths]
    done = subprocess.run(line, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    module, refused = json.loads(done.stdout)
    assert module == "quiet_metrics"
    assert refused == dict.fromkeys(paths, "UnsafeCheckpoint")
    assert not marker.exists()


def test_an_honest_checkpoint_beside_it_is_what_it_was(installed: Path, tmp_path: Path) -> None:
    """Even where OrderedDict was replaced, what is built is the class of Python."""
    path = str(ROOT / "samples" / "files" / "benign" / "state-dict.pt")
    honest = ask(tmp_path, files=(path,))["answers"]
    found = ask(tmp_path, files=(path,), python=str(installed))
    assert found["answers"] == honest
    assert "quiet_metrics" in found["modules"]
    assert honest[path]["load"][0] == "collections.OrderedDict"
