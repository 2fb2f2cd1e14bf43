"""The findings for paths that a scan cannot judge: links, devices, what cannot be read. Opens nothing."""

from __future__ import annotations

import errno
import os
import stat

from safeload.findings import Finding, Severity, Verdict

_NAME_THE_TARGET = "name the target on the command line to have it scanned, or scan a folder that holds both"


def problem(rule: str, message: str, remedy: str, evidence: str = "") -> Finding:
    """A finding that leaves a path unjudged."""
    return Finding(rule, Verdict.UNJUDGED, Severity.MEDIUM, message, remedy, evidence=evidence)


def outward(real: str, what: str, where: str) -> Finding:
    """The finding for a link that leads out of what is scanned."""
    return problem("outward-link", f"a link to a {what} {where}: it was not followed", _NAME_THE_TARGET, real)


def special(mode: int) -> Finding:
    """The finding for what is neither a file nor a folder, by its mode."""
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISBLK, "a block device"),
    )
    kind = next((name for test, name in kinds if test(mode)), "neither a file nor a folder")
    remedy = "send what it holds through standard input: safeload scan - < FILE"
    return problem("not-a-file", f"{kind}: it was not opened", remedy)


def broken_link(path: str, error: Exception) -> Finding:
    """The finding for a link that cannot be followed."""
    try:
        towards = os.readlink(path)
    except (OSError, ValueError):
        towards = ""
    if isinstance(error, FileNotFoundError):
        return problem(
            "broken-link", "a link to a file that does not exist", "fetch the missing file or remove the link", towards
        )
    # realpath(strict=True) and stat say ELOOP on POSIX; Windows has its own number (1921) for the same.
    if isinstance(error, OSError) and (error.errno == errno.ELOOP or getattr(error, "winerror", None) == 1921):
        return problem("broken-link", "a link that leads back to itself", "remove the link", towards)
    return unreadable(error)


def unreadable(error: Exception) -> Finding:
    """The finding for a path that the operating system refuses to open or to list."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return problem("not-found", "there is no file or folder of this name", "check the path")
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    remedy = "allow this user to read it, or run the scan as a user who may"
    if not isinstance(error, PermissionError):
        remedy = "check the path and the file system, then scan again"
    return problem("unreadable", f"it cannot be read: {reason}", remedy)
