"""Reads what a worker answers: the fields of the wire format. Trusts none of them, for the worker read the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from safeload.findings import Finding, Severity, Verdict
from safeload.report import Report
from safeload.workers.fence import Fence


def read_report(wire: Mapping[str, Any], policy_digest: str) -> Report:
    """The Report of the fields that `report_fields` wrote. Raises LookupError, TypeError or ValueError for others."""
    findings = tuple(
        Finding(
            rule=_text(f["rule"]),
            verdict=Verdict(f["verdict"]),
            severity=Severity(f["severity"]),
            message=_text(f["message"]),
            remedy=_text(f["remedy"]),
            member=_text(f["member"]),
            offset=None if f["offset"] is None else _number(f["offset"]),
            stream=None if f["stream"] is None else _number(f["stream"]),
            name=None if f["global"] is None else _text(f["global"]),
            evidence=_text(f["evidence"]),
        )
        for f in wire["findings"]
    )
    return Report(
        path=_text(wire["path"]),
        verdict=Verdict(wire["verdict"]),
        container=_text(wire["container"]),
        size=None if wire["size"] is None else _number(wire["size"]),
        judged_sha256=None if wire["judged_sha256"] is None else _text(wire["judged_sha256"]),
        streams=_number(wire["streams"]),
        opcodes=_number(wire["opcodes"]),
        findings=findings,
        omitted=_number(wire["omitted"]),
        reason=_text(wire["reason"]),
        policy_digest=policy_digest,
    )


def read_fence(wire: Mapping[str, Any]) -> Fence:
    """The Fence that a worker says it has. Raises LookupError or TypeError for what is none."""
    if not isinstance(wire["calls"], bool) or not isinstance(wire["bounds"], list):
        raise TypeError("no fence")
    return Fence(tuple(map(_text, wire["bounds"])), wire["calls"], _text(wire["reason"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not a number")
    return value
