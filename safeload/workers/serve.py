"""The worker: a process that judges the files its parent names, one by one, within bounds of its own."""

from __future__ import annotations

import json
import os
import threading
from queue import SimpleQueue

from safeload.inputs.walk import Target
from safeload.limits import Limits
from safeload.report import report_fields
from safeload.workers import fence
from safeload.workers.attempt import Judge, Settings, attempt, judge


def serve(judge: Judge = judge) -> None:
    """The worker: reads the settings and then requests from standard input, and answers on standard output."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # So that a library that prints cannot break the answers, and one that reads cannot take a request.
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    lines: SimpleQueue[bytes] = SimpleQueue()

    def listen() -> None:
        for line in requests:
            lines.put(line)
        # The parent is done or dead, so nobody waits for the file that is being judged.
        os._exit(0)

    from safeload.policy import Policy

    setup = json.loads(requests.readline())
    policy = Policy.find(setup["policy"])
    settings = Settings(policy, setup["policy"], Limits(**setup["limits"]))
    threading.Thread(target=listen, daemon=True).start()
    # SECURITY: before the first request is read, and after all that this process does of its own has been done.
    answer: dict[str, object] = {"ready": policy.digest, "fence": fence.close()._asdict()}
    while True:
        answers.write(json.dumps(answer).encode("ascii") + b"\n")
        answers.flush()
        request = json.loads(lines.get())
        target = Target(request["path"], request["explicit"], root=request["root"])
        fence.bound_file(setup["memory"], setup["seconds"], target.path)
        answer = {"report": report_fields(attempt(target, settings, judge))}
