"""Loads hostile bytes in a process of their own: little memory, little time, and every effect written down.

The server imports torch and safeload once; each load runs in a fork of it. What comes back is an Outcome, never an
object. A process that dies of a signal or hangs is an Outcome too.
"""

from __future__ import annotations

import codecs
import importlib
import math
import multiprocessing
import pkgutil
import resource
import signal
import sys
import tempfile
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

MEMORY = 1 << 30
"""Address space beyond what the process has when the load begins."""

SECONDS = 30
"""Processor time of one load: a machine that does other things besides takes nothing away from it."""

PATIENCE = 600
"""Seconds on the clock after which a process that waits for something is given up, however busy the machine is."""

_EFFECTS = ("exec", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "subprocess.Popen",
            "socket.connect", "ctypes.dlopen", "os.remove", "os.rename", "os.mkdir", "shutil.rmtree")  # fmt: skip


_USED = tuple(f"safeload.{part}" for part in (
    "checks", "containers", "inputs", "loading.arrays", "loading.load", "loading.numpy", "machine", "policy",
    "scanning", "vetted",
))  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What one load did.

    error    name of the exception's type, "" for none, or "killed by N" or "hangs"
    ours     whether the exception is a SafeloadError
    verdict  of the report that the error carries, "" without one
    rules    rule ids of its findings, sorted, each once
    value    text of what was loaded
    effects  imports, processes and writes seen by an audit hook
    grown    how many bytes the peak resident set grew
    """

    error: str
    ours: bool = False
    verdict: str = ""
    rules: tuple[str, ...] = ()
    value: str = ""
    effects: tuple[str, ...] = ()
    message: str = ""
    grown: int = 0


def outcome(
    data: bytes, options: dict[str, Any] | None = None, *, path: str = "", memory: int = MEMORY, seconds: int = SECONDS
) -> Outcome:
    """What `safeload.load` makes of `data`, given as a file called `path` ("" for bytes)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.loading.preloaded"])
    ours, theirs = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder:
        given: Any = data
        if path:
            given = str(Path(folder) / path)
            Path(given).write_bytes(data)
        process = context.Process(target=_load, args=(theirs, given, options or {}, memory, seconds))
        process.start()
        theirs.close()
        try:
            found: Outcome = ours.recv() if ours.poll(PATIENCE) else Outcome("hangs")
        except EOFError:
            process.join()
            ended_by = -(process.exitcode or 0)
            return Outcome("hangs" if ended_by == signal.SIGXCPU else f"killed by {ended_by}")
        finally:
            if process.is_alive() and not ours.closed:
                process.join(1)
            process.kill()
            process.join()
    return found


def _load(answer: Connection, given: Any, options: dict[str, Any], memory: int, seconds: int) -> None:
    import warnings

    import torch

    import safeload

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    import_all()
    safeload.load(b"\x80\x02N.")
    effects = _watch()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + memory
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    used = resource.getrusage(resource.RUSAGE_SELF)
    before = used.ru_maxrss
    most = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    try:
        value = safeload.load(given, **options)
        seen = tuple(effects)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        found = Outcome("", value=_text(value))
    except BaseException as error:
        seen = tuple(effects)
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
        report = getattr(error, "report", None)
        found = Outcome(
            type(error).__name__,
            isinstance(error, safeload.SafeloadError),
            "" if report is None else str(report.verdict.value),
            () if report is None else tuple(sorted({f.rule for f in report.findings if f.verdict != "clean"})),
            message=str(error),
        )
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    answer.send(Outcome(**{**vars(found), "effects": seen, "grown": grown}))


def import_all() -> None:
    """Import what safeload imports on first use, so that what a load imports besides is the file's doing."""
    import safeload
    from safeload.scanning.skips.texts import _ENCODINGS

    # Of the names in old zips, of JSON, and of texts from before Unicode.
    wide = (f"utf-{width}{order}" for width in (16, 32) for order in ("", "-le", "-be"))
    for encoding in ("cp437", "cp1252", "utf-8-sig", *wide, *_ENCODINGS.values()):
        codecs.lookup(encoding)
    for module in pkgutil.walk_packages(safeload.__path__, "safeload."):
        if module.name.startswith(_USED):
            importlib.import_module(module.name)


def _text(value: Any) -> str:
    import torch

    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, torch.Tensor):
        small = value.layout == torch.strided and max(value.shape, default=0) < 100 and not value.is_meta
        held = value.tolist() if small else ""
        return f"{value.device} {str(value.dtype)[6:]} {tuple(value.shape)} {held}"
    return repr(value)[:200]


def _watch() -> list[str]:
    """Names of the effects seen from now on."""
    seen: list[str] = []

    def hook(event: str, args: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(args[1], str) and any(c in args[1] for c in "wax+")
        imports = event == "import" and args[0] not in sys.modules
        if event in _EFFECTS or writes or imports:
            seen.append(f"{event}: {args[0] if args else ''!s:.100}")

    sys.addaudithook(hook)
    return seen
