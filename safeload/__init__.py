"""safeload: judge, load and convert model checkpoints without running them.

    import safeload

    report = safeload.scan("model.pth")
    if report.verdict == "clean": ...

The public names stand in `__init__.pyi`. Each is imported on first use (PEP 562), so that importing the package
costs nothing and never imports torch.
"""

from __future__ import annotations

import os
import re
from functools import cache
from importlib import import_module
from typing import Any

_LINE = re.compile(r"^from (safeload[\w.]*) import (\w+) as (\w+)", re.MULTILINE)


@cache
def _listed() -> dict[str, tuple[str, str]]:
    """Public name -> the module that has it, and its name there. Nothing that a caller or a file says is imported."""
    with open(os.path.join(os.path.dirname(__file__), "__init__.pyi"), encoding="utf-8") as stub:
        return {public: (module, name) for module, name, public in _LINE.findall(stub.read())}


def __getattr__(name: str) -> Any:
    listed = _listed()
    value: Any
    if name == "__all__":
        value = sorted(listed)
    elif name in listed:
        module, inner = listed[name]
        value = getattr(import_module(module), inner)
    else:
        raise AttributeError(f"module 'safeload' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_listed())
