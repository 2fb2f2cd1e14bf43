"""Judges many files in several worker processes, and gives the reports in order.

Each worker has a thread of its own. The thread starts the worker when there is a file for it, and starts a new one when
a file has ended the last. Whatever happens to a worker, its file is unjudged and the others are judged.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Iterable, Iterator

from safeload.errors import InputError, input_error
from safeload.inputs.stream import SPOOL_BYTES
from safeload.inputs.walk import Target
from safeload.report import Report
from safeload.workers.attempt import AGAIN, Settings, refused, settled, standard_input, unjudged, unreadable
from safeload.workers.fence import Fence
from safeload.workers.process import Ended, Process
from safeload.workers.wire import read_fence, read_report

# Seconds a worker may take for one file when nobody said: as many opcodes as the limits allow take about a minute.
TIMEOUT = 300.0
# Seconds a worker may take to start: it imports safeload and reads the rules, 60 ms on an idle machine.
START = 60.0
# Address space a worker may use beyond twice the size of the file, in bytes. A million opcodes need 64 MB; a limit that
# does not depend on the machine gives one verdict everywhere.
MEMORY = 2 << 30

# The worker must run the safeload that started it, wherever that came from (an installation, a checkout, PYTHONPATH),
# and -P keeps the current folder, which may be the folder under judgement, off its module path.
_START = (
    "import sys, importlib.util as u;"
    "s = u.spec_from_file_location('safeload', sys.argv[1] + '/__init__.py', submodule_search_locations=[sys.argv[1]]);"
    "m = sys.modules['safeload'] = u.module_from_spec(s); s.loader.exec_module(m);"
    "from safeload.workers.serve import serve; serve()"
)
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Workers:
    """Up to `jobs` worker processes. Use it as a context manager: leaving it kills every worker.

    timeout  seconds for one file
    memory   bytes of address space beyond twice the size of a file
    command  the command line of a worker; tests start something else
    fence    what the last worker that started said of its own fence, None before
    """

    def __init__(
        self,
        settings: Settings,
        *,
        jobs: int = 1,
        timeout: float | None = None,
        memory: int = MEMORY,
        command: tuple[str, ...] | None = None,
    ) -> None:
        self.settings = settings
        self.jobs = jobs
        self.timeout = TIMEOUT if timeout is None else timeout
        self.memory = memory
        self.command = command or (sys.executable, *_flags(), "-P", "-c", _START, _PACKAGE)
        self.fence: Fence | None = None
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._processes: set[Process] = set()
        self._reports: dict[int, Report] = {}
        self._failure: BaseException | None = None
        self._stopped = False
        self._input: str | InputError = ""

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._stopped = True
            for process in self._processes:
                process.kill()
        for thread in self._threads:
            thread.join(5)

    def run(self, targets: Iterable[Target]) -> Iterator[Report]:
        """The reports of `targets` in their order. A file that ends its worker costs no other file its report."""
        listed = tuple(targets)
        with _standard_input_file(listed) as self._input:
            yield from self._run(listed)

    def _run(self, listed: tuple[Target, ...]) -> Iterator[Report]:
        waiting = iter(enumerate(listed))
        for _ in range(min(self.jobs, len(listed))):
            self._threads.append(threading.Thread(target=self._work, args=(waiting,), daemon=True))
            self._threads[-1].start()
        for at in range(len(listed)):
            with self._changed:
                while at not in self._reports and self._failure is None:
                    # A wait without an end cannot be interrupted on Windows.
                    self._changed.wait(0.5)
                if self._failure is not None:
                    raise self._failure
                report = self._reports.pop(at)
            yield report

    def _work(self, waiting: Iterator[tuple[int, Target]]) -> None:
        """A thread: it takes targets until there are none, and starts its worker for the first one to be opened."""
        process: Process | None = None
        try:
            while True:
                with self._changed:
                    at, target = (-1, None) if self._stopped else next(waiting, (-1, None))
                if target is None:
                    break
                if target.problem or target.skip:
                    report = settled(target, self.settings)
                elif target.path == "-" and isinstance(self._input, InputError):
                    report = refused(target, unreadable(self._input), self.settings)
                else:
                    report, process = self._ask(target, process)
                with self._changed:
                    self._reports[at] = report
                    self._changed.notify_all()
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()
        finally:
            self._end(process)

    def _ask(self, target: Target, process: Process | None) -> tuple[Report, Process | None]:
        """The report of one target, and the worker for the next one when it is still of use."""
        started = process
        try:
            started = process or self._start()
            path = self._input if target.path == "-" else target.path
            answer = started.exchange({"path": path, "explicit": target.explicit, "root": target.root}, self.timeout)
            report = read_report(answer["report"], self.settings.policy.digest)
            return report._replace(path=target.path), started
        except Ended as end:
            finding = end.finding
        except (LookupError, TypeError, ValueError, RecursionError):
            finding = unjudged("crashed", "the process that judged it gave no report", AGAIN)
        self._end(started)
        return refused(target, finding, self.settings), None

    def _start(self) -> Process:
        """A new worker that has read its settings."""
        settings = self.settings
        try:
            process = Process(self.command)
        except OSError as error:
            said = f"no process could be started to judge it: {error.strerror or error}"
            raise Ended(unjudged("crashed", said, AGAIN)) from error
        with self._changed:
            self._processes.add(process)
            if self._stopped:
                process.kill()
        try:
            limits = settings.limits._asdict()
            setup = {
                "policy": settings.policy_file,
                "limits": limits,
                "memory": self.memory,
                "seconds": self.timeout,
            }
            ready = process.exchange(setup, START)
            if ready.get("ready") != settings.policy.digest:
                raise Ended(unjudged("crashed", "the rules changed during the scan", "scan again"))
            self.fence = read_fence(ready["fence"])
        except BaseException:
            self._end(process)
            raise
        return process

    def _end(self, process: Process | None) -> None:
        if process is not None:
            process.close()
            with self._changed:
                self._processes.discard(process)


def probe(settings: Settings) -> Fence:
    """The Fence of a worker on this machine: starts one and asks it. Raises Ended when none starts."""
    with Workers(settings) as workers:
        process = workers._start()
        workers._end(process)
        if workers.fence is None:
            raise AssertionError("a worker that started has said what holds it")
        return workers.fence


def _flags() -> Iterator[str]:
    """The options of this interpreter that say which environment and which modules it trusts. A worker gets the same.

    SECURITY: without them a worker would believe the PYTHONPATH that `python -I -m safeload` was told to ignore.
    """
    for option, given in (
        ("-I", sys.flags.isolated),
        ("-E", sys.flags.ignore_environment),
        ("-s", sys.flags.no_user_site),
        ("-S", sys.flags.no_site),
    ):
        if given:
            yield option


@contextlib.contextmanager
def _standard_input_file(targets: tuple[Target, ...]) -> Iterator[str | InputError]:
    """A file with the bytes of standard input, which only the parent can read; or the error that prevents it."""
    if all(target.path != "-" for target in targets):
        yield ""
        return
    import tempfile

    handle, path = tempfile.mkstemp(prefix="safeload-")
    try:
        with os.fdopen(handle, "wb") as copy:
            try:
                source, size = standard_input(), 0
                while chunk := source.read(1 << 20):
                    size += len(chunk)
                    if size > SPOOL_BYTES:
                        raise InputError(errno.EFBIG, f"more than {SPOOL_BYTES} bytes, without an end", "-")
                    copy.write(chunk)
                found: str | InputError = path
            except OSError as error:
                found = error if isinstance(error, InputError) else input_error(error, "-")
        yield found
    finally:
        os.unlink(path)
