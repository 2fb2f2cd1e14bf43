"""Worker processes that hang, crash, run out of memory and answer nonsense: every other file keeps its report."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from safeload.errors import InputDenied
from safeload.findings import Finding, Severity, Verdict
from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report, report_fields
from safeload.workers import Settings, fence, scan_here
from safeload.workers.pool import Workers
from safeload.workers.wire import read_report
from tests.workers.fake_worker import ODD

SETTINGS = Settings(Policy.default(), None, Limits(opcodes=1234))
PROBLEM = Finding("broken-link", Verdict.UNJUDGED, Severity.MEDIUM, "m", "r")

Fake = Callable[..., Workers]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "started"


@pytest.fixture
def fake(root: Path, log: Path) -> Fake:
    """Workers that run fake_worker.py."""
    log.touch()

    def make(**options: Any) -> Workers:
        script = str(Path(__file__).with_name("fake_worker.py"))
        return Workers(SETTINGS, command=(sys.executable, script, str(root), str(log)), **options)

    return make


def run(workers: Workers, *names: str) -> dict[str, Report]:
    with workers:
        reports = list(workers.run([Target(name, explicit=True) for name in names]))
    assert [report.path for report in reports] == list(names)
    assert all(report.policy_digest == SETTINGS.policy.digest for report in reports)
    return {report.path: report for report in reports}


def rule(report: Report) -> str:
    assert report.verdict == Verdict.UNJUDGED
    (finding,) = report.findings
    assert finding.verdict == Verdict.UNJUDGED
    assert finding.remedy
    return finding.rule


def test_each_end_of_a_worker_is_its_own_file_alone(fake: Fake) -> None:
    reports = run(fake(jobs=2, timeout=2), "a", "crash", "b", "exit", "hang", "c", "raise", "print", "d", "eat", "e")
    good = ("a", "b", "c", "d", "e", "print")
    assert {reports[name].verdict for name in good} == {Verdict.CLEAN}
    bad = {name: rule(report) for name, report in reports.items() if name not in good}
    assert bad == {
        "crash": "crashed",
        "exit": "crashed",
        "hang": "timed-out",
        "raise": "internal-error",
        "eat": "out-of-memory",
    }
    assert "--timeout" in reports["hang"].findings[0].remedy
    assert "within 2 seconds" in reports["hang"].findings[0].message
    assert "exit code 7" in reports["exit"].findings[0].message
    assert "RuntimeError" in reports["raise"].findings[0].message
    assert reports["crash"].findings[0].evidence == "last words \x1b[31m"


def test_reports_come_in_the_order_of_the_targets(fake: Fake) -> None:
    run(fake(jobs=3), "slow1", "a", "slow2", "b", "c")


def test_a_worker_serves_many_files(fake: Fake, log: Path) -> None:
    reports = run(fake(jobs=1), *"abcdef")
    assert len({report.reason for report in reports.values()}) == 1
    assert len(log.read_text().split()) == 1
    assert reports["a"].size == 1234


def test_no_more_workers_than_files_that_must_be_opened(fake: Fake, log: Path) -> None:
    targets = [Target("x", problem=PROBLEM), Target("y", skip="because"), Target("a", explicit=True), Target("b")]
    with fake(jobs=8) as workers:
        reports = list(workers.run(targets))
    assert [report.verdict for report in reports] == [
        Verdict.UNJUDGED,
        Verdict.SKIPPED,
        Verdict.CLEAN,
        Verdict.SKIPPED,
    ]
    assert reports[0].findings == (PROBLEM,)
    assert reports[1].reason == "because"
    assert len(log.read_text().split()) <= 2


def test_no_worker_for_nothing(fake: Fake, log: Path) -> None:
    with fake(jobs=4) as workers:
        assert list(workers.run([])) == []
        assert [r.verdict for r in workers.run([Target("y", skip="because")])] == [Verdict.SKIPPED]
    assert log.read_text() == ""


def test_a_report_crosses_whole(fake: Fake) -> None:
    report = run(fake(), "odd")["odd"]
    assert report == Report(
        "odd", Verdict.UNVETTED, "a+b", 5, "00", 2, 9, (ODD,), omitted=4, policy_digest=SETTINGS.policy.digest
    )


@pytest.mark.skipif(sys.platform == "win32", reason="such names exist on POSIX")
def test_names_that_are_not_text_cross(fake: Fake) -> None:
    run(fake(), "bad\udcff\n\u202e")


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


@pytest.mark.skipif(sys.platform == "win32", reason="asks by signal 0")
def test_leaving_kills_what_still_runs(fake: Fake, log: Path) -> None:
    workers = fake(jobs=2)
    with workers:
        reports = workers.run([Target("a", True), Target("hang1", True), Target("hang2", True)])
        assert next(reports).path == "a"
        while len(log.read_text().split()) < 2:
            time.sleep(0.01)
    started = [int(line) for line in log.read_text().split()]
    assert not any(alive(process) for process in started)
    assert not any(thread.is_alive() for thread in workers._threads)


@pytest.mark.skipif(sys.platform == "win32", reason="asks by signal 0")
def test_a_worker_ends_with_its_parent(root: Path, log: Path) -> None:
    log.touch()
    script = str(Path(__file__).with_name("fake_worker.py"))
    worker = subprocess.Popen(
        [sys.executable, script, str(root), str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdin
    assert worker.stdout
    limits = report_limits()
    worker.stdin.write(
        json.dumps({"policy": None, "limits": limits, "memory": 1 << 33, "seconds": 60}).encode() + b"\n"
    )
    worker.stdin.write(b'{"path": "hang", "explicit": true, "root": null}\n')
    worker.stdin.flush()
    assert b"ready" in worker.stdout.readline()
    worker.stdin.close()
    assert worker.wait(10) == 0
    worker.stdout.close()


def report_limits() -> dict[str, int]:
    return {name: getattr(SETTINGS.limits, name) for name in Limits.__slots__}


READY = json.dumps({"ready": SETTINGS.policy.digest, "fence": {"bounds": [], "calls": False, "reason": "none"}})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ((), "crashed"),
        (("nonsense",), "crashed"),
        (('{"ready": "another policy"}',), "crashed"),
        ((READY,), "crashed"),
        ((READY, "{}"), "crashed"),
        ((READY, "[]"), "crashed"),
        ((READY, '{"report": 3}'), "crashed"),
        ((READY, "[" * 100_000), "crashed"),
        ((READY, '{"report": {"path": "x", "verdict": "clean"}}'), "crashed"),
        ((READY, '{"report": {"path": "x", "verdict": "splendid"}}'), "crashed"),
    ],
)
def test_an_answer_that_is_no_report_is_a_crash(lines: tuple[str, ...], expected: str) -> None:
    code = f"import sys\nfor line in {lines!r}:\n    sys.stdin.readline(); print(line, flush=True)"
    reports = run(Workers(SETTINGS, command=(sys.executable, "-c", code)), "a", "b")
    assert [rule(report) for report in reports.values()] == [expected, expected]


def test_a_worker_that_cannot_start(tmp_path: Path) -> None:
    reports = run(Workers(SETTINGS, command=(str(tmp_path / "none"),)), "a", "b")
    assert [rule(report) for report in reports.values()] == ["crashed", "crashed"]


def test_a_real_worker_judges_as_this_process_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04]\x94(K\x01K\x02e.")
    (tmp_path / "safeload.py").write_text("raise SystemExit('the current folder is on the module path')")
    monkeypatch.chdir(tmp_path)
    targets = [Target("a.pkl", explicit=True), Target("none.pkl", explicit=True)]
    here = list(scan_here(targets, SETTINGS))
    with Workers(SETTINGS, jobs=2) as workers:
        there = list(workers.run(targets))
    assert there == here
    assert here[0].verdict == Verdict.CLEAN
    assert rule(here[1]) == "unreadable"


def test_standard_input_reaches_a_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "stdin").write_bytes(b"\x80\x04N.")
    with open(tmp_path / "stdin", encoding="utf-8") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        (report,) = run(Workers(SETTINGS), "-").values()
    assert report.verdict == Verdict.CLEAN
    assert report.size == 4
    monkeypatch.setattr(sys, "stdin", None)
    (report,) = run(Workers(SETTINGS), "-").values()
    assert rule(report) == "unreadable"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RuntimeError("x"), "internal-error"),
        (RecursionError("x"), "internal-error"),
        (MemoryError(), "out-of-memory"),
        (InputDenied(13, "Permission denied", "a"), "unreadable"),
    ],
)
def test_a_failure_in_this_process_is_one_file_s(error: Exception, expected: str) -> None:
    def judge(target: Target, settings: Settings) -> Report:
        if target.path == "bad":
            raise error
        return Report(target.path, Verdict.CLEAN)

    reports = list(scan_here([Target("a"), Target("bad"), Target("b")], SETTINGS, judge))
    assert [report.path for report in reports] == ["a", "bad", "b"]
    assert rule(reports[1]) == expected


def test_an_interrupt_passes() -> None:
    def judge(target: Target, settings: Settings) -> Report:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(scan_here([Target("a")], SETTINGS, judge))


def test_every_field_of_the_wire_is_read() -> None:
    report = Report("p", Verdict.UNVETTED, "c", None, None, 1, 2, (ODD,), 3, "why", "digest")
    assert read_report(json.loads(json.dumps(report_fields(report))), "digest") == report


@pytest.mark.parametrize("field", ["path", "verdict", "container", "size", "streams", "opcodes", "findings", "omitted"])
def test_a_field_of_another_type_is_refused(field: str) -> None:
    wire = report_fields(Report("p", Verdict.CLEAN))
    wire[field] = {"a": 1.5}
    with pytest.raises((TypeError, ValueError, LookupError)):
        read_report(wire, "")


def test_without_memory_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows has no module `resource`; macOS refuses some limits."""
    real = builtins.__import__

    def hide(name: str, *args: Any) -> Any:
        if name == "resource":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", hide)
    fence.bound_file(1, 1, __file__)


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limits")
def test_memory_limits_that_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    fence.bound_file(1, 1, __file__)


def test_a_failure_of_a_thread_is_not_silent(fake: Fake) -> None:
    class Broken(Workers):
        def _ask(self, *_: Any) -> Any:
            raise ZeroDivisionError

    with Broken(SETTINGS) as workers, pytest.raises(ZeroDivisionError):
        list(workers.run([Target("a")]))


@pytest.fixture(autouse=True)
def no_thread_stays() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
        assert not thread.is_alive()
