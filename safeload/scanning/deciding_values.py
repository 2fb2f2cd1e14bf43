"""Reads the elements of a tensor whose values decide whether it is valid: sparse indices, zero points.

The limits say how many bytes of storages one input may have read. Judges nothing.
"""

from __future__ import annotations

from safeload.containers.interface import ContainerLayout, StorageExtents
from safeload.containers.storage_bytes import storage_bytes
from safeload.document.document import TensorSpec
from safeload.document.elements import elements, is_contiguous, spec_bytes
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.scanning.tally import Tally
from safeload.source import Source
from safeload.vetted import ShapeError


def deciding_values(
    spec: TensorSpec, source: Source, layout: ContainerLayout, announced: StorageExtents | None, tally: Tally
) -> bytes:
    """The elements of `spec`, in its order.

    The storages are those of `layout`; before the container gives its layout, those that it `announced`. Raises
    ShapeError when the file does not hold the elements, or when reading them would pass a limit.
    """
    early = StorageExtents({}) if announced is None else announced
    big_endian = layout.big_endian or early.big_endian
    storage = spec.storage
    # SECURITY: a storage of a file inside this one has its home there; the same key here is another storage.
    home = None if storage is None else storage.home
    if storage is None:
        extent = None
    elif home is not None:
        extent = home.storages.get(storage.key)
    else:
        extent = layout.storages.get(storage.key) or early.storages.get(storage.key)
    if storage is None or extent is None or extent.size != storage.nbytes:
        raise ShapeError("the values that decide validity are not in the file", Verdict.UNJUDGED)
    most = tally.limits.validated_bytes if is_contiguous(spec) else tally.limits.validated_bytes >> 5
    tally.validated += spec_bytes(spec)
    if max(spec_bytes(spec), tally.validated) > most:
        raise ShapeError(
            f"{spec_bytes(spec)} bytes would have to be read to check this tensor; "
            "raise it with --limit validated_bytes=VALUE", Verdict.UNJUDGED, "limit-reached",
        )  # fmt: skip
    try:
        data = storage_bytes(source if home is None else home.source, extent, max(most, tally.limits.validated_bytes))
    except (Malformed, LimitExceeded) as error:
        raise ShapeError(error.message, Verdict.UNJUDGED) from error
    return elements(spec, data, big_endian=big_endian if home is None else home.big_endian)
