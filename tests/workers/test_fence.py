"""What a worker can still do once its fence is closed, tried by one that was told to; and what it may answer."""

from __future__ import annotations

import ast
import json
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from ctypes.util import find_library
from importlib.util import find_spec
from pathlib import Path

import pytest

from safeload.findings import Verdict
from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.workers import Settings, fence, scan_here
from safeload.workers.pool import Workers, probe
from safeload.workers.wire import read_fence

SETTINGS = Settings(Policy.default(), None, Limits())

linux = pytest.mark.skipif(sys.platform != "linux", reason="what is tried are Linux's system calls")
fenced = pytest.mark.skipif(
    sys.platform != "linux" or find_spec("pyseccomp") is None or find_library("seccomp") is None,
    reason="needs Linux, the extra sandbox and libseccomp",
)

Try = Callable[..., dict[str, str]]


@pytest.fixture
def attempt(root: Path, tmp_path: Path) -> Try:
    """Has one fenced_worker.py try each of some acts; what it said of each, by name."""
    folder = tmp_path / "tried"
    folder.mkdir()
    (folder / "there").write_bytes(b"here")
    (folder / "gone").write_bytes(b"")

    def tried(kind: str, *acts: str) -> dict[str, str]:
        script = str(Path(__file__).with_name("fenced_worker.py"))
        with Workers(SETTINGS, command=(sys.executable, script, str(root), kind)) as workers:
            targets = [Target(f"{folder}/{act}", explicit=True) for act in acts]
            reports = list(workers.run(targets))
        assert workers.fence is not None
        assert workers.fence.calls is (kind == "whole")
        return {act: report.reason or report.findings[0].message for act, report in zip(acts, reports, strict=True)}

    return tried


CHANGES = ("write", "append", "truncate", "unlink", "rename", "mkdir", "link", "symlink", "symlinkat", "openat2",
           "chmod", "utime", "xattr", "fifo", "itself", "memfd", "big")  # fmt: skip
REACHES = ("tcp", "udp", "unix", "pair", "ring")
STARTS = ("fork", "spawn", "exec", "program", "kill")


@fenced
def test_a_whole_fence_refuses_all_but_reading(attempt: Try, tmp_path: Path) -> None:
    before = (tmp_path / "tried" / "there").stat()
    found = attempt("whole", *CHANGES, *REACHES, *STARTS, "thread", "terminal", "many", "read", "list", "import")
    assert {act: found[act] for act in (*CHANGES, *REACHES, *STARTS)} == dict.fromkeys(
        (*CHANGES, *REACHES, *STARTS), "PermissionError"
    )
    assert found["thread"] == "RuntimeError"
    assert (found["terminal"], found["many"]) == ("PermissionError", "OSError")
    assert (found["read"], found["list"], found["import"]) == ("done", "done", "done")
    # What could have been changed is as it was.
    folder = tmp_path / "tried"
    assert sorted(os.listdir(folder)) == ["gone", "there"]
    assert (folder / "there").read_bytes() == b"here"
    after = (folder / "there").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)


@fenced
def test_every_thread_is_inside(attempt: Try) -> None:
    """Two of them, the one that judges and the one that listens: no new privileges, calls filtered."""
    assert json.loads(attempt("whole", "filters")["filters"]) == ["1", "2"] * 2


@linux
def test_without_the_library_the_same_worker_can(attempt: Try, tmp_path: Path) -> None:
    """That the test above can fail: each act works where nothing refuses it. The bounds hold all the same."""
    found = attempt("bounds", "write", "append", "chmod", "unlink", "tcp", "udp", "pair", "many", "big")
    assert {act for act, said in found.items() if said == "done"} == {
        "write", "append", "chmod", "unlink", "tcp", "udp", "pair",
    }  # fmt: skip
    assert (found["many"], found["big"]) == ("OSError", "OSError")
    assert sorted(os.listdir(tmp_path / "tried")) == ["new", "there"]
    assert (tmp_path / "tried" / "new").stat().st_size == fence.LAST_WORDS


