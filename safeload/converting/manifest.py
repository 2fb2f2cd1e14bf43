"""The manifest of a conversion: what was read, what was written, what was left out, with digests of all of it. JSON.

Its fields are a list of their own with a version, never a dump of a class. Reads the two files once more, for digests.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor

from safeload.converting.encoding import CODES
from safeload.converting.interface import Dropped, Options, Stored
from safeload.report import VERSION, Report, finding_fields
from safeload.source import Source

SCHEMA = "safeload.manifest/1"

_CHUNK = 1 << 20


def digests(sources: Iterable[Source], told: Callable[[int], None]) -> list[str]:
    """sha256 of the bytes of each input, in hex, at the same time."""
    given = list(sources)
    done = [0] * len(given)

    def one(number: int) -> str:
        source, total = given[number], hashlib.sha256()
        for offset in range(0, source.size, _CHUNK):
            total.update(source.peek(offset, _CHUNK))
            done[number] = offset
            if not number:
                told(sum(done))
        return total.hexdigest()

    with ThreadPoolExecutor(len(given)) as pool:
        return list(pool.map(one, range(len(given))))


def manifest(
    report: Report,
    options: Options,
    *,
    source_sha256: str,
    output: str,
    output_size: int,
    output_sha256: str,
    sidecar: bytes | None,
    tensors: Iterable[Stored],
    tensor_sha256: Mapping[str, str],
    ties: Mapping[str, str],
    dropped: Iterable[Dropped],
    notes: Iterable[str],
) -> bytes:
    """The JSON document, ASCII."""
    document = {
        "schema": SCHEMA,
        "version": VERSION,
        "policy_digest": report.policy_digest,
        "source": {
            "path": report.path,
            "size": report.size,
            "sha256": source_sha256,
            "judged_sha256": report.judged_sha256,
            "container": report.container,
            "verdict": report.verdict.value,
        },
        "output": {
            "path": output,
            "size": output_size,
            "sha256": output_sha256,
            "tree_sha256": None if sidecar is None else hashlib.sha256(sidecar).hexdigest(),
        },
        "options": options.record(),
        "tensors": [
            {
                "name": stored.name,
                "dtype": CODES[stored.dtype],
                "shape": list(stored.shape),
                "bytes": stored.nbytes,
                "sha256": tensor_sha256[stored.name],
                "cast_from": stored.source,
            }
            for stored in tensors
        ],
        "ties": dict(ties),
        "findings": [finding_fields(finding) for finding in report.findings],
        "dropped": [item._asdict() for item in dropped],
        "notes": list(notes),
    }
    return (json.dumps(document, ensure_ascii=True, indent=2) + "\n").encode("ascii")
