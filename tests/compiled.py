"""Runs the tests of the compiled modules over an installed wheel: what is shipped is what is tested.

    python tests/compiled.py                     over the safeload that this Python has installed
    python tests/compiled.py --site FOLDER       over the wheel that was unpacked into FOLDER
    python tests/compiled.py --without-torch     only the tests that need no torch

The wheel's files and the tests are copied into one new folder, where the checkout's modules cannot be imported instead.
Ends with the status of pytest, and with 1 where the machine that was imported is not compiled.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COPIED = ("tests", "rules", "samples", "docs")

WITHOUT_TORCH = ("tests/machine", "tests/inputs", "tests/containers", "tests/document")

WITH_TORCH = (
    *WITHOUT_TORCH,
    "tests/vetted",
    "tests/tree",
    "tests/test_release.py",
    *(
        f"tests/converting/test_{name}.py"
        for name in ("foreign_outputs", "odd_sources", "names", "plain_state", "portions", "ties", "verification")
    ),
)

COMPILED = """
import pathlib, sys
import safeload.machine.interpreter as machine
here = pathlib.Path(machine.__file__).resolve()
if here.suffix not in (".so", ".pyd") or pathlib.Path.cwd().resolve() not in here.parents:
    sys.exit(f"the machine that was imported is not that of a compiled wheel: {here}")
"""


def run(site: Path, folder: Path, tests: tuple[str, ...]) -> int:
    """The status of the tests over the safeload of `site`, run in `folder`."""
    for path in sorted(site.glob("safeload*")):
        if path.is_dir():
            shutil.copytree(path, folder / path.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(path, folder)
    for name in COPIED:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy2(ROOT / "pyproject.toml", folder)
    workers = ["-n", "auto", "--maxprocesses", "8"] if find_spec("xdist") else []
    for command in (["-c", COMPILED], ["-m", "pytest", "-p", "no:cacheprovider", *workers, *tests]):
        done = subprocess.run([sys.executable, *command], cwd=folder, check=False)
        if done.returncode:
            return done.returncode
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the tests of the compiled modules over an installed wheel.")
    parser.add_argument("--site", type=Path, default=Path(sysconfig.get_path("platlib")), metavar="FOLDER")
    parser.add_argument("--without-torch", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="safeload-compiled-") as folder:
        return run(chosen.site.resolve(), Path(folder), WITHOUT_TORCH if chosen.without_torch else WITH_TORCH)


if __name__ == "__main__":
    sys.exit(main())
