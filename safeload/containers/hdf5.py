"""HDF5 (Keras and others): found wherever its readers look for it, and told; nothing of it is judged.

A user block may stand before the signature, at 512, 1024, 2048, ... bytes: HDF5 File Format Specification 3.0, II.A.
"""

from __future__ import annotations

from safeload.containers.interface import Layout, Reading
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FIRST_BLOCK = 512


class Hdf5:
    """See the module."""

    name = "hdf5"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. SECURITY: what stands before a user block is of no interest to an HDF5 reader."""
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
        return Layout(metadata={"kind": "hdf5"})


def signature_at(source: Source) -> int | None:
    """Where the signature of HDF5 stands, None where a reader would not find one."""
    at = 0
    while at + len(SIGNATURE) <= source.size:
        if source.peek(at, len(SIGNATURE)) == SIGNATURE:
            return at
        at = at * 2 or _FIRST_BLOCK
    return None
