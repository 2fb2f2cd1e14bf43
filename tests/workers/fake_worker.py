"""A worker whose judge does to each file what the file's name says: `python fake_worker.py PROJECT LOG`.

Each start adds a line with the process id to the file LOG.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])

from safeload.findings import Finding, Severity, Verdict
from safeload.inputs.walk import Target
from safeload.report import Report
from safeload.workers import Settings
from safeload.workers.serve import serve

ODD = Finding(
    "odd",
    Verdict.UNVETTED,
    Severity.LOW,
    "m\udcff",
    "r",
    member="\x1b",
    offset=3,
    stream=0,
    name="a.b",
    evidence="\u202e",
)


def judge(target: Target, settings: Settings) -> Report:
    name = os.path.basename(target.path)
    if name.startswith("hang"):
        while True:
            time.sleep(0.01)
    if name.startswith("crash"):
        faulthandler.disable()
        sys.stderr.write("something\n\nlast words \x1b[31m\n")
        sys.stderr.flush()
        os.abort()
    if name.startswith("exit"):
        os._exit(7)
    if name.startswith("eat"):
        bytearray(1 << 45)
    if name.startswith("raise"):
        raise RuntimeError("broken \udcff")
    if name.startswith("print"):
        os.write(1, b'{"report": 1}\n')
        print("noise")
        sys.stdin.read()
    if name.startswith("slow"):
        time.sleep(0.3)
    if name.startswith("odd"):
        return Report(
            "elsewhere", Verdict.UNVETTED, "a+b", 5, "00", 2, 9, (ODD,), omitted=4, policy_digest=settings.policy.digest
        )
    verdict = Verdict.CLEAN if target.explicit else Verdict.SKIPPED
    return Report("elsewhere", verdict, size=settings.limits.opcodes, reason=str(os.getpid()))


if __name__ == "__main__":
    with open(sys.argv[2], "a", encoding="ascii") as log:
        log.write(f"{os.getpid()}\n")
    serve(judge)
