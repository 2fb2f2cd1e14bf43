"""`safeload.save`: a nested object of tensors and plain data, straight to a safetensors file that `load` gives back.

There is no second serialiser. A Pickler writes the object into memory, with storages left where they are; that pickle
goes through the machine, the judge and the converter like any file, over a Source that takes storage bytes from the
tensors. So what can be saved is what can be loaded: anything outside the vetted table is refused here, when it can
still be mended. Only this file writes pickles; none reaches the disk.
"""

from __future__ import annotations

import io
import os
import pickle
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import torch

from safeload.containers.interface import ContainerLayout, Naming, Pickle, Reading, StorageExtents
from safeload.converting.interface import CONVERT_KEY, Options
from safeload.converting.single import Job, finished
from safeload.document.document import Extent, resolve
from safeload.document.record import Record
from safeload.errors import LimitExceeded, UnsafeCheckpoint, UsageError
from safeload.findings import Verdict
from safeload.inputs.cached import FetchedSource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import Scan, scan_source
from safeload.source import Source
from safeload.tree.paths import named_leaves

RESERVED = "safeload."
"""Keys of the metadata that start like this are safeload's own."""

# No memo of objects by value, no python 2 spellings; the machine reads all protocols alike.
_PROTOCOL = 4
_ALIGNMENT = 64
_SHOWN = 8
_WAY = "save its parts in its place: vars(x), dict(x), or x.state_dict() of a module or optimizer"


def save(
    obj: Any,
    path: str | os.PathLike[str],
    metadata: Mapping[str, str] | None = None,
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
) -> None:
    """Write `obj` to the safetensors file `path`: the safe counterpart of `torch.save`, read by `safeload.load(path)`.

    Tensors on a device are copied piece by piece while they are written. When torch.distributed is initialised, rank 0
    writes and the others return at once: wait at a barrier before you read. The file is verified before it takes its
    name, so a tensor that changes meanwhile is an error.

    Args:
        obj: Tensors and plain data, nested in dicts, lists, tuples and sets, and what else the vetted table knows
            (numpy arrays, dates, paths, OrderedDict, torch.Size, dtypes, RNG states...). Ties, views, requires_grad,
            Parameters and devices are kept. A flat dict of tensors gives the plain file that every safetensors reader
            takes.
        path: Replaced in one step when it exists: a crash leaves the old file or the new one.
        metadata: Further entries of the file's `__metadata__`, texts to texts: {"git": "1f3a9c"}. Keys that start with
            "safeload." are refused, and so is "format".
        policy: To judge by, as for `safeload.load`.
        limits: What the object may cost. None is `Limits()`.

    Raises:
        UnsafeCheckpoint: Something in `obj` is no vetted data; the message names its place (with `.report`).
        UsageError: An argument has no meaning.
        OutputError: The file cannot be written (an OSError).

    Example:
        >>> safeload.save({"weight": torch.ones(2, 3), "epoch": 7}, "model.safetensors")
        >>> safeload.load("model.safetensors")["epoch"]
        7
    """
    given = _checked(metadata or {})
    if not isinstance(path, str | os.PathLike):
        raise UsageError(
            f"path must be a path, not {type(path).__name__}: the file takes its name in one step at the end"
        )
    if _other_rank():
        return
    name = os.fsdecode(path)
    limits = limits or Limits()
    with closing(_held(obj, name)) as held:
        source = held.source
        scan = scan_source(source, policy=policy or Policy.default(), limits=limits, containers=(held.container,))
        _admit(scan, limits)
        job = Job(source, Options(metadata=given, force=True, policy=policy, limits=limits), scan)
        # The record of a conversion: there is no source that it could be repeated from.
        job.entries.pop(CONVERT_KEY)
        finished(job, path)


def _checked(metadata: Mapping[str, str]) -> dict[str, str]:
    if not isinstance(metadata, Mapping):
        raise UsageError(f"metadata maps texts to texts, and is no {type(metadata).__name__}")
    for key, value in metadata.items():
        if type(key) is not str or type(value) is not str:
            raise UsageError(f"metadata maps texts to texts; {key!r} -> {value!r:.100} does not")
        if key.startswith(RESERVED) or key == "format":
            raise UsageError(f"the metadata key {key!r} is reserved for safeload: name it differently")
    return dict(metadata)


def _other_rank() -> bool:
    """Whether another process of the group writes the file."""
    distributed = torch.distributed
    return bool(distributed.is_available() and distributed.is_initialized() and distributed.get_rank() != 0)