@linux
def test_the_bounds_are_those_of_the_system(attempt: Try) -> None:
    found = json.loads(attempt("bounds", "limits")["limits"])
    assert found["RLIMIT_NOFILE"] == [64, 64]
    assert found["RLIMIT_FSIZE"] == [1 << 20, 1 << 20]
    assert found["RLIMIT_NPROC"] == [0, 0]
    assert found["RLIMIT_CORE"] == [0, 0]
    assert found["RLIMIT_AS"][0] == 2 << 30
    # 300 seconds for a file, ten of grace, and what starting took.
    assert 311 <= found["RLIMIT_CPU"][0] <= 320


@linux
def test_a_worker_inherits_nothing_that_its_parent_has_open(attempt: Try, tmp_path: Path) -> None:
    with open(tmp_path / "secret", "wb") as secret:
        os.set_inheritable(secret.fileno(), True)
        found = json.loads(attempt("bounds", "descriptors")["descriptors"])
    assert not any("secret" in name for name in found)
    assert {name.partition(":")[0] for name in found} <= {"pipe", "/dev/null", *(n for n in found if "deleted" in n)}


@linux
def test_processor_time_ends(root: Path) -> None:
    """The kernel ends a worker that its parent cannot: one that never comes back from C."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\nfrom safeload.workers import fence\nfence.GRACE = 0\n"
        "fence.bound_file(1 << 33, 0.5, __file__ if '__file__' in globals() else sys.argv[1])\nwhile True: pass"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], check=False, timeout=300)
    assert done.returncode == -signal.SIGXCPU


@linux
def test_probing_tells_what_holds() -> None:
    found = probe(SETTINGS)
    assert {"cpu", "descriptors", "dumps", "files", "memory"} <= set(found.bounds)
    assert ("processes" in found.bounds) == (os.geteuid() != 0)
    assert found.calls is (found.reason == "")
    assert found.calls is (find_spec("pyseccomp") is not None) or "libseccomp" in found.reason


def test_the_library_is_found_before_processes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for it starts one, which the system refuses to all but the superuser once they are bounded."""
    done = []
    monkeypatch.setattr(fence, "_refuse_calls", lambda: done.append("calls") or "")
    monkeypatch.setattr(fence, "_bound", lambda: done.append("bounds") or ())
    assert fence.close() == fence.Fence((), True, "")
    assert done == ["calls", "bounds"]


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "64-bit Linux only" in fence._refuse_calls()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    assert "pip install '.[sandbox]'" in fence._refuse_calls()

    class Refusing:
        def __getattr__(self, name: str) -> object:
            raise OSError(22, "Invalid argument")

    monkeypatch.setitem(sys.modules, "pyseccomp", Refusing())  # type: ignore[arg-type]
    assert "the kernel takes no filter" in fence._refuse_calls()


def test_a_worker_s_word_for_its_fence_is_read_with_distrust() -> None:
    assert read_fence({"bounds": ["cpu"], "calls": False, "reason": "r"}) == fence.Fence(("cpu",), False, "r")
    whole = {"bounds": ["cpu"], "calls": True, "reason": ""}
    for change in ({"calls": 1}, {"bounds": "cpu"}, {"bounds": [1]}, {"reason": None}):
        with pytest.raises((LookupError, TypeError)):
            read_fence({**whole, **change})
    with pytest.raises(LookupError):
        read_fence({})


def test_a_fenced_worker_judges_every_container_as_this_process_does(root: Path) -> None:
    """Lazy imports, compressed members, nested archives: nothing that judging takes is refused."""
    files = sorted(p for p in (root / "samples" / "files").rglob("*") if p.is_file())
    targets = [Target(str(path), explicit=True) for path in files]
    assert len(targets) > 50
    here = list(scan_here(targets, SETTINGS))
    with Workers(SETTINGS, jobs=2) as workers:
        there = list(workers.run(targets))
    assert there == here


