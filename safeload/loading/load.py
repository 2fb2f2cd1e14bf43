"""`safeload.load`: scan, then either refuse or rebuild what was judged, from the same bytes.

There is one path and no fallback: nothing here calls an unpickler, and `engine="torch"` is a second gate behind ours.
"""

from __future__ import annotations

import gc
import io
import os
from collections.abc import Iterable
from typing import Any

import torch

from safeload.document import Document
from safeload.errors import LoadFailed, SafeloadError, UnsafeCheckpoint, UsageError, WrongArgument
from safeload.inputs import FileSource, MemorySource, open_source
from safeload.limits import Limits
from safeload.loading.gate import admit
from safeload.loading.placement import CallersError, MapLocation, Placement
from safeload.loading.rebuild import Rebuild
from safeload.loading.storages import Storages
from safeload.loading.trust import Trust
from safeload.policy import Policy
from safeload.scanner import Scan, scan_source
from safeload.source import Source

_ENCODINGS = ("ASCII", "utf-8", "latin1", "bytes")


def load(
    f: Any,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    unvetted: str = "refuse",
    trust: Iterable[type | str] = (),
    policy: Policy | str | os.PathLike[str] | None = None,
    engine: str = "safeload",
    limits: Limits | None = None,
    **pickle_load_args: Any,
) -> Any:
    """Load a checkpoint without running anything in it; a drop-in for torch.load.

    f              a path, a seekable binary file object (read from its position), or the bytes themselves
    map_location   as torch.load's; None puts storages back on the device they were saved from when it exists here,
                   else on the CPU
    pickle_module  must be None: nothing is unpickled
    weights_only   True admits tensors, containers and primitives, as torch's own list does; None and False admit the
                   whole vetted table (numpy, dates, paths, Namespace, RNG states...). NONE OF THE THREE RUNS ANYTHING:
                   False does not mean here what it means to torch.load
    mmap           None or True: tensors of a stored zip or legacy file given by path view a private, copy-on-write map
                   of it; False: they are read into memory
    unvetted       "refuse" raises for classes outside the table; "record" gives inert safeload.Record objects for them
    trust          classes (or their dotted names) that may be rebuilt by `object.__new__` and their saved attributes
    policy         a Policy, or the path of a rule pack that tightens the default one
    engine         "torch" lets torch.load(weights_only=True) build the objects, from the judged bytes, as a second gate
    encoding       of python 2 strings, as torch.load's: "utf-8" (default), "ASCII", "latin1" or "bytes"

    Raises UnsafeCheckpoint (a pickle.UnpicklingError, with `.report`) when the verdict does not allow the load,
    InputError (an OSError) when the input cannot be read, LoadFailed when memory or a device is missing, UsageError for
    arguments without a meaning. What your own map_location or file object raises passes through.
    Semantics: torch/serialization.py `load`, torch 2.13.
    """
    if pickle_module is not None:
        raise WrongArgument("pickle_module is not taken: safeload.load never unpickles, so there is nothing to choose")
    encoding = _encoding(pickle_load_args)
    if engine not in ("safeload", "torch"):
        raise UsageError(f"engine must be 'safeload' or 'torch', not {engine!r}")
    rules = _policy(policy)
    if weights_only:
        rules = rules.weights_only()
    trusted = Trust(trust, rules)
    placement = Placement(map_location)
    source = open_source(f)
    if mmap and not isinstance(source, FileSource):
        raise UsageError("mmap=True needs a path: a file object or bytes cannot be mapped")
    try:
        if engine == "torch":
            source = _private(source)
        scan = scan_source(source, policy=rules, limits=limits or Limits(), encoding=encoding)
        admit(scan.report, unvetted=unvetted, trust=trusted, narrowed=bool(weights_only))
        if engine == "torch":
            return _by_torch(source, map_location, scan, encoding)
        return rebuild(_document(scan), placement, trusted, use_mmap=mmap)
    finally:
        source.close()


def rebuild(document: Document, placement: Placement, trust: Trust, *, use_mmap: bool | None) -> Any:
    """The objects of an admitted Document. Collection is off meanwhile: a build keeps all that it makes."""
    storages = Storages(document, placement, use_mmap=use_mmap)
    was_on = gc.isenabled()
    gc.disable()
    try:
        return Rebuild(document, storages, placement, trust).build(document.root)
    except CallersError as error:
        raise error.error from None
    except SafeloadError:
        raise
    except Exception as error:
        raise LoadFailed(f"what the file describes could not be built: {type(error).__name__}: {error}") from error
    finally:
        if was_on:
            gc.enable()


def _document(scan: Scan) -> Document:
    if scan.document is None:
        raise UnsafeCheckpoint(f"{scan.report.path} holds no object to load", report=scan.report)
    return scan.document


def _policy(policy: Policy | str | os.PathLike[str] | None) -> Policy:
    if policy is None:
        return Policy.default()
    return policy if isinstance(policy, Policy) else Policy.from_file(policy)


def _encoding(arguments: dict[str, Any]) -> str | None:
    """The encoding for python 2 strings, None for the format's own. Raises WrongArgument for other arguments."""
    encoding: str | None = arguments.pop("encoding", None)
    if arguments:
        raise WrongArgument(f"not taken, because nothing is unpickled: {', '.join(sorted(arguments))}")
    if encoding is not None and encoding not in _ENCODINGS:
        raise UsageError(f"encoding must be one of {', '.join(_ENCODINGS)}, not {encoding!r}")
    return encoding


def _private(source: Source) -> Source:
    """All bytes of the input in memory, so that what is judged is what torch gets."""
    data = source.peek(0, source.size)
    source.close()
    return MemorySource(data, source.name)


def _by_torch(source: Source, map_location: Any, scan: Scan, encoding: str | None) -> Any:
    """Torch's own restricted loader over the judged bytes: a file must pass both gates."""
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
        return ORIGINAL_LOAD(io.BytesIO(data), map_location=call, weights_only=True, **arguments)
    except CallersError as error:
        raise error.error from None
    except Exception as error:
        raise UnsafeCheckpoint(
            f"{scan.report.path} passed safeload's gate and torch refused it: {type(error).__name__}: {error}",
            report=scan.report,
        ) from error


ORIGINAL_LOAD = torch.load
"""torch's own loader, kept before anything replaces it."""
