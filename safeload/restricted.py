"""A stand-in where a pickle module is asked for: `load`, `loads` and `Unpickler` that run nothing.

    from safeload import restricted as pickle

    state = pickle.load(file)

Reads plain pickles of protocols 0 to 5, judges each by the same machine and table as `safeload.load`, and builds what
was judged. There is no find_class, no persistent_load, no dispatch table and nothing to override: what a pickle names
is never looked up. It only reads: there is no `dump`. Needs the extra `torch`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from pickle import PickleError, UnpicklingError
from typing import TYPE_CHECKING, Any

from safeload.containers.interface import ContainerLayout, Pickle, Reading
from safeload.errors import EndOfInput, LimitExceeded, Malformed, UsageError, WrongArgument
from safeload.inputs.stream import can_seek
from safeload.limits import Limits
from safeload.machine import run
from safeload.machine.state import LINE_STEP
from safeload.source import Source

if TYPE_CHECKING:
    from safeload.policy import Policy

__all__ = ["PickleError", "Unpickler", "UnpicklingError", "load", "loads"]

_HOOKS = ("find_class", "persistent_load", "dispatch", "dispatch_table", "get_extension", "memo")
_CHUNK = 1 << 20


class Unpickler:
    """`pickle.Unpickler`'s shape: made over a file, `load()` gives the next object, once.

    pickle's own goes on with the memo of the pickle before, and a second pickle that was written that way, read alone,
    would give other objects without any sign of it: so a second `load()` is a UsageError, and for the next pickle there
    is a new Unpickler, or the function `load`. Overriding find_class, persistent_load or a dispatch table is a
    TypeError: nothing of the kind is ever called, and a subclass that counts on it would be wrong about what it gets.
    """

    def __init__(
        self,
        file: Any,
        *,
        fix_imports: bool = True,
        encoding: str = "ASCII",
        errors: str = "strict",
        buffers: Iterable[Any] | None = None,
        unvetted: str = "refuse",
        trust: Iterable[type | str] | type | str = (),
        policy: Policy | str | os.PathLike[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        _no_more(errors, buffers)
        self._file = file
        self._done = False
        self._options: dict[str, Any] = {
            "encoding": encoding, "unvetted": unvetted, "trust": trust, "policy": policy, "limits": limits or Limits()
        }  # fmt: skip

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for hook in _HOOKS:
            if hook in cls.__dict__:
                raise _no_hook(f"{cls.__qualname__}.{hook}")

    def __setattr__(self, name: str, value: object) -> None:
        if name in _HOOKS:
            raise _no_hook(name)
        super().__setattr__(name, value)

    def load(self) -> Any:
        """The next object. See the function `load`."""
        if self._done:
            raise UsageError("an Unpickler of safeload reads one pickle: make a new one, or call load(), for the next")
        self._done = True
        return _next(self._file, **self._options)


def load(
    file: Any,
    *,
    fix_imports: bool = True,
    encoding: str = "ASCII",
    errors: str = "strict",
    buffers: Iterable[Any] | None = None,
    unvetted: str = "refuse",
    trust: Iterable[type | str] | type | str = (),
    policy: Policy | str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> Any:
    """The object of the one pickle that starts where `file` stands; afterwards `file` stands behind its STOP.

    file         a binary file object that can seek, or that has `peek` and `read` (a pipe or socket: what
                 io.BufferedReader gives). One with `read` alone is refused, because it would have to be read too far
    fix_imports  taken for compatibility, without effect: nothing is imported
    encoding     of python 2 strings: "ASCII", "latin1", "utf-8" or "bytes"
    errors       must be "strict"
    buffers      must be None: out-of-band buffers are not in what was judged

    The other arguments are as for `safeload.load`. Raises UnsafeCheckpoint (a pickle.UnpicklingError) when the pickle
    holds what is outside the vetted table, is damaged or cut off, and EndOfInput (an EOFError) when the file has no
    further byte. Where the file stands after an error is unspecified. Semantics: CPython's pickle.load.
    """
    _no_more(errors, buffers)
    return _next(
        file, encoding=encoding, unvetted=unvetted, trust=trust, policy=policy, limits=limits or Limits()
    )  # fmt: skip


def loads(
    data: bytes | bytearray | memoryview,
    /,
    *,
    fix_imports: bool = True,
    encoding: str = "ASCII",
    errors: str = "strict",
    buffers: Iterable[Any] | None = None,
    unvetted: str = "refuse",
    trust: Iterable[type | str] | type | str = (),
    policy: Policy | str | os.PathLike[str] | None = None,
    limits: Limits | None = None,
) -> Any:
    """The object of the pickle that `data` starts with; what follows it is ignored, as by pickle.loads. See `load`."""
    _no_more(errors, buffers)
    if not isinstance(data, bytes | bytearray | memoryview):
        raise WrongArgument(f"a bytes-like object is required, not {type(data).__name__}")
    if not len(data):
        raise EndOfInput("the pickle is empty")
    made, _ = _built(bytes(data), encoding, unvetted, trust, policy, limits or Limits())
    return made


class _OnePickle:
    """A container that is one pickle from its first byte, whatever else its bytes look like."""

    name = "pickle"

    def __init__(self) -> None:
        self.end: int | None = None

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return True

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        answer = yield Pickle("object", 0, source.size, main=True)
        self.end = None if answer is None else answer.end
        return ContainerLayout()


def _next(
    file: Any,
    *,
    encoding: str,
    unvetted: str,
    trust: Iterable[type | str] | type | str,
    policy: Policy | str | os.PathLike[str] | None,
    limits: Limits,
) -> Any:
    """The next object of a file, which then stands behind it."""
    if not callable(getattr(file, "read", None)):
        raise WrongArgument(f"a binary file object is required, not {type(file).__name__}")
    if can_seek(file):
        start = file.tell()
        if not file.read(1):
            raise EndOfInput("there is no further pickle in the file")
        file.seek(start)
        made, end = _built(file, encoding, unvetted, trust, policy, limits)
        file.seek(start + end)
        return made
    if not callable(getattr(file, "peek", None)):
        raise WrongArgument("the file can neither seek nor peek: put it into io.BufferedReader, or read it for loads()")
    data = _cut(file, limits, _encoding(encoding))
    return _built(data, encoding, unvetted, trust, policy, limits)[0]


def _built(
    given: Any,
    encoding: str,
    unvetted: str,
    trust: Iterable[type | str] | type | str,
    policy: Policy | str | os.PathLike[str] | None,
    limits: Limits,
) -> tuple[Any, int]:
    """The object of the pickle at the start of `given`, and the offset behind it."""
    from safeload.loading.judged import LoadTerms, judge
    from safeload.loading.load import rebuild
    from safeload.loading.placement import Placement

    container = _OnePickle()
    terms = LoadTerms(unvetted, trust, policy, limits=limits, encoding=_encoding(encoding))
    with closing(judge(given, terms, containers=(container,))) as judged:
        made = rebuild(judged.document(), Placement(None), judged.trust, use_mmap=False)
    if container.end is None:
        raise AssertionError("a pickle without an end was admitted")
    return made, container.end


def _cut(file: Any, limits: Limits, encoding: str) -> bytes:
    """The bytes of the next pickle of a file that cannot seek, and no byte more is taken from it.

    The machine finds the end. A buffer that did not hold it is taken whole, so only the last one is looked at before it
    is known how much of it belongs to the pickle. What cannot be read to its STOP is given as far as it goes.
    """
    taken = bytearray()
    ahead = b""

    def more(length: int) -> bytes:
        nonlocal ahead
        _take(file, len(ahead), taken)
        ahead = b""
        # A line asks for some bytes that it may not need; whatever asks for more than that needs them.
        missing = length - len(taken)
        if missing > LINE_STEP:
            _take(file, min(missing, limits.pickle_bytes - len(taken)), taken)
        if len(taken) < limits.pickle_bytes:
            ahead = bytes(file.peek(1))
        return bytes(taken) + ahead

    first = more(1)
    if not first:
        raise EndOfInput("there is no further pickle in the file")
    try:
        end = run(first, limits=limits, more=more, encoding=encoding).end
    except (Malformed, LimitExceeded):
        return bytes(taken) + ahead
    if end > len(taken):
        _take(file, end - len(taken), taken)
    return bytes(taken)


def _take(file: Any, count: int, taken: bytearray) -> None:
    """Move `count` bytes of the file to the end of `taken`, fewer where it ends."""
    while count > 0:
        data = file.read(min(count, _CHUNK))
        if not data:
            return
        taken += data
        count -= len(data)


def _encoding(name: str) -> str:
    from safeload.loading.load import python2_encoding

    return python2_encoding({"encoding": name}) or "ASCII"


def _no_more(errors: str, buffers: object) -> None:
    if errors != "strict":
        raise UsageError(f"errors must be 'strict', not {errors!r}: text that cannot be decoded is refused")
    if buffers is not None:
        raise WrongArgument("buffers are not taken: what they hold would not have been judged with the pickle")


def _no_hook(name: str) -> WrongArgument:
    return WrongArgument(
        f"{name} cannot be overridden: safeload never looks up what a pickle names, so it would never be called. "
        "Name the classes you trust with trust=[...] instead, or take records with unvetted='record'"
    )
