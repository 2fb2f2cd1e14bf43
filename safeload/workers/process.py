"""One worker process as its parent sees it: one line goes out, and one line comes back in time, or the worker ends."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from typing import Any

from safeload.findings import Finding
from safeload.workers.attempt import AGAIN, unjudged

# An answer holds at most `limits.findings` findings of bounded length; a worker gone wrong may not fill the parent.
ANSWER = 256 << 20


class Ended(Exception):
    """A worker ended, or never started. `finding` says how."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


class Process:
    """One worker process and its pipes. One thread uses it, and any thread may call `kill`."""

    def __init__(self, command: tuple[str, ...]) -> None:
        import subprocess
        import tempfile

        # A session of its own: a Ctrl-C is the parent's to handle, and the worker ends when its input does.
        alone: dict[str, Any] = {"start_new_session": True}
        if os.name == "nt":
            alone = {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        try:
            self._popen = subprocess.Popen(  # noqa: S603 (our own interpreter, no shell)
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, **alone
            )
        except OSError:
            self._errors.close()
            raise

    def exchange(self, request: object, seconds: float) -> dict[str, Any]:
        """Send one line and wait for one. Raises Ended when none comes within `seconds`; close the process then."""
        lock = threading.Lock()
        answered = expired = False

        def expire() -> None:
            nonlocal expired
            with lock:
                expired = not answered
                if expired:
                    self.kill()

        timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), expire)
        timer.daemon = True
        timer.start()
        line = b""
        try:
            if self._popen.stdin and self._popen.stdout:
                self._popen.stdin.write(json.dumps(request).encode("ascii") + b"\n")
                self._popen.stdin.flush()
                line = self._popen.stdout.readline(ANSWER)
        except OSError:  # it ended before it read the request: there is no answer
            pass
        finally:
            with lock:
                answered = True
            timer.cancel()
        if expired:
            said = f"it was not judged within {seconds:g} seconds, and the process that judged it was killed"
            raise Ended(
                unjudged("timed-out", said, "do not load it; if it is merely large, allow more with --timeout SECONDS")
            )
        if not line.endswith(b"\n"):
            said = f"the process that judged it {self._ending()}"
            raise Ended(unjudged("crashed", said, AGAIN, evidence=self._last_words()))
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise TypeError("an answer is an object")
        return answer

    def _ending(self) -> str:
        """How the process ended, in words."""
        import signal
        import subprocess

        try:
            code = self._popen.wait(1)
        except subprocess.TimeoutExpired:
            return "closed its output"
        if code >= 0:
            return f"ended with exit code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was killed by {name}" + (", often for want of memory" if name == "SIGKILL" else "")

    def _last_words(self) -> str:
        """The last line on the standard error of the process: untrusted text."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - 4096))
        lines = self._errors.read().decode("utf-8", "backslashreplace").split("\n")
        return next((line[:300] for line in reversed(lines) if line.strip()), "")

    def kill(self) -> None:
        """Ends it, from any thread."""
        self._popen.kill()

    def close(self) -> None:
        """Ends it and gives everything back."""
        self._popen.kill()
        self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout, self._errors):
            with contextlib.suppress(OSError):  # what was not flushed into a broken pipe
                if pipe is not None:
                    pipe.close()