class _Pickler(pickle.Pickler):
    """Writes the pickle of torch.save, and remembers the storages that it names instead of writing them."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=_PROTOCOL)
        self.storages: dict[str, torch.UntypedStorage] = {}
        self.last: object = None
        self._keys: dict[int, str] = {}
        self._dtypes: dict[int, torch.dtype] = {}

    def persistent_id(self, obj: Any) -> tuple[object, ...] | None:
        """The name of a storage as torch.save spells it. Source: torch/serialization.py `_save`, torch 2.13."""
        self.last = obj
        if isinstance(obj, torch.storage.TypedStorage):
            storage = obj._untyped_storage
            dtype: torch.dtype = obj.dtype
            kind, count = getattr(torch, obj._pickle_storage_type()), obj._size()
        elif isinstance(obj, torch.UntypedStorage):
            storage, dtype, kind, count = obj, torch.uint8, torch.UntypedStorage, obj.nbytes()
        else:
            return None
        if storage.device.type != "meta" and storage.data_ptr():
            # As torch.save: two element types of one storage cannot both be said by its persistent id.
            first = self._dtypes.setdefault(storage.data_ptr(), dtype)
            if first != dtype:
                raise UsageError(
                    f"two tensors or storages share bytes, as {first} and as {dtype}: save a clone() of one of them"
                )
        key = self._keys.setdefault(storage._cdata, str(len(self._keys)))
        self.storages[key] = storage
        return ("storage", kind, key, torch.serialization.location_tag(storage), count)


class _Pickled:
    """The container of one pickle in memory, and of the storages that it names."""

    name = "memory"

    def __init__(self, source: Source, end: int, extents: Mapping[str, Extent]) -> None:
        self._source = source
        self._end = end
        self._extents = extents

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        return source is self._source

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        big_endian = sys.byteorder == "big"
        yield StorageExtents(self._extents, big_endian)
        yield Pickle("object", 0, self._end, main=True, naming=Naming.STORAGES, encoding="utf-8")
        return ContainerLayout(self._extents, big_endian)


class _Held:
    """The pickle, and behind it the bytes of the storages, as if they lay in a file: copied when they are asked for."""

    def __init__(self, name: str, pickled: bytes, storages: Mapping[str, torch.UntypedStorage]) -> None:
        self._held: list[torch.Tensor | bytes] = [pickled]
        extents = {}
        end = len(pickled)
        starts = [0]
        for key, storage in storages.items():
            start = -(-end // _ALIGNMENT) * _ALIGNMENT
            self._held += [bytes(start - end), _bytes(storage)]
            starts += [end, start]
            extents[key] = Extent(start, storage.nbytes(), storage.nbytes())
            end = start + storage.nbytes()
        self._begins = starts
        self.source = FetchedSource(name, end, self._fetch)
        self.container = _Pickled(self.source, len(pickled), extents)

    def _fetch(self, offset: int, length: int) -> bytes:
        """See `CachedSource.fetch`. Of a tensor on a device, this part alone is copied."""
        index = bisect_right(self._begins, offset) - 1
        parts: list[bytes] = []
        while length:
            held, start = self._held[index], offset - self._begins[index]
            part = held[start : start + length]
            parts.append(part if isinstance(part, bytes) else part.cpu().numpy().tobytes())
            offset += len(parts[-1])
            length -= len(parts[-1])
            index += 1
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Let go of the storages."""
        self._held = []


def _bytes(storage: torch.UntypedStorage) -> torch.Tensor:
    """All bytes of a storage, as a tensor over it."""
    return torch.empty(0, dtype=torch.uint8, device=storage.device).set_(storage)


def _held(obj: Any, name: str) -> _Held:
    """`obj` as the source of a conversion. Raises UsageError for what Python cannot pickle."""
    file = io.BytesIO()
    pickler = _Pickler(file)
    try:
        pickler.dump(obj)
    except UsageError as error:
        raise UsageError(f"{name} was not saved: {error}") from None
    except RecursionError:
        raise UsageError(f"{name} was not saved: its containers are nested too deep to be written") from None
    except MemoryError:
        raise
    except Exception as error:  # whatever the methods of somebody's class raise
        raise UsageError(f"{name} was not saved: {_blamed(pickler.last, obj, error)}; {_WAY}") from error
    return _Held(name, file.getvalue(), pickler.storages)


def _blamed(wanted: object, obj: object, error: Exception) -> str:
    """What could not be pickled, and where it stands; its class may have more methods that fail."""
    try:
        kind = type(wanted)
        place = place_of(wanted, obj)
        return f"{place} holds an object of {kind.__module__}.{kind.__qualname__}, which is no data ({error})"
    except Exception:
        return f"an object in it cannot be read ({type(error).__name__})"


def _admit(scan: Scan, limits: Limits) -> None:
    """Return when all of the object is vetted data; else raise UnsafeCheckpoint with the place of what is not."""
    report = scan.report
    if report.verdict is Verdict.CLEAN:
        return
    lines = [f"{report.path} was not saved: the object is not vetted data only (verdict: {report.verdict.value})"]
    found = _records(scan, limits)
    if found:
        lines += [f"  {ascii(place)[1:-1]}: an object of {ascii(name)[1:-1]}" for place, name in found[:_SHOWN]]
        more = len(found) - _SHOWN
    else:
        listed = [finding for finding in report.findings if finding.verdict is not Verdict.CLEAN]
        lines += [f"  {ascii(finding.message)[1:-1]}" for finding in listed[:_SHOWN]]
        more = len(listed) - _SHOWN + report.omitted
    if more > 0:
        lines.append(f"  ... and {more} more")
    lines.append(f"Ways forward: {_WAY}; leave out what is no data")
    raise UnsafeCheckpoint("\n".join(lines), report=report)


def _records(scan: Scan, limits: Limits) -> list[tuple[str, str]]:
    """(dotted place, class) of what is outside the table; empty when it has no place (in a set, as a key)."""
    if scan.document is None:
        return []
    root = resolve(scan.document.root)
    try:
        leaves = named_leaves(root, lambda value: isinstance(value, Record), limits)
    except LimitExceeded:
        return []
    whole = isinstance(root, Record)
    return [
        ("the object itself" if whole else name, f"{record.module}.{record.qualname}")
        for name, record in leaves.items()
    ]


def place_of(wanted: object, obj: object) -> str:
    """Where `wanted` stands in `obj`, as Python would reach it from a name `obj`; "obj" when it cannot be told.

    Follows dicts, lists, tuples and attributes, each object once.
    """
    seen = {id(obj)}
    todo = [("obj", obj)]
    while todo:
        place, value = todo.pop()
        if value is wanted:
            return place
        for step, child in _steps(value):
            if id(child) not in seen:
                seen.add(id(child))
                todo.append((f"{place}{step}", child))
    return "obj"


def _steps(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r:.100}]", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(attributes := getattr(value, "__dict__", None), dict) and not isinstance(value, type):
        yield from ((f".{name}", item) for name, item in attributes.items())
