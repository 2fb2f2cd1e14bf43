"""`safeload.protect()`: torch.load, and whatever calls it, goes through the gate of `safeload.load`.

Replaces two names, `torch.load` and `torch.serialization.load`, and later puts back what was there. While in force it
never hands a file to the replaced function, so a file that the gate refuses is not loaded. Reads no environment
variable.
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
from safeload.loading.judged import LoadTerms
from safeload.loading.load import ENGINES, ORIGINAL_LOAD, python2_encoding, restore
from safeload.loading.trust import Trust
from safeload.policy import Policy

_LOG = logging.getLogger("safeload")
_PLACES: tuple[Any, ...] = (torch, torch.serialization)
# Values of pickle_module that mean the standard pickle, which is the default of torch.load.
_STANDARD = ("pickle", "_pickle", "safeload.restricted")


def protect(
    unvetted: str = "refuse",
    trust: Iterable[type | str] | type | str = (),
    policy: Policy | str | os.PathLike[str] | None = None,
    *,
    engine: str = "safeload",
    limits: Limits | None = None,
) -> Protection:
    """Make `torch.load`, and what calls it, load through safeload from now on, in all threads of this process.

    May be called again, and nested: the newest protection that is still in force says what is admitted, and torch.load
    comes back, exactly as it was, when all are undone. If another library has replaced torch.load after `protect`, its
    function stays, with a RuntimeWarning; and if it calls ours, the call goes to the original torch.load.

    While a protection is in force, torch.load gives what `safeload.load` gives, with differences that follow
    torch.load. Tensors are mapped only with mmap=True, and otherwise read into memory: a program that saves over the
    file that it loaded must not lose its tensors. `pickle_module=pickle` is accepted and ignored, with one line in the
    log; any other module is a TypeError. A TorchScript archive is refused, never handed to torch.jit.
    `weights_only=True` narrows what is admitted; False and None admit the whole vetted table. None of the three runs
    anything.

    Not covered: `from torch import load` executed before; processes that do not inherit this one's memory (see
    `safeload run`); torch.jit.load, pickle, joblib, numpy and every other loader.

    Args:
        unvetted: As for `safeload.load`. This and the other arguments hold for all callers of torch.load.
        trust: As for `safeload.load`.
        policy: As for `safeload.load`.
        engine: As for `safeload.load`.
        limits: As for `safeload.load`.

    Returns:
        A `Protection`, in force until its `undo()`; as a context manager, inside the block.

    Raises:
        UsageError: An argument has no meaning.
        MissingExtra: Torch is not installed.

    Example:
        >>> with safeload.protect():
        ...     state = torch.load("model.pt", weights_only=False)
        >>> list(state)
        ['weight']
    """
    if unvetted not in UNVETTED:
        raise UsageError(f"unvetted must be 'refuse' or 'record', not {unvetted!r}")
    if engine not in ENGINES:
        raise UsageError(f"engine must be 'safeload' or 'torch', not {engine!r}")
    named = (trust,) if isinstance(trust, str | type) else tuple(trust)
    # The pack is read once, and here: the program may change its folder, and an error has to be raised now.
    rules = LoadTerms(policy=policy).rules()
    Trust(named, rules)
    return protection(ProtectionSettings(unvetted, named, rules, engine, limits or Limits()))


class ProtectionSettings(NamedTuple):
    """What callers of torch.load get while a protection is in force."""

    unvetted: str
    trust: tuple[type | str, ...]
    policy: Policy
    engine: str
    limits: Limits


def protection(settings: ProtectionSettings) -> Protection:
    """Put a protection into force. The caller has checked the settings."""
    made = Protection(settings)
    _put(made)
    return made


class Protection:
    """The result of `protect`: in force until `undo`. A context manager, which undoes it at the end."""

    def __init__(self, settings: ProtectionSettings) -> None:
        self.settings = settings

    @property
    def active(self) -> bool:
        """Whether this protection is in force."""
        return self in _active

    def undo(self) -> None:
        """End this protection. A second call does nothing. torch.load comes back when the last protection ends."""
        _take_back(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.undo()


_BEFORE = torch.serialization.load
_lock = threading.RLock()
# The protections in force, the newest last. The tuple is replaced, never changed: a load in another thread reads it
# without the lock, and sees the state before or after, nothing in between. Only writers take the lock.
_active: tuple[Protection, ...] = ()
# (module, the `load` that was there), in the order of replacing.
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
    """The function in the place of torch.load."""
    active = _active
    if not active:
        # Every protection was undone, and somebody still holds this function: it is torch.load again.
        return _BEFORE(
            f, map_location, pickle_module, weights_only=weights_only, mmap=mmap, **pickle_load_args
        )  # fmt: skip
    settings = active[-1].settings
    _look_at(pickle_module)
    terms = LoadTerms(
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
