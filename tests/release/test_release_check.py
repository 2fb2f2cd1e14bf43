"""`make release-check` says no where something is wrong. That it says yes takes minutes, and `make release-check`."""

from __future__ import annotations

import importlib.util
import os
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest

from safeload.report import VERSION


@pytest.fixture(scope="module")
def script(root: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_check", root / ".ci/release_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_last_line_says_what_failed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def build(out: Path) -> tuple[Path, Path]:
        raise script.Failed("the wheel is not compiled")

    monkeypatch.setattr(script, "build", build)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    assert script.main() == 1
    assert capsys.readouterr().out.splitlines()[-1] == "release-check: FAILED: the wheel is not compiled"
    assert not (tmp_path / "dist").exists(), "nothing is left that did not pass"


def test_what_a_command_prints_is_shown_when_it_fails(
    script: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(script.Failed, match="ended with 3"):
        script.run([sys.executable, "-c", "import sys; print('why'); sys.exit(3)"], cwd=tmp_path)
    assert "why" in capsys.readouterr().err
    assert script.run([sys.executable, "-c", "import sys; sys.exit(3)"], cwd=tmp_path, status=3) == ""


def test_nothing_of_the_caller_reaches_in(script: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SAFELOAD_PURE", "1")
    names = script.run([sys.executable, "-c", "import os; print(*os.environ)"], cwd=tmp_path).split()
    assert not {"PYTHONPATH", "SAFELOAD_PURE"} & set(names)
    assert "PIP_CONSTRAINT" in names


def test_one_file_of_each_kind_is_built(script: ModuleType, tmp_path: Path) -> None:
    assert script.only([tmp_path], "wheel") == tmp_path
    for found in ([], [tmp_path, tmp_path]):
        with pytest.raises(script.Failed, match=f"made {len(found)} files that are a wheel"):
            script.only(found, "wheel")


def test_metadata_that_cannot_be_shown_are_refused(script: ModuleType, tmp_path: Path) -> None:
    pytest.importorskip("twine")
    path = tmp_path / f"safeload-{VERSION}.tar.gz"
    (tmp_path / "PKG-INFO").write_text(
        f"Metadata-Version: 2.1\nName: safeload\nVersion: {VERSION}\n"
        "Description-Content-Type: text/x-rst\n\n`unclosed\n==\n"
    )
    with tarfile.open(path, "w:gz") as archive:
        archive.add(tmp_path / "PKG-INFO", f"safeload-{VERSION}/PKG-INFO")
    with pytest.raises(script.Failed, match=r"twine check .*ended with 1"):
        script.metadata(path, path)


@pytest.mark.parametrize(
    ("version", "machine", "says"),
    [
        ("9.9.9", "plain Python", "--version` says"),
        (VERSION, "of another kind", "says of the machine"),
        (VERSION, "plain Python", "the environment is not empty: torch is there"),
    ],
)
def test_an_environment_that_is_not_what_it_should_be(
    script: ModuleType, version: str, machine: str, says: str
) -> None:
    programs = Path(sys.executable).parent
    if not (programs / ("safeload.exe" if os.name == "nt" else "safeload")).exists():
        pytest.skip("the command is not installed beside this Python")
    pytest.importorskip("torch")
    with pytest.raises(script.Failed, match=says):
        script.demo(programs, version, machine)
