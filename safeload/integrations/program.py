"""The settings of a program under `safeload run`. The command writes them; the program reads them at its first load.

They are JSON in an environment variable. If it is missing, or cannot be read, every load fails. No setting leaves a
load unguarded.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safeload.errors import UsageError

VARIABLE = "SAFELOAD_RUN"
STARTUP = Path(__file__).resolve().parent / "startup"
"""The folder with the `sitecustomize` that Python has to find."""

# Reentrant: the import of a trusted module may itself call torch.load.
_lock = threading.RLock()
_begun: list[Any] = []


def environment(unvetted: str, trust: tuple[str, ...], policy: str | None) -> dict[str, str]:
    """The environment for a guarded program: that of this process, with the settings and the startup folder."""
    from safeload.policy import NAMES

    made = dict(os.environ)
    settings = {
        "unvetted": unvetted,
        "trust": list(trust),
        "policy": policy if policy is None or policy in NAMES else os.path.abspath(policy),
    }
    made[VARIABLE] = json.dumps(settings)
    rest = made.get("PYTHONPATH")
    made["PYTHONPATH"] = f"{STARTUP}{os.pathsep}{rest}" if rest else str(STARTUP)
    return made


def guarded(settings: str | None) -> Callable[..., Any]:
    """The function in the place of torch.load. Puts a protection into force that lasts until the process ends.

    Raises UsageError for settings that cannot be read, and what `protect` raises.
    """
    from safeload.integrations.torch_load import guarded_load, protect

    with _lock:
        if not _begun:
            _begun.append(protect(**_parsed(settings)))
    return guarded_load


def _parsed(settings: str | None) -> dict[str, Any]:
    """The arguments for `protect`. Without settings there are none: the defaults are the strictest."""
    if settings is None:
        return {}
    try:
        given = json.loads(settings)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{VARIABLE} cannot be read: start the program with `safeload run`") from error
    if not isinstance(given, dict) or not given.keys() <= {"unvetted", "trust", "policy"}:
        raise UsageError(f"{VARIABLE} holds no settings of `safeload run`")
    return given
