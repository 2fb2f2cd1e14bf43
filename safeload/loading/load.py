"""`safeload.load`: scan, then either refuse or rebuild what was judged, from the same bytes.

There is one path and no fallback: nothing here calls an unpickler, and `engine="torch"` is a second gate behind ours.
"""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import torch

from safeload.document.document import Document
from safeload.errors import UnsafeCheckpoint, UsageError, WrongArgument
from safeload.limits import Limits
from safeload.loading.judged import LoadTerms, judge
from safeload.loading.placement import CallersError, MapLocation, Placement, own_errors
from safeload.loading.rebuild import Rebuild
from safeload.loading.storages import TorchStorages
from safeload.loading.trust import Trust
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.scanning.scanner import Scan
from safeload.source import Source

ENGINES = ("safeload", "torch")
"""What may build the objects."""

_ENCODINGS = {
    "ascii": "ASCII", "utf-8": "utf-8", "utf8": "utf-8", "latin1": "latin1", "latin-1": "latin1", "bytes": "bytes"
}  # fmt: skip


def load(
    f: Any,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    unvetted: str = "refuse",
    trust: Iterable[type | str] | type | str = (),
    policy: Policy | str | os.PathLike[str] | None = None,
    engine: str = "safeload",
    limits: Limits | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Load a checkpoint without running anything in it; a drop-in for `torch.load`.

    The file is judged first. It is refused, or its objects are built from the bytes that were judged.

    Args:
        f: A path, the bytes themselves, or a seekable binary file object, which is read from its current position.
        map_location: As for `torch.load`. None puts storages back on the device that they were saved from when it
            exists here, else on the CPU.
        pickle_module: Must be None: nothing is unpickled.
        weights_only: True admits tensors, containers and primitives, as torch's own list does. None and False admit
            the whole vetted table (numpy, dates, paths, Namespace, RNG states...). NONE OF THE THREE RUNS ANYTHING:
            False does not mean here what it means to `torch.load`.
        mmap: None or True: tensors of a stored zip or legacy file given by path view a private, copy-on-write map of
            it. False: they are read into memory.
        unvetted: "refuse" raises for classes outside the table; "record" gives an inert `safeload.Record` for each
            object of them.
        trust: Classes, or their dotted names, that may be rebuilt by `object.__new__` and their saved attributes.
        policy: A `Policy`, the name of one ("weights-only", "strict"), or the path of a rule pack that tightens the
            standard one and may name classes whose records are accepted (see docs/policy.md).
        engine: "torch" lets `torch.load(weights_only=True)` build the objects from the judged bytes, as a second gate.
        limits: What a file may cost. None is `Limits()`.
        pickle_load_args: `encoding` of Python 2 strings, as for `torch.load`: "utf-8" (default), "ASCII", "latin1" or
            "bytes".

    Returns:
        What was saved: the object that `torch.load` would give for the same file.

    Raises:
        UnsafeCheckpoint: The verdict does not allow the load (a `pickle.UnpicklingError`, with `.report`).
        Malformed: What was admitted cannot be built after all, say keys that are equal once built (a ValueError).
        InputError: The input cannot be read (an OSError).
        LoadFailed: Memory or a device is missing.
        UsageError: An argument has no meaning. What your own `map_location` or file object raises passes through.

    Semantics: torch/serialization.py `load`, torch 2.13.

    Example:
        >>> state = safeload.load("model.pt", map_location="cpu")
        >>> state["weight"].shape
        torch.Size([2, 3])
    """
    if pickle_module is not None:
        raise WrongArgument("pickle_module is not taken: safeload.load never unpickles, so there is nothing to choose")
    return restore(
        f,
        map_location,
        mmap=mmap,
        engine=engine,
        terms=LoadTerms(
            unvetted, trust, policy, bool(weights_only), limits or Limits(), python2_encoding(pickle_load_args)
        ),
    )


def restore(f: Any, map_location: MapLocation, *, mmap: bool | None, engine: str, terms: LoadTerms) -> Any:
    """Judge, then refuse or build: `load`, and whatever stands in its place, ends here. See `load`."""
    if engine not in ENGINES:
        raise UsageError(f"engine must be 'safeload' or 'torch', not {engine!r}")
    # Collection is off until the Document is freed: it would walk all of the Document, and find nothing to free.
    pause()
    try:
        return _restore(f, map_location, mmap=mmap, engine=engine, terms=terms)
    finally:
        resume()


def _restore(f: Any, map_location: MapLocation, *, mmap: bool | None, engine: str, terms: LoadTerms) -> Any:
    placement = Placement(map_location)
    with closing(judge(f, terms, private=engine == "torch", mapped=bool(mmap))) as judged:
        if engine == "torch":
            return _by_torch(judged.source, map_location, judged.scan, terms.encoding)
        return rebuild(judged.document(), placement, judged.trust, use_mmap=mmap)


def rebuild(document: Document, placement: Placement, trust: Trust, *, use_mmap: bool | None) -> Any:
    """Build the objects of an admitted Document. Collection is off meanwhile, because a build keeps all it makes."""
    storages = TorchStorages(document, placement, use_mmap=use_mmap)
    pause()
    try:
        with own_errors():
            return Rebuild(document, storages, placement, trust).build(document.root)
    finally:
        resume()


def python2_encoding(arguments: dict[str, Any]) -> str | None:
    """The encoding of python 2 strings that a caller of `load` asks for; None for the format's own.

    Removes `encoding` from `arguments`, and `fix_imports` and `errors="strict"`, which change nothing here. Raises
    WrongArgument for any other argument.
    """
    encoding = arguments.pop("encoding", None)
    arguments.pop("fix_imports", None)
    if arguments.get("errors") == "strict":
        del arguments["errors"]
    if arguments:
        raise WrongArgument(f"not taken, because nothing is unpickled: {', '.join(sorted(arguments))}")
    if encoding is None:
        return None
    found = _ENCODINGS.get(str(encoding).lower().replace("_", "-"))
    if found is None:
        raise UsageError(f"encoding must be one of ASCII, utf-8, latin1 and bytes, not {encoding!r}")
    return found


def _by_torch(source: Source, map_location: Any, scan: Scan, encoding: str | None) -> Any:
    """Let torch's own restricted loader build the judged bytes: the file has to pass both gates."""
    data = source.peek(0, source.size)
    arguments: dict[str, Any] = {} if encoding is None else {"encoding": encoding}
    call = map_location
    if callable(map_location):

        def call(storage: Any, location: str) -> Any:
            try:
                return map_location(storage, location)
            except Exception as error:
                raise CallersError(error) from error

    try:
        return ORIGINAL_LOAD(io.BytesIO(data), map_location=call, weights_only=True, mmap=False, **arguments)
    except CallersError as error:
        raise error.error from None
    except Exception as error:
        raise UnsafeCheckpoint(
            f"{scan.report.path} passed safeload's gate and torch refused it: {type(error).__name__}: {error}",
            report=scan.report,
        ) from error


ORIGINAL_LOAD: Callable[..., Any] = inspect.unwrap(torch.serialization.load)
"""torch's own loader, also when something has replaced it before this import, and has set `__wrapped__`."""
