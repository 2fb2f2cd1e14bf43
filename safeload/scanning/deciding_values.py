"""The elements of a tensor whose values decide whether it is valid: sparse indices, zero points.

Reads storages, as many bytes as one input may cost, and judges nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from safeload.containers.storage_bytes import storage_bytes
from safeload.document.document import Extent, TensorSpec
from safeload.document.elements import elements, is_contiguous, spec_bytes
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.scanning.tally import Tally
from safeload.source import Source
from safeload.vetted import ShapeError


class Home(NamedTuple):
    """Where the storages of one reading lie: those of its layout, and before that is known those that it announced."""

    source: Source
    storages: Mapping[str, Extent]
    early: Mapping[str, Extent]
    big_endian: bool


def deciding_values(spec: TensorSpec, here: Home, tally: Tally) -> bytes:
    """The elements of `spec`, in its order. Raises ShapeError where the file does not give them within the limits."""
    storage = spec.storage
    # SECURITY: a storage of a file inside this one has its home there; the same key here is another storage.
    home = None if storage is None else storage.home
    if storage is None:
        extent = None
    elif home is not None:
        extent = home.storages.get(storage.key)
    else:
        extent = here.storages.get(storage.key) or here.early.get(storage.key)
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
        source = here.source if home is None else home.source
        data = storage_bytes(source, extent, max(most, tally.limits.validated_bytes))
    except (Malformed, LimitExceeded) as error:
        raise ShapeError(error.message, Verdict.UNJUDGED) from error
    return elements(spec, data, big_endian=here.big_endian if home is None else home.big_endian)
