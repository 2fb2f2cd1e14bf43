"""`safeload.protect()`: torch.load, and whatever calls it, goes through the gate of `safeload.load`.

Replaces two names, `torch.load` and `torch.serialization.load`, and puts back what was there. Never hands a file to the
replaced function while in force: what the gate refuses is refused. Reads no environment variable.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple, Self

import torch
import torch.serialization

from safeload.errors import UsageError, WrongArgument
from safeload.limits import Limits
from safeload.loading.gate import UNVETTED
from safeload.loading.judged import Terms
from safeload.loading.load import ENGINES, ORIGINAL_LOAD, python2_encoding, restore
from safeload.loading.trust import Trust
from safeload.policy import Policy

_LOG = logging.getLogger("safeload")
_PLACES: tuple[Any, ...] = (torch, torch.serialization)
# Modules that only say "the standard pickle", which is what torch.load takes by default.
_STANDARD = ("pickle", "_pickle", "safeload.restricted")


def protect(
    unvetted: str = "refuse",
    trust: Iterable[type | str] | type | str = (),
    policy: Policy | str | os.PathLike[str] | None = None,
    *,
    engine: str = "safeload",
    limits: Limits | None = None,
) -> Protection:
    """Make torch.load, and what calls it, load through safeload from now on, in all threads of this process.

        safeload.protect()                  until the process ends, or .undo()
        with safeload.protect(): ...        inside the block

    unvetted, trust, policy, engine, limits   as for `safeload.load`; set here once for all callers

    May be called again, and nested: the last one that is still in force says what is admitted, and torch.load comes
    back when all are undone. What was there before is put back exactly; if somebody has replaced torch.load after
    `protect` did, theirs stays, with a RuntimeWarning, and what they kept of ours calls what was there before.

    While it is in force, callers of torch.load get what `safeload.load` gives, with these differences, which follow
    torch.load: tensors are mapped only with mmap=True, otherwise read into memory (a program that saves over the file
    that it loaded must not lose its tensors); `pickle_module=pickle` is accepted and ignored, with one line in the log,
    and any other module is a TypeError; a TorchScript archive is refused, never handed to torch.jit.
    `weights_only` narrows what is admitted when True; False and None admit the whole vetted table. None runs anything.

    Not covered: `from torch import load` executed before; processes that do not inherit this one's memory (see
    `safeload run`); torch.jit.load, pickle, joblib, numpy and every other loader.

    Raises UsageError for arguments without a meaning, MissingExtra without torch.
    """
    if unvetted not in UNVETTED:
        raise UsageError(f"unvetted must be 'refuse' or 'record', not {unvetted!r}")
    if engine not in ENGINES:
        raise UsageError(f"engine must be 'safeload' or 'torch', not {engine!r}")
    named = (trust,) if isinstance(trust, str | type) else tuple(trust)
    # Read once: the program may change folders, and a pack that cannot be read must say so here.
    rules = Terms(policy=policy).rules()
    Trust(named, rules)
    return protection(Settings(unvetted, named, rules, engine, limits or Limits()))


class Settings(NamedTuple):
    """What callers of torch.load get while a protection is in force."""

    unvetted: str
    trust: tuple[type | str, ...]
    policy: Policy
    engine: str
    limits: Limits


def protection(settings: Settings) -> Protection:
    """Put a protection into force without looking at the settings, which were checked."""
    made = Protection(settings)
    _put(made)
    return made


class Protection:
    """One call of `protect`, in force until `undo`. A context manager."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def active(self) -> bool:
        """Whether it is in force."""
        return self in _active

    def undo(self) -> None:
        """End it; a second call does nothing. torch.load comes back with the last one that ends."""
        _take_back(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.undo()


_BEFORE = torch.serialization.load
_lock = threading.RLock()
# In force, the newest last; replaced as a whole, so that a load reads it without the lock.
_active: tuple[Protection, ...] = ()
# (module, what `load` was there) in the order of replacing.
_replaced: list[tuple[Any, Any]] = []
_noted: set[str] = set()


@functools.wraps(ORIGINAL_LOAD)
def guarded_load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """What stands in torch.load's place."""
    active = _active
    if not active:
        # Kept by somebody beyond the end of every protection, whose user undid them.
        return _BEFORE(
            f, map_location, pickle_module, weights_only=weights_only, mmap=mmap, **pickle_load_args
        )  # fmt: skip
    settings = active[-1].settings
    _look_at(pickle_module)
    terms = Terms(
        settings.unvetted, settings.trust, settings.policy, bool(weights_only), settings.limits,
        python2_encoding(pickle_load_args), scripts=False,
    )  # fmt: skip
    return restore(f, map_location, mmap=bool(mmap), engine=settings.engine, terms=terms)


def _look_at(pickle_module: Any) -> None:
    if pickle_module is None:
        return
    name = next((name for name in _STANDARD if sys.modules.get(name) is pickle_module), None)
    if name is None:
        given = getattr(pickle_module, "__name__", pickle_module)
        raise WrongArgument(
            f"pickle_module={given!r} is not taken while safeload.protect() is in force: no module unpickles anything "
            "then. Leave it out"
        )
    with _lock:
        first = name not in _noted
        _noted.add(name)
    if first and name != "safeload.restricted":
        _LOG.warning(
            "torch.load(pickle_module=%s): ignored, safeload.protect() is in force and unpickles nothing", name
        )


def _put(protection: Protection) -> None:
    global _active  # noqa: PLW0603 - there is one torch.load in a process
    with _lock:
        _active = (*_active, protection)
        for module in _PLACES:
            if module.load is not guarded_load:
                _replaced.append((module, module.load))
                module.load = guarded_load


def _take_back(protection: Protection) -> None:
    global _active  # noqa: PLW0603
    with _lock:
        if protection not in _active:
            return
        _active = tuple(other for other in _active if other is not protection)
        if _active:
            return
        left = []
        while _replaced:
            module, before = _replaced.pop()
            if module.load is guarded_load:
                module.load = before
            else:
                left.append(f"{module.__name__}.load")
    if left:
        warnings.warn(
            f"{' and '.join(sorted(set(left)))} was replaced by somebody else after safeload.protect(): theirs was "
            "left in place, and no load is guarded any more",
            RuntimeWarning,
            stacklevel=3,
        )
