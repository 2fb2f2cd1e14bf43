"""Takes rights from a worker before it opens the first file, so that a bug in a reader harms less.

The limits of the system (`resource`) hold where the system has them. On 64-bit Linux with the optional library
pyseccomp (the extra `sandbox`) the kernel also refuses every system call that reading does not need: a worker can then
write, make or remove no file, open no connection, and start no process, program or thread. A Fence says which of this
holds; nothing is assumed. This is a second fence and no part of a verdict: a refused call makes a file unjudged.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import sys
from itertools import chain
from typing import Any, NamedTuple

from safeload.install import install_line

# Python opens one file for a module and one for a model at a time, and a sharded model's index beside it.
DESCRIPTORS = 64
# What a dying interpreter writes on standard error, which is a file of the parent's: some lines, and not a full disk.
LAST_WORDS = 1 << 20
# Seconds of processor time beyond the timeout, after which the kernel ends what its parent failed to end.
GRACE = 10

_ANY = (
    ("read", "readv", "pread64", "preadv", "preadv2", "lseek", "close", "getdents64", "getcwd"),
    # Into what is open already: the answers, and the last words.
    ("write", "writev"),
    ("fstat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat"),
    ("mmap", "munmap", "mprotect", "mremap", "madvise", "brk"),
    ("futex", "futex_waitv", "membarrier", "rseq", "set_robust_list", "sched_yield", "sched_getaffinity"),
    ("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "exit", "exit_group"),
    ("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "getrandom"),
    ("getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "uname"),
    # The bounds of the next file are set by these.
    ("getrusage", "getrlimit", "setrlimit", "prlimit64"),
)
# Not a way to change anything: F_DUPFD, F_GETFD, F_SETFD, F_GETFL and F_DUPFD_CLOEXEC.
_FCNTL = (0, 1, 2, 3, 1030)


class Fence(NamedTuple):
    """What a worker cannot do.

    bounds   the limits that the system took, of "memory", "cpu", "descriptors", "files" (bytes in one), "processes"
             and "dumps" (none of its memory is written anywhere when it crashes)
    calls    whether the kernel refuses what reading does not need: writing, connections, processes, programs
    reason   why `calls` is False, "" otherwise
    """

    bounds: tuple[str, ...]
    calls: bool
    reason: str


def close() -> Fence:
    """Closes the fence around this process, for good. Afterwards the process can start no thread."""
    # While calls are still allowed: importing a module can need one that will be refused.
    with contextlib.suppress(ImportError):
        import resource  # noqa: F401
    # In this order: finding libseccomp starts a process, and the bound on processes holds for all but the superuser.
    reason = _refuse_calls()
    bounds = _bound()
    return Fence(bounds, not reason, reason)


def bound_file(beyond: int, seconds: float, path: str) -> None:
    """Bounds the next file: address space to `beyond` bytes above twice its size, processor time to `seconds` more."""
    try:
        import resource
    except ImportError:  # Windows: the limits of the scan and the timeout remain
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):  # an unreadable file is reported by opening it
        size = 0
    _lower(resource.RLIMIT_AS, beyond + 2 * size)
    _lower(resource.RLIMIT_CPU, math.ceil(min(used.ru_utime + used.ru_stime + seconds, 1e9)) + GRACE)


def _bound() -> tuple[str, ...]:
    """Sets the bounds that hold for the whole life of the process."""
    try:
        import resource
    except ImportError:
        return ()
    wanted = (
        ("descriptors", resource.RLIMIT_NOFILE, DESCRIPTORS),
        ("files", resource.RLIMIT_FSIZE, LAST_WORDS),
        ("processes", resource.RLIMIT_NPROC, 0),
        ("dumps", resource.RLIMIT_CORE, 0),
    )
    held = [name for name, limit, most in wanted if _lower(limit, most, for_good=True)]
    # The superuser may start processes whatever that limit says: it is no bound, and is not called one.
    if "processes" in held and os.geteuid() == 0:
        held.remove("processes")
    # These are set again for each file: whether they can be is found out by setting them to what they are.
    for name, limit in (("memory", resource.RLIMIT_AS), ("cpu", resource.RLIMIT_CPU)):
        if _lower(limit, resource.getrlimit(limit)[0]):
            held.append(name)
    return tuple(sorted(held))


def _lower(limit: int, wanted: int, *, for_good: bool = False) -> bool:
    """Sets a limit, never above its hard one, which follows when `for_good`. Whether the system took it."""
    import resource

    endless = resource.RLIM_INFINITY
    try:
        hard = resource.getrlimit(limit)[1]
        soft = min((most for most in (wanted, hard) if most != endless), default=endless)
        resource.setrlimit(limit, (soft, soft if for_good else hard))
    except (OSError, ValueError, OverflowError):  # macOS refuses some values
        return False
    return True


def _refuse_calls() -> str:
    """Has the kernel refuse all system calls but those listed here; why it does not, "" when it does."""
    if sys.platform != "linux" or sys.maxsize <= 1 << 32:
        return "system calls can be refused on 64-bit Linux only"
    # A module may be imported later, and its bytecode could not be written.
    sys.dont_write_bytecode = True
    try:
        # Looks for the libraries of the system, which starts a process of /sbin/ldconfig: now or never.
        import pyseccomp  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return f"the library pyseccomp is not installed: {install_line('sandbox')}"
    except (OSError, RuntimeError, AttributeError) as error:
        return f"pyseccomp does not find libseccomp on this system ({error})"
    try:
        _filter(pyseccomp).load()
    except (OSError, ValueError) as error:
        return f"the kernel takes no filter of system calls ({error})"
    return ""


def _filter(seccomp: Any) -> Any:
    """The filter: a closed list. Whatever is on no list, and every other way to call the kernel, is refused."""
    made = seccomp.SyscallFilter(seccomp.ERRNO(errno.EPERM))
    # SECURITY: all threads, or the one that listens would be free.
    made.set_attr(seccomp.Attr.CTL_TSYNC, 1)
    for name in chain.from_iterable(_ANY):
        _allow(seccomp, made, name)
    # SECURITY: what a descriptor may be opened for is in the flags; openat2 hides them in memory and is on no list.
    changes = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC
    _allow(seccomp, made, "open", seccomp.Arg(1, seccomp.MASKED_EQ, changes, 0))
    _allow(seccomp, made, "openat", seccomp.Arg(2, seccomp.MASKED_EQ, changes, 0))
    for command in _FCNTL:
        _allow(seccomp, made, "fcntl", seccomp.Arg(1, seccomp.EQ, command))
    # How `abort` ends a process; no signal reaches another one.
    _allow(seccomp, made, "tgkill", seccomp.Arg(0, seccomp.EQ, os.getpid()))
    return made


def _allow(seccomp: Any, made: Any, name: str, *arguments: Any) -> None:
    """Allows one call; one that this system has under no such number stays refused."""
    number = seccomp.resolve_syscall(seccomp.Arch.NATIVE, name)
    # -1 is an unknown name; other negative numbers stand for calls that exist elsewhere, and allow nothing here.
    if number >= 0:
        made.add_rule(seccomp.ALLOW, number, *arguments)
