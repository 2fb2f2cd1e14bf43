"""Clean scan -> certificate: what the verdict rests on, told by the machine and the containers that gave it.

The other side of `verifier.py`, which must come to the same from the bytes alone. A certificate that the verifier would
not accept is not given out: it would be of no use to anybody. Writes no file and signs nothing.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import Any, NamedTuple

from safeload.attesting.statement import statement, verify, whole_sha256
from safeload.containers.zip.directory import read_directory
from safeload.document.document import Document
from safeload.errors import LimitExceeded, Malformed, NotAttested
from safeload.findings import Verdict
from safeload.limits import Limits
from safeload.machine import Call, Global, Mutation, Persistent
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.report import VERSION, Report
from safeload.scanning.scanner import Scan, scan_source
from safeload.scanning.streams import Heard
from safeload.source import Source

CONTAINERS = frozenset({"torch-zip", "torch-legacy", "pickle"})
"""What the independent verifier reads."""


class Attested(NamedTuple):
    """A report, and the certificate for it; or None and why there is none."""

    report: Report
    statement: dict[str, Any] | None
    reason: str = ""


def attest(source: Source, *, policy: Policy, limits: Limits, full_hash: bool = False) -> Attested:
    """Judge `source`, and certify it when it is clean and the independent verifier agrees, stream by stream.

    full_hash   read all of the file for its sha256, by which signers and package tools know it
    Raises InputError when the input cannot be read.
    """
    pause()
    try:
        heard: list[Heard] = []
        scan = scan_source(source, policy=policy, limits=limits, witness=heard.append)
        if scan.report.verdict is not Verdict.CLEAN:
            return Attested(scan.report, None, f"its verdict is {scan.report.verdict.value}, and not clean")
        try:
            given = certificate(source, scan, heard, policy, limits, full_hash=full_hash)
            verify(source, given, policy.digest)
        except (NotAttested, Malformed, LimitExceeded) as error:
            return Attested(scan.report, None, str(error))
        return Attested(scan.report, given)
    finally:
        resume()


def certificate(
    source: Source, scan: Scan, heard: list[Heard], policy: Policy, limits: Limits, *, full_hash: bool = False
) -> dict[str, Any]:
    """The Statement for a clean scan of `source`. Raises NotAttested for what no certificate can hold."""
    report, document = scan
    if report.verdict is not Verdict.CLEAN or document is None:
        raise NotAttested(f"{report.path}: only a clean file gets a certificate")
    if report.container not in CONTAINERS:
        raise NotAttested(f"{report.path}: no independent verifier reads a file of the kind {report.container}")
    storages = _storages(source, document, report, limits)
    ranges, judged = _ranges(source, storages)
    derived = {
        "container": report.container,
        "size": source.size,
        "judged": judged,
        "ranges": ranges,
        "storages": storages,
        "streams": [_stream(source, stream, policy) for stream in heard],
    }
    said = {"safeload": VERSION, "verdict": report.verdict.value, "policy": policy.digest}
    return statement(
        os.path.basename(source.name) or source.name, derived, said, whole_sha256(source) if full_hash else None
    )


def _storages(source: Source, document: Document, report: Report, limits: Limits) -> list[dict[str, Any]]:
    """Where the storages lie, in the order of the file, with the checksums that a zip's directory gives them."""
    sums: dict[int, int] = {}
    if report.container == "torch-zip":
        sums = {entry.data: entry.crc for entry in read_directory(source, limits).entries}
    found = []
    for key, extent in sorted(document.storages.items(), key=lambda item: item[1].offset):
        if not extent.stored:
            raise NotAttested(f"{report.path}: storage {key} is compressed")
        found.append({"key": key, "offset": extent.offset, "size": extent.size, "crc32": sums.get(extent.offset)})
    return found


def _ranges(source: Source, storages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """All that is no storage, with its digests: what a verdict rests on lies there, and nothing else does."""
    ranges, total, at = [], hashlib.sha256(), 0
    for offset, size in [*((s["offset"], s["size"]) for s in storages if s["size"]), (source.size, 0)]:
        data = source.read(at, offset - at)
        total.update(struct.pack("<QQ", at, len(data)))
        total.update(data)
        ranges.append({"offset": at, "length": len(data), "sha256": hashlib.sha256(data).hexdigest()})
        at = offset + size
    return ranges, total.hexdigest()


def _stream(source: Source, heard: Heard, policy: Policy) -> dict[str, Any]:
    """What one stream relies on: each name with its shape and how often it is named, called and given a state."""
    if heard.start < 0:
        raise NotAttested(f"{heard.member}: it is compressed, or lies in a file inside this one")
    names: dict[str, dict[str, Any]] = {}
    storages: dict[str, dict[str, Any]] = {}
    for effect in heard.program.effects:
        if isinstance(effect, Global):
            shape = policy.decide(effect.module, effect.name).shape
            name = f"{effect.module}.{effect.name}"
            names.setdefault(name, {"name": name, "shape": shape, "named": 0, "calls": 0, "states": 0})["named"] += 1
        elif isinstance(effect, Persistent):
            _load(effect, storages)
        elif isinstance(effect, Call):
            names[_named(effect.func)]["calls"] += 1
        elif isinstance(effect, Mutation):
            if effect.kind == "build":
                names[_named(effect.target)]["states"] += 1
        else:
            raise NotAttested(f"{heard.member}: a certificate cannot say what happens at byte {effect.offset:#x}")
    data = source.read(heard.start, heard.end - heard.start)
    return {
        "member": heard.member,
        "offset": heard.start,
        "length": len(data),
        "opcodes": heard.program.opcodes,
        "sha256": hashlib.sha256(data).hexdigest(),
        "names": [names[name] for name in sorted(names)],
        "storages": [storages[key] for key in sorted(storages)],
    }


def _named(node: object) -> str:
    """The name behind what is called, or behind what was made by a call."""
    if isinstance(node, Call):
        node = node.func
    if not isinstance(node, Global):
        raise NotAttested("a certificate cannot say what is called there")
    return f"{node.module}.{node.name}"


def _load(node: Persistent, storages: dict[str, dict[str, Any]]) -> None:
    pid = node.pid
    if type(pid) is not tuple or len(pid) < 5 or not isinstance(pid[1], Global) or type(pid[2]) is not str:
        raise NotAttested(f"a certificate cannot say what is loaded at byte {node.offset:#x}")
    _, kind, key, location, numel = pid[:5]
    new = {"key": key, "type": f"{kind.module}.{kind.name}", "location": location, "numel": numel, "loads": 0}
    storages.setdefault(key, new)["loads"] += 1
