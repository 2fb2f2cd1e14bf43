"""safeload: judge, load and convert model checkpoints without running them.

    import safeload

    report = safeload.scan("model.pth")
    if report.verdict == "clean": ...

Everything here is resolved on first use, so that importing the package costs nothing and never imports torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from safeload.converting.api import convert, verify
    from safeload.document.record import Record
    from safeload.errors import (
        EndOfInput,
        InputDenied,
        InputError,
        InputIsDirectory,
        InputNotFound,
        LimitExceeded,
        LoadFailed,
        Malformed,
        MissingExtra,
        NotAttested,
        NotConvertible,
        NotEqual,
        OutputError,
        OutputExists,
        SafeloadError,
        UnsafeCheckpoint,
        UsageError,
        WrongArgument,
    )
    from safeload.findings import Finding, Severity, Verdict
    from safeload.inspecting.difference import diff
    from safeload.inspecting.inspection import inspect
    from safeload.integrations.torch_load import protect
    from safeload.limits import Limits
    from safeload.loading import load
    from safeload.loading.lazy import open
    from safeload.modules import state_dict
    from safeload.policy import Policy
    from safeload.report import VERSION as __version__
    from safeload.report import Report
    from safeload.saving import save
    from safeload.scanning.scanner import scan

__all__ = [
    "EndOfInput",
    "Finding",
    "InputDenied",
    "InputError",
    "InputIsDirectory",
    "InputNotFound",
    "LimitExceeded",
    "LoadFailed",
    "Limits",
    "Malformed",
    "MissingExtra",
    "NotAttested",
    "NotConvertible",
    "NotEqual",
    "OutputError",
    "OutputExists",
    "Policy",
    "Record",
    "Report",
    "SafeloadError",
    "Severity",
    "UnsafeCheckpoint",
    "UsageError",
    "Verdict",
    "WrongArgument",
    "__version__",
    "convert",
    "diff",
    "inspect",
    "load",
    "open",
    "protect",
    "save",
    "scan",
    "state_dict",
    "verify",
]

# Public name -> the module that has it. Fixed here: nothing a caller or a file says is ever imported.
_HOMES = {
    "scan": "safeload.scanning.scanner",
    "load": "safeload.loading",
    "convert": "safeload.converting.api",
    "verify": "safeload.converting.api",
    "save": "safeload.saving",
    "state_dict": "safeload.modules",
    "inspect": "safeload.inspecting.inspection",
    "diff": "safeload.inspecting.difference",
    "open": "safeload.loading.lazy",
    "protect": "safeload.integrations.torch_load",
    "Report": "safeload.report",
    "Record": "safeload.document.record",
    "Policy": "safeload.policy",
    "Limits": "safeload.limits",
    **dict.fromkeys(("Finding", "Severity", "Verdict"), "safeload.findings"),
    **dict.fromkeys(
        (
            "EndOfInput",
            "InputDenied",
            "InputError",
            "InputIsDirectory",
            "InputNotFound",
            "LimitExceeded",
            "LoadFailed",
            "Malformed",
            "MissingExtra",
            "NotAttested",
            "NotConvertible",
            "NotEqual",
            "OutputError",
            "OutputExists",
            "SafeloadError",
            "UnsafeCheckpoint",
            "UsageError",
            "WrongArgument",
        ),
        "safeload.errors",
    ),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("safeload.report").VERSION
    if name not in _HOMES:
        raise AttributeError(f"module 'safeload' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
