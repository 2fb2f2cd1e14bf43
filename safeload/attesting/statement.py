"""An in-toto Statement of a clean verdict: made from a scan, read strictly, and compared with a new scan.

A Statement only repeats what a scan said. It is untrusted input: it chooses no policy, raises no limit, and no verdict
comes from it. Signs nothing and writes no file. https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from safeload.errors import Malformed, UsageError
from safeload.findings import Verdict
from safeload.inputs import FileSource
from safeload.inputs.near import Beside
from safeload.limits import Limits
from safeload.policy import NAMES, Policy
from safeload.report import VERSION, Report, remarks
from safeload.scanning.scanner import scan_source
from safeload.scanning.tally import nowhere
from safeload.source import Source

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:safeload:clean:v1"

MOST_BYTES = 16 << 20
"""Of a Statement that is read: a file of 10,000 tensors has one of 150 KB. Parsed JSON takes up to 30 times as much."""

MOST_RANGES = 300_000
"""Of a Statement that is made, so that it stays below MOST_BYTES."""

_BLOCK = 1 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z_]{1,40}")
_FIELDS = {
    "safeload": str,
    "verdict": str,
    "policy": str,
    "limits": dict,
    "container": str,
    "size": int,
    "judged": dict,
}


class Attested(NamedTuple):
    """A report, and the Statement of it; or None, and the reason why there is none."""

    report: Report
    statement: dict[str, Any] | None
    reason: str = ""


def attest(source: Source, *, policy: Policy, limits: Limits) -> Attested:
    """Judge `source`, and state the verdict when it is clean. Reads all of the file, for its sha256.

    Raises:
        InputError: The input cannot be read, or it changed while it was read.
    """
    # As the command judges a file that was named. Modules that lie near it only ever make a verdict worse.
    near = Beside(os.path.dirname(source.path), "") if isinstance(source, FileSource) else nowhere
    report = scan_source(source, policy=policy, limits=limits, near=near, document=False).report
    if report.verdict is not Verdict.CLEAN:
        return Attested(report, None, f"its verdict is {report.verdict.value}, and not clean")
    if policy.strict and remarks(report):
        return Attested(report, None, "it has remarks, which the policy 'strict' minds")
    if isinstance(source, FileSource) and len(source.files()) > 1:
        return Attested(report, None, "its verdict is one of several files: attest each of them by its own path")
    read, passed = source.judged_ranges()
    if len(read) + len(passed) > MOST_RANGES:
        return Attested(report, None, f"more than {MOST_RANGES} ranges of it were judged, too many for a statement")
    predicate = {
        "safeload": VERSION,
        "verdict": report.verdict.value,
        "policy": policy.digest,
        "limits": changed(limits),
        "container": report.container,
        "size": source.size,
        "judged": {"sha256": report.judged_sha256, "read": _pairs(read), "passed": _pairs(passed)},
    }
    subject = {"name": os.path.basename(source.name) or source.name, "digest": {"sha256": whole_sha256(source)}}
    statement = {"_type": STATEMENT, "subject": [subject], "predicateType": PREDICATE, "predicate": predicate}
    return Attested(report, statement)


def changed(limits: Limits) -> dict[str, int]:
    """The limits that differ from the defaults."""
    defaults = Limits()._asdict()
    return {name: value for name, value in limits._asdict().items() if value != defaults[name]}


def whole_sha256(source: Source) -> str:
    """Hex digest of every byte of a judged `source`.

    SECURITY: a judged range counts with the bytes that were judged. If they were read again, a file that is changed
    meanwhile would get the Statement of another one.
    """
    read, passed = source.judged_ranges()
    judged = sorted([(*span, source.read) for span in read] + [(*span, source.pass_over) for span in passed],
                    key=lambda span: span[:2])  # fmt: skip
    total, at = hashlib.sha256(), 0
    for offset, length, take in [*judged, (source.size, 0, source.read)]:
        for start in range(at, offset, _BLOCK):
            total.update(source.peek(start, min(_BLOCK, offset - start)))
        data = take(offset, length)
        total.update(data[max(at - offset, 0) :])
        at = max(at, offset + length)
    return total.hexdigest()


def parse(data: bytes) -> Mapping[str, Any]:
    """The Statement in `data`. Raises Malformed for whatever `attest` does not write."""
    if len(data) > MOST_BYTES:
        raise Malformed(f"it is no statement of safeload: it has more than {MOST_BYTES} bytes")
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"it is no statement of safeload: no JSON that can be read ({error})") from error
    wrong = next(_wrong(found), "")
    if wrong:
        raise Malformed(f"it is no statement of safeload: {wrong}")
    return dict(found)


def differences(source: Source, given: Mapping[str, Any], *, policy: Policy, limits: Limits) -> tuple[str, ...]:
    """Judge `source` again, and say what differs from the Statement `given`, which `parse` returned.

    Returns:
        Clauses for people, none of which repeats a text of the Statement. The name of the file does not count.

    Raises:
        UsageError: Another version of safeload, other rules or other limits made the Statement.
        InputError: The input cannot be read.
    """
    _comparable(given["predicate"], policy, limits)
    found = attest(source, policy=policy, limits=limits)
    if found.statement is None:
        return (f"no statement is made of it: {found.reason}",)
    claimed, now = given["predicate"], found.statement["predicate"]
    pairs = [("its sha256", given["subject"][0]["digest"], found.statement["subject"][0]["digest"])]
    pairs += [("its size", claimed["size"], now["size"]), ("its container", claimed["container"], now["container"])]
    pairs += [(f"judged.{field}", claimed["judged"][field], value) for field, value in now["judged"].items()]
    return tuple(f"{place} is not what the statement says" for place, before, after in pairs if before != after)


def _comparable(predicate: Mapping[str, Any], policy: Policy, limits: Limits) -> None:
    """Refuse what another safeload made. The Statement never chooses: the caller has to give the same rules."""
    if predicate["safeload"] != VERSION:
        raise UsageError(
            f"the statement was made by another version of safeload than this one, {VERSION} (which may judge "
            "otherwise): install that version, or scan the file again with --attest"
        )
    if predicate["policy"] != policy.digest:
        same = [name for name in NAMES if Policy.named(name).digest == predicate["policy"]]
        give = f"--policy {same[0]}" if same else "the pack of that scan by --policy"
        raise UsageError(
            f"the statement was made under other rules ({predicate['policy'][:12]}) than those in force "
            f"({policy.digest[:12]}): give {give}, or scan the file again with --attest"
        )
    if predicate["limits"] != changed(limits):
        wanted = " ".join(f"--limit {name}={value}" for name, value in predicate["limits"].items())
        raise UsageError(
            f"the statement was made within other limits: give {wanted or 'no --limit'} if you trust the size, "
            "or scan the file again with --attest"
        )


def _wrong(found: Any) -> Iterator[str]:
    """What keeps parsed JSON from being a Statement of ours: each field has to be there, and no other one."""
    if type(found) is not dict or found.keys() != {"_type", "subject", "predicateType", "predicate"}:
        yield "not the fields of an in-toto Statement"
        return
    if found["_type"] != STATEMENT or found["predicateType"] != PREDICATE:
        yield f"no {STATEMENT} of the type {PREDICATE}"
    subjects, said = found["subject"], found["predicate"]
    if type(subjects) is not list or len(subjects) != 1 or not _is_subject(subjects[0]):
        yield "its subject is not one name with one sha256"
    if type(said) is not dict or {field: type(value) for field, value in said.items()} != _FIELDS:
        yield f"its predicate has not exactly the fields {', '.join(_FIELDS)}"
        return
    judged, limits = said["judged"], said["limits"]
    if said["verdict"] != Verdict.CLEAN or not _DIGEST.fullmatch(said["policy"]) or said["size"] < 0:
        yield "its verdict, policy or size is none"
    if not all(_NAME.fullmatch(n) and type(value) is int and 0 < value < 10**18 for n, value in limits.items()):
        yield "its limits are no names with numbers"
    if judged.keys() != {"sha256", "read", "passed"} or not _is_digest(judged["sha256"]):
        yield "its judged part has not exactly the fields sha256, read, passed"
    elif not (_are_ranges(judged["read"]) and _are_ranges(judged["passed"])):
        yield "its ranges are no pairs of numbers"


def _is_subject(found: object) -> bool:
    if type(found) is not dict or found.keys() != {"name", "digest"} or type(found["name"]) is not str:
        return False
    digest = found["digest"]
    return type(digest) is dict and digest.keys() == {"sha256"} and _is_digest(digest["sha256"])


def _is_digest(found: object) -> bool:
    return type(found) is str and _DIGEST.fullmatch(found) is not None


def _are_ranges(found: object) -> bool:
    return type(found) is list and all(
        type(pair) is list and len(pair) == 2 and all(type(n) is int for n in pair) for pair in found
    )


def _pairs(ranges: tuple[tuple[int, int], ...]) -> list[list[int]]:
    return [list(pair) for pair in ranges]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        # SECURITY: readers differ in which of two they take.
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
