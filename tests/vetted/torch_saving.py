"""Objects of torch, saved every way that torch has, and the Documents that a scan makes of them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Iterator
from dataclasses import dataclass

from safeload.document.document import Document, StorageSpec, TensorSpec, resolve
from safeload.document.dtypes import itemsize
from safeload.document.elements import elements
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import Scan, scan_source


@dataclass(frozen=True)
class Way:
    """One way to save: `zipped` or legacy, with a pickle protocol."""

    zipped: bool
    protocol: int

    def __str__(self) -> str:
        return f"{'zip' if self.zipped else 'legacy'}-{self.protocol}"


WAYS = tuple(Way(zipped, protocol) for zipped in (True, False) for protocol in (2, 3, 4, 5))
BOTH = (Way(True, 2), Way(False, 2))


def saved(value: object, way: Way) -> bytes:
    """The file that torch.save makes."""
    import torch

    out = io.BytesIO()
    torch.save(value, out, pickle_protocol=way.protocol, _use_new_zipfile_serialization=way.zipped)
    return out.getvalue()


def scanned(data: bytes) -> Scan:
    """A scan of bytes with the default policy and limits."""
    return scan_source(MemorySource(data), policy=Policy.default(), limits=Limits())


def denoted(value: object, way: Way) -> Document:
    """The Document of `value` saved, which must be clean."""
    found = scanned(saved(value, way))
    assert [(f.rule, f.message, f.evidence) for f in found.report.findings] == []
    assert found.report.verdict is Verdict.CLEAN
    assert found.report.container == ("torch-zip" if way.zipped else "torch-legacy")
    assert found.document is not None
    return found.document


def pickled(value: object, protocol: int) -> Document:
    """The Document of a plain pickle of `value`, which must be clean."""
    found = scanned(pickle.dumps(value, protocol))
    assert [(f.rule, f.message, f.evidence) for f in found.report.findings] == []
    assert found.document is not None
    return found.document


def values(document: Document, spec: TensorSpec) -> bytes:
    """The elements of `spec`, read where the Document says that its storage lies."""
    assert spec.storage is not None
    home = spec.storage.home or document
    extent = home.storages[spec.storage.key]
    assert extent.stored
    assert extent.size == spec.storage.nbytes
    held = home.source.read(extent.offset, extent.length)
    return elements(spec, held, big_endian=home.big_endian)


def storages(document: Document) -> Iterator[tuple[str, bytes]]:
    """Every storage with its bytes."""
    for key, extent in document.storages.items():
        yield key, document.source.read(extent.offset, extent.length)


def strided(spec: object) -> TensorSpec:
    """The TensorSpec at a place."""
    found = resolve(spec)
    assert type(found) is TensorSpec
    return found


def whole(storage: StorageSpec) -> int:
    """Elements of a typed storage."""
    assert storage.dtype is not None
    return storage.nbytes // itemsize(storage.dtype)
