"""A worker whose judge tries what the file's name says and reports how that went: `fenced_worker.py PROJECT FENCE`.

FENCE is "whole", or "bounds" for a worker that finds no pyseccomp. It stands for a reader that a file has taken over,
and touches nothing but files below the folder of the file that it is given.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    if sys.argv[2] == "bounds":
        sys.modules["pyseccomp"] = None  # type: ignore[assignment]

from safeload.findings import Verdict
from safeload.inputs.walk import Target
from safeload.report import Report
from safeload.workers import Settings
from safeload.workers.serve import serve

LIBC = ctypes.CDLL(None, use_errno=True)
SYMLINKAT, IO_URING_SETUP, OPENAT2 = {"x86_64": (266, 425, 437)}.get(os.uname().machine, (36, 425, 437))


def call(*arguments: object) -> None:
    """A system call past everything that Python looks at."""
    if LIBC.syscall(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def fork() -> None:
    child = os.fork()
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def update(path: str) -> None:
    os.close(os.open(path, os.O_RDWR))


def thread() -> None:
    started = threading.Thread(target=int)
    started.start()
    started.join()


def open_many() -> None:
    held = []
    try:
        for _ in range(200):
            held.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in held:
            os.close(descriptor)


def opened() -> Iterator[str]:
    """What each descriptor of this process is, but for the one that listed them."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"/proc/self/fd/{number}")


def openat2(path: Path) -> None:
    how = (ctypes.c_uint64 * 3)(os.O_WRONLY | os.O_CREAT, 0o600, 0)
    call(OPENAT2, -100, bytes(path), ctypes.byref(how), ctypes.sizeof(how))


def acts(folder: Path) -> dict[str, Callable[[], object]]:
    """What a worker may be told to try. `folder` has the files "there" and "gone"."""
    there, new = folder / "there", folder / "new"
    return {
        "write": lambda: new.write_bytes(b"x"),
        "append": lambda: append(there, b"x"),
        "truncate": lambda: os.truncate(there, 0),
        "unlink": lambda: os.unlink(folder / "gone"),
        "rename": lambda: os.rename(there, new),
        "mkdir": lambda: os.mkdir(new),
        "link": lambda: os.link(there, new),
        "symlink": lambda: os.symlink(there, new),
        "symlinkat": lambda: call(SYMLINKAT, b"there", -100, bytes(new)),
        "openat2": lambda: openat2(new),
        "chmod": lambda: os.chmod(there, 0o777),
        "utime": lambda: os.utime(there, (0, 0)),
        "xattr": lambda: os.setxattr(there, b"user.x", b"x"),
        "fifo": lambda: os.mkfifo(new),
        "itself": lambda: update("/proc/self/mem"),
        "memfd": lambda: os.memfd_create("x"),
        "tcp": socket.socket,
        "udp": lambda: socket.socket(type=socket.SOCK_DGRAM),
        "unix": lambda: socket.socket(socket.AF_UNIX),
        "pair": socket.socketpair,
        "ring": lambda: call(IO_URING_SETUP, 1, ctypes.create_string_buffer(120)),
        "fork": fork,
        "spawn": lambda: os.waitpid(os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {}), 0),
        "exec": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
        "program": lambda: subprocess.run([sys.executable, "-c", ""], check=True),
        "thread": thread,
        "kill": lambda: os.kill(os.getppid(), 0),
        "terminal": lambda: os.get_terminal_size(0),
        "many": open_many,
        "big": lambda: new.write_bytes(bytes(3 << 20)),
        "read": lambda: there.read_bytes(),
        "list": lambda: os.listdir(folder),
        "import": lambda: __import__("lzma").compress(b"x"),
    }


def judge(target: Target, settings: Settings) -> Report:
    folder, _, act = target.path.rpartition("/")
    if act == "limits":
        names = ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_NPROC", "RLIMIT_CORE")
        said = json.dumps({name: resource.getrlimit(getattr(resource, name)) for name in names})
    elif act == "filters":
        tasks = sorted(Path("/proc/self/task").iterdir())
        lines = [line for task in tasks for line in (task / "status").read_text().split("\n")]
        said = json.dumps([line.split()[1] for line in lines if line.startswith(("Seccomp:", "NoNewPrivs:"))])
    elif act == "descriptors":
        said = json.dumps(sorted(opened()))
    else:
        try:
            acts(Path(folder))[act]()
            said = "done"
        except (OSError, RuntimeError) as error:
            said = type(error).__name__
    return Report(target.path, Verdict.CLEAN, reason=said, policy_digest=settings.policy.digest)


if __name__ == "__main__":
    serve(judge)
