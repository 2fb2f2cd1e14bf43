"""Run by Python at its start, in a program under `safeload run` and in its Python children: guards torch.load.

torch is not imported here: a finder waits until the program does that, and then replaces `torch.load` and
`torch.serialization.load` by a function that starts `safeload.protect()` when it is called for the first time. It never
calls what it replaced: where safeload cannot be imported, loads fail. Uses nothing but the standard library, so that
programs without torch are not touched. What SAFELOAD_RUN says are the options of `safeload run`; nothing in it, and
not its absence, can switch the guard off.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import Any

_SETTINGS = os.environ.get("SAFELOAD_RUN")
_HERE = os.path.dirname(os.path.abspath(__file__))


class TorchHook:
    """A finder that lets the others find torch, and has its module guarded once it is complete."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """See importlib.abc.MetaPathFinder."""
        if name != "torch":
            return None
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and not isinstance(finder, TorchHook) else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader)
                return spec
        return None


class _Loader:
    """The loader of torch, and what follows it."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def create_module(self, spec: Any) -> Any:
        return self._inner.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = module.__spec__.loader = self._inner
        self._inner.exec_module(module)
        guard(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def guard(torch: Any) -> None:
    """Put the guard into an imported torch."""
    original = torch.serialization.load

    @wraps(original)
    def load(*args: Any, **kwargs: Any) -> Any:
        try:
            from safeload.integrations.program import guarded
        except ImportError as error:
            raise ImportError(
                "this program runs under `safeload run`, and torch.load cannot be guarded because safeload cannot be "
                f"imported by {sys.executable} ({error}): install safeload there too"
            ) from error
        return guarded(_SETTINGS)(*args, **kwargs)

    torch.load = torch.serialization.load = load


def _next_sitecustomize() -> None:
    """What Python would have run in place of this file, if there is such a thing."""
    # The children find this folder in their environment, and the program need not see it.
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _HERE]
    this = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        if this is not None:
            sys.modules.setdefault("sitecustomize", this)


if __name__ == "sitecustomize":
    if "torch" in sys.modules:
        guard(sys.modules["torch"])  # a .pth file of site-packages was faster
    else:
        sys.meta_path.insert(0, TorchHook())
    _next_sitecustomize()
