"""The header of the output: its metadata, the order of its tensors, and where each begins.

Data lie by alignment, largest first, so that every tensor is aligned (the format knows no padding between tensors), and
among equals in the order of the source, so that both files are read and written from front to back. The entries of the
JSON stand in the order of the source's own object. Source: the README of safetensors, "Format".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from json.encoder import encode_basestring

from safeload.converting.encoding import CODES
from safeload.converting.gate import calls
from safeload.converting.interface import CONVERT_KEY, DISARMED_KEY, Options, Stored
from safeload.converting.plan.plan import FilePlan
from safeload.document.document import Document
from safeload.document.dtypes import itemsize
from safeload.errors import NotConvertible, UsageError
from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.report import VERSION, Report
from safeload.tree.interface import DIGEST_KEY, KEY
from safeload.tree.sidecar import binding

OWN = "safeload."
"""What all keys of ours in `__metadata__` begin with."""

_KEYS = frozenset({KEY, DIGEST_KEY, CONVERT_KEY, DISARMED_KEY})
_ALIGNED = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """One output file.

    header    its first bytes, the length included
    tensors   in the order of their data, each with its offset in the file
    size      of the file
    sidecar   the tree's own file when it does not fit into the header, else None
    """

    header: bytes
    metadata: Mapping[str, str]
    tensors: tuple[tuple[Stored, int], ...]
    size: int
    sidecar: bytes | None = None


def metadata(plan: FilePlan, original: Document, report: Report, options: Options) -> dict[str, str]:
    """`__metadata__` without the tree. Raises NotConvertible or UsageError for two entries of one name."""
    found: dict[str, str] = {}
    # SECURITY: of a dangerous file nothing goes over but tensors, see `Job.bare`.
    if original.container == "safetensors" and report.verdict is not Verdict.DANGEROUS:
        found = {key: value for key, value in original.metadata.items() if not key.startswith(OWN)}
    found.setdefault("format", "pt")
    for key in options.metadata:
        if key.startswith(OWN) or key in plan.ties:
            raise UsageError(f"the metadata key {key!r} has a meaning of its own: choose another")
    found |= options.metadata
    for name, kept in plan.ties.items():
        if found.get(name, kept) != kept or name in _KEYS:
            raise NotConvertible(f"the tied tensor {name[:200]!a} has the name of another metadata entry")
        found[name] = kept
    if options.disarm and report.verdict is Verdict.DANGEROUS:
        found[DISARMED_KEY] = f"taken out of a dangerous file; {len(calls(report))} findings, {report.judged_sha256}"
    found[CONVERT_KEY] = _dumped(
        {
            "version": 1,
            "safeload": VERSION,
            "container": report.container,
            "verdict": report.verdict.value,
            "judged_sha256": report.judged_sha256,
            "policy": report.policy_digest,
            "options": options.record(),
        }
    )
    return found


def laid_out(tensors: Iterable[Stored], entries: Mapping[str, str], tree: str | None, limits: Limits) -> Layout:
    """The file of `tensors`. Raises NotConvertible when even without the tree the header would be too large."""
    given = tuple(tensors)
    ordered = tuple(sorted(given, key=_place))
    starts: dict[str, int] = {}
    at = 0
    for stored in ordered:
        starts[stored.name] = at
        at += stored.nbytes
    described = [_described(stored, starts[stored.name]) for stored in given]
    sidecar = None
    found = dict(entries) if tree is None else {**entries, KEY: tree}
    header = _header(found, described)
    if tree is not None and len(header) - 8 > limits.header_bytes:
        sidecar = tree.encode("utf-8")
        found = {**entries, DIGEST_KEY: binding(sidecar)}
        header = _header(found, described)
    if len(header) - 8 > limits.header_bytes:
        raise NotConvertible(
            f"the header would take {len(header) - 8} bytes, more than the {limits.header_bytes} that readers accept: "
            "the file has too many tensors for one output"
        )
    begin = len(header)
    placed = tuple((stored, begin + starts[stored.name]) for stored in ordered)
    return Layout(header, found, placed, begin + at, sidecar)


def _place(stored: Stored) -> tuple[int, int, int, int]:
    piece = stored.piece
    own = 1 if piece.document.container == "" else 0
    return -min(itemsize(stored.dtype), _ALIGNED), own, piece.extent.offset, piece.start


def _described(stored: Stored, start: int) -> str:
    """The entry of one tensor. Written by hand: a dict for each, and their JSON, takes three times as long."""
    shape = ",".join([str(size) for size in stored.shape])
    return (
        f'{encode_basestring(stored.name)}:{{"dtype":"{CODES[stored.dtype]}","shape":[{shape}],'
        f'"data_offsets":[{start},{start + stored.nbytes}]}}'
    )


def _header(entries: Mapping[str, str], described: list[str]) -> bytes:
    try:
        own = f'"__metadata__":{_dumped(dict(entries))}'
        text = f"{{{','.join([own, *described])}}}".encode()
    except UnicodeEncodeError as error:
        raise NotConvertible(f"a metadata entry cannot be written as UTF-8: {error.reason}") from None
    # Readers take spaces behind the JSON, and data at a multiple of 8 can be mapped.
    text += b" " * (-len(text) % _ALIGNED)
    return len(text).to_bytes(8, "little") + text


def _dumped(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
