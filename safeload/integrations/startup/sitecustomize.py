"""Guards torch.load. Python runs this file when it starts, in a program under `safeload run` and in its children.

It does not import torch. A finder waits until the program does, and then replaces `torch.load` and
`torch.serialization.load` by a function that starts `safeload.protect()` at its first call. This function never calls
what it replaced: if safeload cannot be imported, loads fail. Only the standard library is used, so a program without
torch is not changed. SAFELOAD_RUN holds the options of `safeload run`. Nothing in it can switch the guard off, and
neither can its absence.
"""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import Any

_SETTINGS = os.environ.get("SAFELOAD_RUN")
_HERE = os.path.dirname(os.path.abspath(__file__))


class TorchHook:
    """A finder that lets the other finders find torch, and guards the module when it is complete."""

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
    """The loader of torch, which guards the module after it has run."""

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
    """Put the guard into the imported module `torch`."""
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
    """Run the sitecustomize that Python would have run without this one, if there is one."""
    # Removed from the path of this program only: its children get the folder from the environment.
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
        guard(sys.modules["torch"])  # a .pth file of site-packages has imported it already
    else:
        sys.meta_path.insert(0, TorchHook())
    _next_sitecustomize()