def test_answers_cross_as_ascii_json_alone(tmp_path: Path) -> None:
    """What a real worker writes, byte for byte: a line of JSON for its settings, and one for each file."""
    (tmp_path / "a.pkl").write_bytes(b"\x80\x02cnope\nnope\n)R.")
    setup = {"policy": None, "limits": SETTINGS.limits._asdict(), "memory": 1 << 31, "seconds": 60}
    request = {"path": str(tmp_path / "a.pkl"), "explicit": True, "root": None}
    command = Workers(SETTINGS).command
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        answers = []
        for line in (setup, request):
            process.stdin.write(json.dumps(line).encode() + b"\n")
            process.stdin.flush()
            answers.append(process.stdout.readline())
        process.stdin.close()
        assert process.stdout.read() == b""
    ready, report = (json.loads(line.decode("ascii")) for line in answers)
    assert ready.keys() == {"ready", "fence"}
    assert report.keys() == {"report"}
    assert report["report"]["verdict"] == "unvetted"


def test_no_file_of_workers_can_read_anything_but_json(root: Path) -> None:
    banned = {
        "pickle",
        "_pickle",
        "marshal",
        "shelve",
        "multiprocessing",
        "concurrent",
        "dill",
        "cloudpickle",
        "ctypes",
    }
    for path in sorted((root / "safeload" / "workers").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & banned, path.name


class Payload:
    def __init__(self, marker: str) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.marker, "w")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("ready", [True, False])
def test_a_worker_that_answers_a_pickle_is_not_believed(protocol: int, ready: bool, tmp_path: Path) -> None:
    answer = pickle.dumps(Payload(str(tmp_path / "ran")), protocol)
    pickle.loads(answer).close()
    assert (tmp_path / "ran").exists(), "the payload is none"
    (tmp_path / "ran").unlink()
    first = json.dumps({"ready": SETTINGS.policy.digest, "fence": {"bounds": [], "calls": False, "reason": ""}})
    lines = ([first.encode()] if ready else []) + [answer]
    code = (
        f"import sys\nfor line in {lines!r}:\n"
        "    sys.stdin.readline(); sys.stdout.buffer.write(line + b'\\n'); sys.stdout.flush()"
    )
    with Workers(SETTINGS, command=(sys.executable, "-c", code)) as workers:
        (report,) = workers.run([Target("a", explicit=True)])
    assert report.verdict == Verdict.UNJUDGED
    assert [finding.rule for finding in report.findings] == ["crashed"]
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("options", "believed"), [((), True), (("-E",), False), (("-I",), False), (("-S",), True), (("-s",), True)]
)
def test_a_worker_believes_no_more_than_its_parent(
    options: tuple[str, ...], believed: bool, root: Path, tmp_path: Path
) -> None:
    """`python -I` ignores PYTHONPATH, and so do the workers it starts."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "bisect.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
        "from _bisect import *\nbisect, insort = bisect_right, insort_right\n"
    )
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04N.")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\nimport bisect, os\n"
        "if os.path.exists(sys.argv[3]): os.unlink(sys.argv[3])\n"
        "from safeload.workers import *; from safeload.workers.pool import Workers\n"
        "from safeload.policy import Policy; from safeload.limits import Limits\n"
        "from safeload.inputs.walk import Target\n"
        "with Workers(Settings(Policy.default(), None, Limits())) as workers:\n"
        "    print(*[report.verdict for report in workers.run([Target(sys.argv[2], True)])])"
    )
    done = subprocess.run(
        [sys.executable, *options, "-c", code, str(root), str(tmp_path / "a.pkl"), str(tmp_path / "ran")],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "path")}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("clean\n", "")
    assert (tmp_path / "ran").exists() is believed
