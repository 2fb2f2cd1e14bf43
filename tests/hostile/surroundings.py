"""Places that are bad to run in, and the same question asked in each of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
SAMPLES = ROOT / "samples" / "files"

FILES = tuple(
    str(SAMPLES / name)
    for name in (
        "benign/checkpoint.pt",
        "benign/protocol-4.pt",
        "benign/tied-weights.pt",
        "benign/random-state.pt",
        "benign/plain-types.pkl",
        "benign/legacy.pt",
        "benign/arguments.pt",
        "benign/small-values.pt",
        "benign/enum-member.pkl",
        "benign/weights.safetensors",
        "names/ordered-dict-of-source.pkl",
        "names/payload-in-data-pkl.pt",
        "names/unknown-class.pkl",
        "opcodes/dotted-name.pkl",
        "opcodes/extension-code.pkl",
        "bytes/truncated.pt",
        "bytes/same-name-thrice.pt",
    )
)
"""Files of every verdict and most containers; what is said of them must not depend on the place."""

# Looks for the module that it stands before, further down the path, and becomes it.
SHADOW = """
import os, sys
open({marker!r}, "a").write(__name__ + "\\n")
_here = os.path.dirname(os.path.dirname(__file__) if os.path.basename(__file__) == "__init__.py" else __file__)
from importlib.machinery import PathFinder
_spec = PathFinder.find_spec(__name__, [p for p in sys.path if os.path.realpath(p or ".") != os.path.realpath(_here)])
if _spec is not None:
    from importlib.util import module_from_spec
    _module = sys.modules[__name__] = module_from_spec(_spec)
    # As the import system marks it, or another thread would see half of it.
    _spec._initializing = True
    _spec.loader.exec_module(_module)
    _spec._initializing = False
    # For a thread that got hold of this module before it became the other.
    globals().update((name, value) for name, value in vars(_module).items() if not name.startswith("__"))
"""


def site() -> list[str]:
    """Where this interpreter's packages are, for a child that was started without them."""
    return [entry for entry in sys.path if entry.endswith("site-packages")] + [sysconfig.get_path("purelib")]


def environment(**changes: str | None) -> dict[str, str]:
    """This environment with some variables set, and without those that are None or would make it a bad place."""
    made = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LC_", "LANG"))}
    for name, value in changes.items():
        made.pop(name, None)
        if value is not None:
            made[name] = value
    return made


def ask(
    folder: Path, *, files: tuple[str, ...] = FILES, before: str = "", flags: tuple[str, ...] = (), **options: Any
) -> dict[str, Any]:
    """What child.py answers, started with `flags` and the options of `subprocess.run`; `folder` is its to write in.

    `python` is another interpreter than this one.
    """
    setup = {"root": str(ROOT), "site": site(), "files": files, "out": str(folder / "out.json"),
             "folder": str(folder), "before": before}  # fmt: skip
    (folder / "setup.json").write_text(json.dumps(setup), encoding="ascii")
    python = options.pop("python", sys.executable)
    command = [python, *flags, str(ROOT / "tests" / "hostile" / "child.py"), str(folder / "setup.json")]
    options = {"env": environment(), "stderr": subprocess.PIPE, **options}
    done = subprocess.run(command, check=False, timeout=300, **options)
    assert done.returncode == 0, (done.stderr or b"").decode()
    found: dict[str, Any] = json.loads((folder / "out.json").read_text(encoding="ascii"))
    return found


@cache
def clean() -> dict[str, Any]:
    """What child.py answers in a good place: the measure of all others."""
    with TemporaryDirectory() as folder:
        answers: dict[str, Any] = ask(Path(folder))["answers"]
    verdicts = [answer["scan"]["verdict"] for answer in answers.values()]
    assert {"clean", "unvetted", "dangerous", "unjudged"} == set(verdicts)
    loaded = [answer["load"] for answer in answers.values() if answer["scan"]["verdict"] == "clean"]
    assert len(loaded) >= 9
    assert not any(isinstance(value, list) and value[0] == "UnsafeCheckpoint" for value in loaded)
    return answers


def command(*arguments: object, flags: tuple[str, ...] = (), **options: Any) -> subprocess.CompletedProcess[bytes]:
    """`safeload ARGUMENTS` as its console script runs it: the folder first on the module path is the script's own."""
    script = "import sys; sys.path[0] = sys.argv.pop(1); from safeload.cli import main; main()"
    options = {"env": environment(), "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    python = options.pop("python", sys.executable)
    line = [python, *flags, "-c", script, str(ROOT), *map(os.fspath, map(_text, arguments))]
    return subprocess.run(line, check=False, timeout=300, **options)


def _text(argument: object) -> Any:
    return argument if isinstance(argument, bytes | str | os.PathLike) else str(argument)


def shadow(folder: Path, marker: Path, *names: str) -> None:
    """Modules of these names that say so in `marker` when they are imported; "torch/_utils" makes a package too."""
    for name in names:
        path = folder / f"{name}.py"
        if "/" in name:
            path.parent.mkdir(exist_ok=True, parents=True)
            (path.parent / "__init__.py").touch()
        path.write_text(SHADOW.format(marker=str(marker)), encoding="utf-8")
