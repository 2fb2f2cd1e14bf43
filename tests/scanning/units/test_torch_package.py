"""An unpacked torch.package, against torch.package itself."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from safeload.inputs.walk import walk
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan
from safeload.scanning.units import unit_reports
from safeload.scanning.units.shadowing import module_of

package = pytest.importorskip("torch.package")

# A module that everybody knows, and a pickle that names nothing else.
SOURCE = "MARKER.touch()\nclass OrderedDict(dict): pass\n"
PICKLE = b"ccollections\nOrderedDict\n(tR."


def unpacked(tmp_path: Path, source: str) -> Path:
    """A package whose own `collections` runs `source`, unpacked."""
    with package.PackageExporter(str(tmp_path / "m.pt")) as exporter:
        exporter.save_source_string("collections", source, dependencies=False)
        exporter.save_binary("model", "model.pkl", PICKLE)
    with zipfile.ZipFile(tmp_path / "m.pt") as archive:
        archive.extractall(tmp_path)
    return tmp_path / "m"


def test_the_loader_runs_what_is_told(tmp_path: Path) -> None:
    from safeload.inputs import open_source

    marker = tmp_path / "MARKER"
    folder = unpacked(tmp_path, f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n{SOURCE.split(chr(10), 1)[1]}")
    (folder / ".data" / "extern_modules").write_text("pathlib\n")
    assert scan(folder / "model" / "model.pkl").verdict == "clean", "the pickle alone says nothing"
    files = [target.path for target in walk([str(folder)])]
    (report,) = unit_reports(files, Policy.default(), Limits(), opened=open_source, roots=[str(folder)])
    assert (report.path, report.verdict) == (str(folder), "dangerous")
    assert [(f.rule, f.member, f.name) for f in report.findings] == [
        ("package-shadows", "collections.py", "collections"),
        ("folder-code", "collections.py", None),
    ]
    package.PackageImporter(str(folder)).load_pickle("model", "model.pkl")
    assert marker.exists()


def test_the_loader_needs_the_mark(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "x = 1")
    (folder / ".data" / "extern_modules").unlink()
    with pytest.raises(FileNotFoundError):
        package.PackageImporter(str(folder))


def test_what_the_loader_takes_for_modules(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "x = 1")
    (folder / ".data" / "deep").mkdir()
    (folder / ".data" / "deep" / "no.py").write_text("raise ValueError")
    (folder / "mine").mkdir()
    (folder / "mine" / "__init__.py").write_text("y = 2")
    (folder / "mine" / "part.py").write_text("z = 3")
    importer = package.PackageImporter(str(folder))
    assert (importer.import_module("mine").y, importer.import_module("mine.part").z) == (2, 3)
    assert (module_of("mine/__init__.py"), module_of("mine/part.py")) == ("mine", "mine.part")
    assert ".data" not in importer.root.children


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["mine.py", "mine/sub.py", "test/x.py"], []),
        (["torch/_utils.py"], ["torch._utils"]),
        (["numpy/__init__.py"], ["numpy"]),
        (["collections/abc.py", "a/collections.py"], ["collections.abc"]),
        (["imp.py"], ["imp"]),
        (["torch.txt", "torch.pyc"], []),
    ],
)
def test_which_modules_stand_in_for_others(
    judged: Callable[..., Report], names: list[str], expected: list[str]
) -> None:
    files: dict[str, str | bytes] = dict.fromkeys(names, "")
    report = judged({".data/extern_modules": "torch\ncollections\nnumpy\n", **files}, "torch-package")
    assert [finding.name for finding in report.findings if finding.rule == "package-shadows"] == expected
