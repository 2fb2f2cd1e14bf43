"""A process that converts one file and is stopped at every step, in a child for each; prints what is left, as JSON.

    python faults.py FAULT SOURCE FOLDER FORCE UNNAMED

FAULT: "kill" (SIGKILL before the step), an errno (the step is refused), or "term" (SIGTERM before the step).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("resize", "write_at", "write_parts", "copy_file_range", "sendfile", "fsync", "link", "replace")
OLD = b"what was there before"


def child(fault: str, number: int, source: str, out: Path, force: bool) -> None:
    """Convert, with step `number` at fault. Exits with 0 when it was converted, 1 when that was refused."""
    from safeload import SafeloadError, convert
    from safeload.converting.write import system

    count = 0

    def faulty(real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*arguments: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                if fault in ("kill", "term"):
                    os.kill(os.getpid(), signal.SIGKILL if fault == "kill" else signal.SIGTERM)
                raise OSError(int(fault), os.strerror(int(fault)))
            return real(*arguments)

        return step

    for name in STEPS:
        setattr(system, name, faulty(getattr(system, name)))
    system._CHUNK = 8192
    try:
        convert(source, out, force=force)
    except SafeloadError:
        os._exit(1)
    # A number beyond the last step: all went well.
    os._exit(0 if count >= number else 3)


def main() -> None:
    """Every step in turn."""
    fault, source, folder, force, unnamed = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4], sys.argv[5]
    if unnamed == "no":
        os.O_TMPFILE = 0
    import safeload.converting.api
    import safeload.converting.verify.verify
    import safeload.converting.write.writer  # noqa: F401 - imported once, here, for every child

    found = []
    for number in range(1, 200):
        place = folder / str(number)
        place.mkdir()
        out = place / "x.safetensors"
        if force == "yes":
            out.write_bytes(OLD)
        pid = os.fork()
        if not pid:
            child(fault, number, source, out, force == "yes")
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        names = sorted(path.name for path in place.iterdir())
        kind = "none" if not out.exists() else "old" if out.read_bytes() == OLD else "new"
        found.append({"status": status, "names": names, "output": kind, "path": str(out)})
        if status == 3:
            break
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
