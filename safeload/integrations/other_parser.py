"""Equivalent Python of a pickle through fickling: another parser's reading, for people, and never a way to a verdict.

It runs in a process of its own, with a time and memory of its own: a hundred bytes can denote a text of 2^40 letters,
and whatever fickling raises stays there. This file is that process too, so it imports nothing of safeload.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

LARGEST = 4 << 20
"""Bytes of a pickle that is handed over: fickling takes seconds for each MiB."""

SECONDS = 30
MEMORY = 2 << 30
LONGEST = 1 << 20
"""Characters of Python that are kept."""


class Reading(NamedTuple):
    """What fickling made of a pickle.

    parser   name and version
    python   equivalent Python, untrusted text; "" when there is none, and `problem` says why
    """

    parser: str
    python: str
    problem: str


def equivalent_python(data: bytes) -> Reading:
    """The pickle in `data` as Python. Raises nothing for what is in it: a failure is a `problem`."""
    if len(data) > LARGEST:
        return Reading("fickling", "", f"the pickle has {len(data)} bytes, and {LARGEST} at most are handed over")
    try:
        command = [sys.executable, "-P", __file__]
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return Reading("fickling", "", f"it was not done after {SECONDS} seconds")
    except OSError as error:
        return Reading("fickling", "", f"it could not be started: {error.strerror}")
    except ValueError:
        return Reading("fickling", "", f"it ended with code {done.returncode} and without an answer")
    return Reading(said["parser"], said["python"], said["problem"])


def read(data: bytes) -> dict[str, str]:
    """In the process of its own: what `equivalent_python` answers."""
    import ast
    import io
    import warnings
    from importlib.metadata import version

    warnings.simplefilter("ignore")

    parser = "fickling"
    try:
        from fickling.fickle import Pickled

        parser = f"fickling {version('fickling')}"
        text = ast.unparse(Pickled.load(io.BytesIO(data)).ast)
    except Exception as error:
        return {"parser": parser, "python": "", "problem": f"{type(error).__name__}: {error}"[:400]}
    return {"parser": parser, "python": text[:LONGEST], "problem": "" if text else "it gave no Python for this"}


def confine() -> None:
    """Give this process a bound of its memory, where the system has one."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    confine()
    sys.stdout.write(json.dumps(read(sys.stdin.buffer.read())))
