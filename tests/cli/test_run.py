"""`safeload run`: real programs in real processes. Each prints what it saw; a payload would leave a file behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch

from safeload.errors import SafeloadError
from safeload.integrations import program as program_settings
from safeload.integrations.program import STARTUP, VARIABLE, environment

TRY = """
def attempt(path, **options):
    import torch
    try:
        loaded = torch.load(path, **options)
    except Exception as error:
        return type(error).__name__
    return type(loaded).__name__
"""


class Payload:
    """Makes a file when a real unpickler builds it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    torch.save(Payload(tmp_path / "ran"), tmp_path / "bad.pt")
    return tmp_path / "bad.pt"


def program(folder: Path, text: str, name: str = "program.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def run(*arguments: object, root: Path, **options: Any) -> subprocess.CompletedProcess[str]:
    given = options.pop("env", None) or dict(os.environ)
    paths = [str(root), *filter(None, [given.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "safeload", "run", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**given, "PYTHONPATH": os.pathsep.join(paths)},
        **options,
    )


def test_a_script_is_python_itself(root: Path, tmp_path: Path) -> None:
    path = program(
        tmp_path,
        """
        import sys
        print(sys.argv, __name__, sys.path[0], "torch" in sys.modules, "safeload" in sys.modules)
        print([entry for entry in sys.path if entry.endswith("startup")])
        print(input())
        def fail():
            raise KeyError("seen")
        if sys.argv[1:] == ["fail"]:
            fail()
        sys.exit(7)
        """,
    )
    done = run(path, "--unvetted", "x", "--", "-m", root=root, input="typed\n")
    expected = [str(path), "--unvetted", "x", "--", "-m"]
    assert done.stdout == f"{expected} __main__ {tmp_path} False False\n[]\ntyped\n"
    assert (done.returncode, done.stderr) == (7, "")
    done = run(path, "fail", root=root, input="x\n")
    plain = subprocess.run(
        [sys.executable, path, "fail"], input="x\n", capture_output=True, text=True, check=False
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (plain.returncode, plain.stderr)


def test_modules_missing_files_and_python_options(root: Path, tmp_path: Path) -> None:
    program(tmp_path, "import sys\nprint(__name__, sys.argv[1:])", "my_module.py")
    done = run("-m", "my_module", "--flag", "-m", root=root, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "__main__ ['--flag', '-m']\n")
    assert run("-m", "no_such_module", root=root).returncode == 1
    missing = run("no_such_file.py", root=root, cwd=tmp_path)
    assert missing.returncode == 2
    assert "can't open file" in missing.stderr
    for option in ("-I", "-S", "-c"):
        done = run("--", option, "print(1)", root=root, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
    assert run(root=root).returncode == 2
    assert run("--unvetted", "allow", "x.py", root=root).returncode == 2
    done = run("--policy", tmp_path / "none.toml", "x.py", root=root)
    assert done.returncode == 2
    assert "none.toml" in done.stderr


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_signal_ends_it_as_it_ends_python(root: Path, tmp_path: Path) -> None:
    path = program(tmp_path, "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)")
    assert run(path, root=root).returncode == -signal.SIGTERM


def test_loads_are_guarded_in_the_program_and_its_children(root: Path, tmp_path: Path, bad: Path) -> None:
    path = program(
        tmp_path,
        TRY
        + """
def main(path):
    import multiprocessing, os, subprocess, sys
    from torch import load
    import torch, torch.serialization
    print("here", attempt(path), attempt(path, weights_only=False))
    for other in (load, torch.serialization.load):
        try:
            other(path, weights_only=False)
        except Exception as error:
            print("name", type(error).__name__)
    import safeload
    with safeload.protect(unvetted="record"):
        kept = torch.load
    try:
        kept(path, weights_only=False)
    except Exception as error:
        print("kept", type(error).__name__)
    for method in ("spawn", "forkserver"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            print(method, pool.apply(attempt, (path,), {"weights_only": False}))
    code = "import sys; sys.path.insert(0, sys.argv[2])\\nfrom program import attempt\\nprint(attempt(sys.argv[1]))"
    print(subprocess.check_output([sys.executable, "-c", code, path, os.path.dirname(__file__)], text=True).strip())
    torch.save({"x": torch.ones(2)}, path + ".good")
    print("good", torch.load(path + ".good")["x"].tolist())
if __name__ == "__main__":
    import sys
    main(sys.argv[1])
""",
    )
    env = {**os.environ, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}
    done = run(path, bad, root=root, env=env)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "here UnsafeCheckpoint UnsafeCheckpoint",
        "name UnsafeCheckpoint",
        "name UnsafeCheckpoint",
        "kept UnsafeCheckpoint",
        "spawn UnsafeCheckpoint",
        "forkserver UnsafeCheckpoint",
        "UnsafeCheckpoint",
        "good [1.0, 1.0]",
    ]
    assert not (tmp_path / "ran").exists()


def test_options_reach_the_program(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    program(tmp_path, "class Net:\n    def __init__(self):\n        self.size = 3\n", "my_models.py")
    path = program(tmp_path, TRY + "\nimport os, sys\nos.chdir('elsewhere')\nprint(attempt('../net.pt'))")
    save = "import my_models, torch; torch.save(my_models.Net(), 'net.pt')"
    subprocess.run([sys.executable, "-c", save], cwd=tmp_path, check=True)
    assert run(path, root=root, cwd=tmp_path).stdout == "UnsafeCheckpoint\n"
    assert run("--unvetted", "record", path, root=root, cwd=tmp_path).stdout == "Record\n"
    assert run("--trust", "my_models.Net", path, root=root, cwd=tmp_path).stdout == "Net\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "UnsafeCheckpoint"),
        ("0", "UsageError"),
        ('{"unvetted": "allow"}', "UsageError"),
    ],
)
def test_the_variable_cannot_switch_it_off(root: Path, bad: Path, value: str | None, expected: str) -> None:
    env = environment("refuse", (), None)
    env["PYTHONPATH"] += os.pathsep + str(root)
    if value is None:
        del env[VARIABLE]
    else:
        env[VARIABLE] = value
    code = TRY + "import sys, os\nos.environ.pop('SAFELOAD_RUN', None)\nprint(attempt(sys.argv[1], weights_only=False))"
    done = subprocess.run([sys.executable, "-c", code, bad], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == (f"{expected}\n", "")
    assert not (bad.parent / "ran").exists()


@pytest.mark.parametrize(
    "value",
    ["", "off", "[]", "null", '{"enabled": false}', '{"trust": ["pathlib.Path.touch"]}', '{"policy": "x"}', "[" * 9999],
)  # fmt: skip
def test_settings_that_mean_nothing_are_errors(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program_settings, "_begun", [])
    before = torch.load
    with pytest.raises(SafeloadError):
        program_settings.guarded(value)
    assert torch.load is before


def test_where_safeload_is_missing_loads_fail(tmp_path: Path, bad: Path) -> None:
    env = environment("refuse", (), None)
    code = TRY + "import sys\nsys.modules['safeload'] = None\nprint(attempt(sys.argv[1], weights_only=False))"
    done = subprocess.run([sys.executable, "-c", code, bad], env=env, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("ImportError\n", "")
    assert not (tmp_path / "ran").exists()


def test_a_python_that_cannot_be_guarded_runs_nothing(tmp_path: Path, root: Path) -> None:
    """No safeload where the program would run: the command says so, and the program does not start."""
    path = program(tmp_path, "print('started')")
    code = f"import sys; sys.path.insert(0, {str(root)!r}); sys.argv = ['safeload', 'run', {str(path)!r}]\n"
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    code += "import subprocess, types\nfrom safeload.cli import main\n"
    code += "subprocess.run = lambda *a, **k: types.SimpleNamespace(returncode=1, stderr='not run')\nmain()\n"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "cannot run a guarded program: not run" in done.stderr


def test_another_sitecustomize_runs_too(root: Path, tmp_path: Path) -> None:
    program(tmp_path, "import sys\nsys.customized = __file__\nsys.path.append('/added')", "sitecustomize.py")
    path = program(
        tmp_path,
        """
        import sys, sitecustomize
        print(sys.customized == sitecustomize.__file__, "/added" in sys.path)
        print([type(finder).__name__ for finder in sys.meta_path].count("TorchHook"))
        """,
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert run(path, root=root, env=env).stdout == "True True\n1\n"


def test_the_hook_is_not_seen_in_torch(root: Path, tmp_path: Path) -> None:
    path = program(
        tmp_path,
        """
        import importlib.util, inspect, sys
        assert importlib.util.find_spec("torch") is not None and "torch" not in sys.modules
        assert importlib.util.find_spec("torch").loader.is_package("torch")
        import torch
        print(type(torch.__loader__).__name__, type(torch.__spec__.loader).__name__, "safeload" in sys.modules)
        print(inspect.signature(torch.load) == inspect.signature(torch.load.__wrapped__))
        print(len(inspect.getsource(torch)) > 0)
        """,
    )
    assert run(path, root=root).stdout == "SourceFileLoader SourceFileLoader False\nTrue\nTrue\n"


def test_safeload_may_be_what_imports_torch(root: Path, tmp_path: Path, bad: Path) -> None:
    for first in (
        "import safeload.integrations.torch_load",
        "import safeload; safeload.protect()",
        "import safeload.loading",
    ):
        path = program(tmp_path, TRY + f"\nimport sys\n{first}\nprint(attempt(sys.argv[1], weights_only=False))")
        done = run(path, bad, root=root)
        assert (done.stdout, done.stderr) == ("UnsafeCheckpoint\n", "")


def test_the_startup_file_needs_only_the_standard_library() -> None:
    code = (
        "import sys, json\n"
        "before = set(sys.modules)\n"
        "import sitecustomize\n"
        "print(json.dumps([n for n in sys.modules if n.split('.')[0] in ('safeload', 'torch', 'click')]))"
    )
    env = {**os.environ, "PYTHONPATH": str(STARTUP)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
