"""Equivalent Python of a pickle, made by fickling: the reading of another parser, for people. No verdict rests on it.

fickling runs in a process of its own, with limits of time and memory: a hundred bytes can stand for a text of 2^40
letters, and any exception stays in that process. This file is also the program of that process, so it does not import
safeload.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from typing import NamedTuple

LARGEST = 4 << 20
"""Bytes of the longest pickle that fickling gets: it takes seconds for each MiB."""

SECONDS = 30
MEMORY = 2 << 30
LONGEST = 1 << 20
"""Characters of Python that are kept."""


class EquivalentPython(NamedTuple):
    """What fickling made of a pickle.

    parser    its name and version
    python    equivalent Python, which is untrusted text; "" when there is none
    problem   why there is none
    """

    parser: str
    python: str
    problem: str


def equivalent_python(data: bytes) -> EquivalentPython:
    """The pickle in `data` as Python. Raises nothing, whatever `data` holds: a failure is a `problem`."""
    if len(data) > LARGEST:
        return EquivalentPython(
            "fickling", "", f"the pickle has {len(data)} bytes, and {LARGEST} at most are handed over"
        )
    try:
        command = [sys.executable, "-P", __file__]
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603
        said = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return EquivalentPython("fickling", "", f"it was not done after {SECONDS} seconds")
    except OSError as error:
        return EquivalentPython("fickling", "", f"it could not be started: {error.strerror}")
    except ValueError:
        return EquivalentPython("fickling", "", f"it ended with code {done.returncode} and without an answer")
    return EquivalentPython(said["parser"], said["python"], said["problem"])


def read(data: bytes) -> dict[str, str]:
    """In the other process: the answer for `equivalent_python`."""
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
    """Bound the memory of this process, if the system can."""
    try:
        import resource
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):  # macOS refuses some values, and a lower bound may hold already
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


if __name__ == "__main__":
    confine()
    sys.stdout.write(json.dumps(read(sys.stdin.buffer.read())))
