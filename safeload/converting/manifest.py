"""The manifest of a conversion: what was read, what was written, what was left out, with digests of all of it. JSON.

Its fields are a list of their own with a version, never a dump of a class. Reads the two files once more, for digests.
Of a sharded checkpoint there is one for all shards (`of_shards`), of a folder of checkpoints a list (`of_folder`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from safeload.converting.encoding import CODES
from safeload.converting.interface import Dropped, Options, Stored
from safeload.converting.write.output import Output
from safeload.errors import UsageError
from safeload.report import VERSION, Report, finding_fields
from safeload.source import Source

SCHEMA = "safeload.manifest/1"
FOLDER_SCHEMA = "safeload.manifest.folder/1"

_CHUNK = 1 << 20
_OUTPUTS = (".safetensors", ".index.json", ".tree.json")
"""How the files of a conversion end: the names of some are known only when they are made."""


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
    return written(document)


def written(document: Mapping[str, object]) -> bytes:
    """A document as it stands in its file."""
    return (json.dumps(document, ensure_ascii=True, indent=2) + "\n").encode("ascii")


def of_shards(
    parts: Iterable[dict[str, Any]],
    options: Options,
    *,
    source: str,
    source_size: int,
    source_sha256: str,
    output: str,
    output_raw: bytes,
    empty: Iterable[tuple[str, Iterable[Dropped]]],
) -> dict[str, object]:
    """One manifest for a converted sharded checkpoint, out of those of its shards, which stand in the order of `parts`.

    Of the form of a single one: `source` is the old index and `output` the new one. What is known of each shard is in
    `shards`, and what was found in it or left out of it names it as `source`. `empty`: shards without an output, and
    what was in them.
    """
    given = list(parts)
    order = ("clean", "unvetted", "dangerous")
    of = [(part, part["source"]["path"]) for part in given]
    lost: list[dict[str, Any]] = [{**item._asdict(), "source": path} for path, dropped in empty for item in dropped]
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "policy_digest": given[0]["policy_digest"],
        "source": {
            "path": source,
            "size": source_size,
            "sha256": source_sha256,
            "judged_sha256": None,
            "container": "index",
            "verdict": max((part["source"]["verdict"] for part in given), key=order.index),
        },
        "output": {
            "path": output,
            "size": len(output_raw),
            "sha256": hashlib.sha256(output_raw).hexdigest(),
            "tree_sha256": None,
        },
        "options": options.record(),
        "tensors": [entry for part in given for entry in part["tensors"]],
        "ties": {name: kept for part in given for name, kept in part["ties"].items()},
        "findings": [{**entry, "source": path} for part, path in of for entry in part["findings"]],
        "dropped": [{**entry, "source": path} for part, path in of for entry in part["dropped"]] + lost,
        "notes": [note for part in given for note in part["notes"]],
        "shards": [{**part["output"], "source": part["source"]} for part in given],
    }


def of_folder(
    files: Iterable[Mapping[str, object]],
    failed: Iterable[tuple[str, Exception]],
    skipped: Iterable[tuple[str, str]],
) -> dict[str, object]:
    """The manifest of a whole folder: that of each converted file (or set of shards), and what became of the others.

    failed   path and error of each that was not converted;  skipped: path and reason
    """
    return {
        "schema": FOLDER_SCHEMA,
        "version": VERSION,
        "files": list(files),
        "failed": [
            {"path": path, "error": type(error).__name__, "message": str(error), "verdict": _verdict(error)}
            for path, error in failed
        ],
        "skipped": [{"path": path, "reason": reason} for path, reason in skipped],
    }


def _verdict(error: Exception) -> str | None:
    """Of a file that was refused for what is in it."""
    report = getattr(error, "report", None)
    return report.verdict.value if isinstance(report, Report) else None


def manifest_output(options: Options, others: Iterable[str]) -> Output:
    """The manifest of a folder, before anything is in it.

    Raises UsageError when it would take the place of one of `others` (sources, outputs), or is called as outputs are.
    """
    path = os.fspath(options.manifest or "")
    real = os.path.normcase(os.path.realpath(path))
    if real.endswith(_OUTPUTS):
        raise UsageError(f"the manifest cannot be {path!r}, which is a name for outputs: give another name")
    for other in others:
        # SECURITY: by device and number too, for a hard link of a source has a name of its own.
        same = os.path.normcase(os.path.realpath(other)) == real
        if same or (os.path.exists(path) and os.path.exists(other) and os.path.samefile(path, other)):
            raise UsageError(f"the manifest cannot be {path!r}, which is a source or an output: give another name")
    return Output(path, force=options.force)


def read_manifest(folder: str, number: int, output: str | None = None) -> dict[str, Any]:
    """A manifest that was written aside; `output`: where what it tells of will lie in the end."""
    with open(os.path.join(folder, f"{number}.json"), "rb") as file:
        document: dict[str, Any] = json.load(file)
    if output is not None:
        document["output"]["path"] = output
    return document
