"""Record: an inert stand-in for an object whose class is never imported.

Holds what the file said (class name, constructor arguments, state, items) and behaves like nothing: no call, no
attribute of the real class. Knows no other file of safeload but errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from safeload.errors import UsageError

_FIELDS = ("module", "qualname", "args", "kwargs", "state", "items")


class Record:
    """What a pickle said of an object outside the vetted table.

    module, qualname   the class or function, exactly as the file names it
    args, kwargs       what it would have been called with; `args` is None for a bare reference to the name itself
    state              what BUILD would have set: usually a dict of attributes; None when nothing
    items              what would have been appended or set as items: a list of elements, or of (key, value) pairs

    State entries can also be read as attributes where no field has that name. Records compare by identity and refuse
    to be pickled: a pickle of one could not be told from the real object by its reader.
    """

    __slots__ = ("args", "items", "kwargs", "module", "qualname", "state")

    def __init__(
        self,
        module: str,
        qualname: str,
        args: tuple[Any, ...] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        state: Any = None,
        items: list[Any] | None = None,
    ) -> None:
        self.module = module
        self.qualname = qualname
        self.args = args
        self.kwargs = kwargs
        self.state = state
        self.items = items

    def attributes(self) -> dict[str, Any]:
        """The attributes that the state would set, slots included; empty when the state is not attributes."""
        if isinstance(self.state, dict):
            return self.state
        if isinstance(self.state, tuple) and len(self.state) == 2:
            found: dict[str, Any] = {}
            for part in self.state:
                if isinstance(part, dict):
                    found.update(part)
            return found
        return {}

    def __getattr__(self, name: str) -> Any:
        # Only reached when no field has the name. Dunder lookups are protocol probes (copy, pickle, numpy, IPython):
        # answering them from file content would let a file pose as a sequence, an array or a context manager.
        if not (name.startswith("__") and name.endswith("__")):
            found = self.attributes()
            if name in found:
                return found[name]
        raise AttributeError(f"the record of {self.module}.{self.qualname} has no {name!r} in its state")

    def __dir__(self) -> list[str]:
        return sorted({*_FIELDS, *(k for k in self.attributes() if isinstance(k, str))})

    def __repr__(self) -> str:
        parts = []
        if self.args:
            parts.append(f"{len(self.args)} args")
        if self.kwargs:
            parts.append(f"{len(self.kwargs)} kwargs")
        names = [k for k in self.attributes() if isinstance(k, str)]
        if names:
            shown = ", ".join(ascii(k)[1:-1][:40] for k in names[:6])
            parts.append(f"state: {shown}{', ...' if len(names) > 6 else ''}")
        elif self.state is not None:
            parts.append(f"state: {type(self.state).__name__}")
        if self.items:
            parts.append(f"{len(self.items)} items")
        what = ascii(f"{self.module}.{self.qualname}")[1:-1][:200]
        return f"<Record of {what}{': ' + '; '.join(parts) if parts else ''}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise UsageError(
            f"a Record of {self.module}.{self.qualname} cannot be pickled or copied: it stands for an object that was "
            "never built; save its state (record.state) or the tensors in it instead"
        )
