"""HDF5 (Keras and others): found wherever an HDF5 reader looks for it, and reported as unjudged. Nothing is read of it.

A user block may stand before the signature, at 512, 1024, 2048, ... bytes: HDF5 File Format Specification 3.0, II.A.
"""

from __future__ import annotations

from safeload.containers.interface import ContainerLayout, Reading
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FIRST_BLOCK = 512


class Hdf5:
    """See the module."""

    name = "hdf5"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. SECURITY: not by the first bytes alone: HDF5 readers skip a user block there."""
        return signature_at(source) is not None

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        at = signature_at(source)
        yield Finding(
            "unrecognised-format", Verdict.UNJUDGED, Severity.LOW,
            "HDF5 (Keras and others): not a pickle format; not judged",
            "open it with h5py, which runs nothing; a Keras model may hold code in Lambda layers: use safe_mode",
            offset=at, evidence=SIGNATURE.hex(" "),
        )  # fmt: skip
        return ContainerLayout(metadata={"kind": "hdf5"})


def signature_at(source: Source) -> int | None:
    """Offset of the signature of HDF5; None when an HDF5 reader would find none."""
    at = 0
    while at + len(SIGNATURE) <= source.size:
        if source.peek(at, len(SIGNATURE)) == SIGNATURE:
            return at
        at = at * 2 or _FIRST_BLOCK
    return None
