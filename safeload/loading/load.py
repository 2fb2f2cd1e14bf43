"""`safeload.load`: scan, then either refuse or rebuild what was judged, from the same bytes.

There is one path and no fallback: nothing here calls an unpickler, and `engine="torch"` is a second gate behind ours.
"""

from __future__ import annotations

import inspect
import io
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import Any

import torch

from safeload.attesting.reading import read_statement
from safeload.attesting.statement import verify
from safeload.document.document import Document
from safeload.errors import NotAttested, UnsafeCheckpoint, UsageError, WrongArgument
from safeload.limits import Limits
from safeload.loading.judged import Judged, Terms, judge
from safeload.loading.placement import CallersError, MapLocation, Placement, own_errors
from safeload.loading.rebuild import Rebuild
from safeload.loading.storages import Storages
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
    attestation: Any = None,
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
    policy         a Policy, the name of one ("weights-only", "strict"), or the path of a rule pack that tightens the
                   default one and may name classes whose records are accepted (see docs/policy.md)
    engine         "torch" lets torch.load(weights_only=True) build the objects, from the judged bytes, as a second gate
    attestation    a certificate of `safeload scan --attest` (path, bytes, file object or parsed Statement) that has to
                   hold for the very bytes that are loaded; a further condition, beside the judging and never instead
    encoding       of python 2 strings, as torch.load's: "utf-8" (default), "ASCII", "latin1" or "bytes"

    Raises UnsafeCheckpoint (a pickle.UnpicklingError, with `.report`) when the verdict does not allow the load, and its
    NotAttested when the certificate does not hold,
    Malformed (a ValueError) when what was admitted cannot be built after all (keys that are equal once they are built),
    InputError (an OSError) when the input cannot be read, LoadFailed when memory or a device is missing, UsageError for
    arguments without a meaning. What your own map_location or file object raises passes through.
    Semantics: torch/serialization.py `load`, torch 2.13.
    """
    if pickle_module is not None:
        raise WrongArgument("pickle_module is not taken: safeload.load never unpickles, so there is nothing to choose")
    return restore(
        f,
        map_location,
        mmap=mmap,
        engine=engine,
        attestation=attestation,
        terms=Terms(
            unvetted, trust, policy, bool(weights_only), limits or Limits(), python2_encoding(pickle_load_args)
        ),
    )


def restore(
    f: Any, map_location: MapLocation, *, mmap: bool | None, engine: str, terms: Terms, attestation: Any = None
) -> Any:
    """What `load` and all that stand for it do: judge, then refuse or build. See `load`."""
    if engine not in ENGINES:
        raise UsageError(f"engine must be 'safeload' or 'torch', not {engine!r}")
    # Off until the Document is gone: a collection in between would walk all of it and find nothing.
    pause()
    try:
        return _restore(f, map_location, mmap=mmap, engine=engine, terms=terms, attestation=attestation)
    finally:
        resume()


def _restore(
    f: Any, map_location: MapLocation, *, mmap: bool | None, engine: str, terms: Terms, attestation: Any
) -> Any:
    placement = Placement(map_location)
    given = None if attestation is None else read_statement(attestation)
    with closing(judge(f, terms, private=engine == "torch", mapped=bool(mmap))) as judged:
        if given is not None:
            _attested(judged, given, terms)
        if engine == "torch":
            return _by_torch(judged.source, map_location, judged.scan, terms.encoding)
        return rebuild(judged.document(), placement, judged.trust, use_mmap=mmap)


def _attested(judged: Judged, given: Mapping[str, Any], terms: Terms) -> None:
    """Demand that the certificate holds for the judged bytes: what was read is in the source, and not read again.

    The rules of weights_only are a part of those that the certificate was made under: its digest is the whole ones'.
    """
    report = judged.scan.report
    policy = terms._replace(weights_only=False).rules()
    try:
        derived = verify(judged.source, given, policy.digest)
        if derived["container"] != report.container:
            raise NotAttested(f"{report.path} was judged as {report.container} and attested as {derived['container']}")
    except NotAttested as error:
        raise NotAttested(f"{ascii(report.path)[1:-1]} was not loaded: {error}", report=report) from error


def rebuild(document: Document, placement: Placement, trust: Trust, *, use_mmap: bool | None) -> Any:
    """The objects of an admitted Document. Collection is off meanwhile: a build keeps all that it makes."""
    storages = Storages(document, placement, use_mmap=use_mmap)
    pause()
    try:
        with own_errors():
            return Rebuild(document, storages, placement, trust).build(document.root)
    finally:
        resume()


def python2_encoding(arguments: dict[str, Any]) -> str | None:
    """What `encoding` says of python 2 strings, None for the format's own. Takes it out of `arguments`.

    `fix_imports` and `errors="strict"` go with it: they change nothing here. Raises WrongArgument for any other one.
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
        return ORIGINAL_LOAD(io.BytesIO(data), map_location=call, weights_only=True, mmap=False, **arguments)
    except CallersError as error:
        raise error.error from None
    except Exception as error:
        raise UnsafeCheckpoint(
            f"{scan.report.path} passed safeload's gate and torch refused it: {type(error).__name__}: {error}",
            report=scan.report,
        ) from error


ORIGINAL_LOAD: Callable[..., Any] = inspect.unwrap(torch.serialization.load)
"""torch's own loader, from under whatever replaced it before this was imported (and says so by `__wrapped__`)."""
