"""The state a process is born with: locale, flags, seeds, processors, streams, folders. None of it is in an answer.

For Linux, where all these can be set (a run elsewhere leaves the folder out: conftest.py).
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from safeload.findings import Verdict
from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.workers import Settings
from safeload.workers.pool import Workers
from tests.hostile.surroundings import FILES, ROOT, SAMPLES, ask, clean, command, environment

STATES: dict[str, dict[str, Any]] = {
    "locale C in ASCII": {"env": environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")},
    "locale POSIX": {"env": environment(LC_ALL="POSIX", LANG="POSIX", PYTHONIOENCODING="ascii")},
    "Turkish": {
        "env": environment(LC_ALL="tr_TR.UTF-8"),
        "before": "import locale\ntry: locale.setlocale(locale.LC_ALL, '')\nexcept locale.Error: pass",
    },
    "optimized": {"flags": ("-OO",)},
    "seed 0": {"env": environment(PYTHONHASHSEED="0")},
    "seed 4294967295": {"env": environment(PYTHONHASHSEED="4294967295")},
    "isolated": {"flags": ("-I",)},
    "without site": {"flags": ("-S", "-E", "-s")},
    "one processor": {"before": "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})"},
    "no home, no path": {"env": environment(HOME=None, PATH=None, USER=None, TMPDIR="/nowhere")},
    "deep stack": {"before": "import sys; sys.setrecursionlimit(150000)"},
    "shallow stack": {"before": "import torch, safeload, sys; sys.setrecursionlimit(150)"},
    "short numbers": {"before": "import sys; sys.set_int_max_str_digits(640)"},
    "other defaults": {
        "before": "import torch, decimal, numpy\ntorch.set_default_dtype(torch.float64)\ntorch.set_num_threads(1)\n"
        "decimal.getcontext().prec = 2\ndecimal.getcontext().Emax = 3\nnumpy.seterr(all='raise')\n"
        "import warnings; warnings.simplefilter('error')"
    },
    "no collector": {"before": "import gc; gc.disable(); gc.set_threshold(1)"},
    "profiled": {"before": "import sys; sys.setprofile(lambda *a: None); sys.settrace(lambda *a: None)"},
}


@pytest.mark.parametrize("state", STATES)
def test_answers_do_not_depend_on(state: str, tmp_path: Path) -> None:
    found = ask(tmp_path, **STATES[state])["answers"]
    assert found.keys() == clean().keys()
    for path, answer in found.items():
        assert answer == clean()[path], path


@pytest.mark.parametrize("closed", [(0,), (1,), (2,), (0, 1, 2)])
def test_answers_do_not_depend_on_streams(closed: tuple[int, ...], tmp_path: Path) -> None:
    """What is opened next gets the number of a closed stream: nothing may be printed into it, or read from it."""
    found = ask(tmp_path, stderr=None, preexec_fn=lambda: [os.close(stream) for stream in closed])["answers"]
    assert found == clean()


ENVIRONMENTS: dict[str, dict[str, Any]] = {
    "ascii": {"env": environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", PYTHONIOENCODING="ascii")},
    "optimized": {"env": environment(PYTHONOPTIMIZE="2")},
    "flags": {"flags": ("-B", "-X", "dev", "-X", "utf8=0")},
    "one processor": {"preexec_fn": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})},
    "no input": {"preexec_fn": lambda: os.close(0)},
    "no errors": {"preexec_fn": lambda: os.close(2), "stderr": None},
    "nothing set": {"env": {}},
    "no temporary folder": {"env": environment(TMPDIR="/nowhere")},
    "few descriptors": {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))},
}


@pytest.mark.parametrize("options", [(), ("--jobs", "2"), ("--jobs", "0", "--timeout", "100")])
@pytest.mark.parametrize("place", ENVIRONMENTS)
def test_the_report_does_not_depend_on(place: str, options: tuple[str, ...]) -> None:
    done = command("scan", "--format", "json", *options, *FILES, **ENVIRONMENTS[place])
    assert done.returncode == 1, done.stderr
    assert done.stderr in (b"", None)
    files = json.loads(done.stdout)["files"]
    assert files == [clean()[path]["scan"] for path in FILES]


def test_no_output_at_all_is_a_failure_with_jobs_too() -> None:
    done = command("scan", "--jobs", "2", FILES[0], stdout=None, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr.partition(b";")[0]) == (2, b"Error: standard output is closed")


@pytest.mark.parametrize("closed", [(0,), (2,), (0, 2), (0, 1, 2)])
def test_conversions_with_closed_streams(closed: tuple[int, ...], tmp_path: Path) -> None:
    """The output may get the number of a stream; a line that is printed there would be in the weights."""
    source = SAMPLES / "benign" / "checkpoint.pt"
    honest, target = tmp_path / "honest.safetensors", tmp_path / "closed.safetensors"
    assert command("convert", source, honest).returncode == 0
    command("convert", source, target, stderr=None, preexec_fn=lambda: [os.close(stream) for stream in closed])
    assert target.read_bytes() == honest.read_bytes()


def test_without_any_place_for_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's last words go to such a file: without one no worker starts, and its files are unjudged."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with Workers(Settings(Policy.default(), None, Limits())) as workers:
        (report,) = workers.run([Target(FILES[0], explicit=True)])
    (finding,) = report.findings
    assert (report.verdict, finding.rule) == (Verdict.UNJUDGED, "crashed")
    assert finding.message == "no process could be started to judge it: No such file or directory"


def test_standard_input_without_any_place_for_temporary_files(tmp_path: Path) -> None:
    """With workers standard input is copied to a file: where that is impossible it is a failure, and no verdict."""
    nowhere = str(tmp_path / "nowhere")
    code = "import sys, tempfile; tempfile.tempdir = sys.argv.pop(1); sys.path.insert(0, sys.argv.pop(1))\n"
    code += "from safeload.cli import main; main()"
    line = [sys.executable, "-c", code, nowhere, str(ROOT), "scan", "-q", "-"]
    done = subprocess.run([*line, "--jobs", "1"], input=b"N.", capture_output=True, env=environment(), check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(f"Error: {nowhere}".encode())
    assert done.stderr.endswith(b": No such file or directory\n")
    done = subprocess.run(line, input=b"N.", capture_output=True, env=environment(), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
