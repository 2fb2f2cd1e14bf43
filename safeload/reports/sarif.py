"""`--format sarif`: SARIF 2.1.0, for code scanning and other readers of static analysis.

One result for each finding. A checkpoint has no lines: a result is at line 1 of its file, with a byte offset where the
file is no container. A member of a container is a logical location of the result, and an artifact of its own inside
the file's, in which the related location has the byte offset.

Results are recognised again by fingerprints of their own: rule, global, member, offset in the member, and a count where
several have all of these in common. Every text is printable ASCII after `escape.py`, and has no link and no
place-holder in it: SARIF's plain messages know both (`[text](target)`, `{0}`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from safeload.findings import Finding, Severity, Verdict
from safeload.report import VERSION, Report
from safeload.reports import escape, phrases
from safeload.reports.interface import Outcome, Style

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
"""What relative addresses start from: the name that code scanning gives the checked-out project."""

_LEVELS = {
    Verdict.DANGEROUS: "error",
    Verdict.UNJUDGED: "error",
    Verdict.UNVETTED: "warning",
    Verdict.CLEAN: "note",
    Verdict.SKIPPED: "note",
}
# The middles of the ranges by which code scanning names a number; a remark has none.
_SCORES = {Severity.CRITICAL: "9.5", Severity.HIGH: "8.0", Severity.MEDIUM: "5.5", Severity.LOW: "2.0"}
_WORST_SCORE = tuple(_SCORES)


class Sarif:
    """One run of safeload."""

    name = "sarif"

    def render(self, outcome: Outcome, style: Style) -> str:
        """The document; the style changes nothing."""
        log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(outcome)]}
        return escape.in_json(json.dumps(log, ensure_ascii=True, indent=1) + "\n")


def _run(outcome: Outcome) -> dict[str, Any]:
    found = [(report, finding) for report in outcome.reports for finding in _findings(report)]
    of_rule: dict[str, list[Finding]] = {}
    for _, finding in found:
        of_rule.setdefault(finding.rule, []).append(finding)
    rules = sorted(of_rule)
    artifacts = _Artifacts(outcome)
    results = [
        _result(finding, report, rules.index(finding.rule), mark, artifacts)
        for (report, finding), mark in zip(found, _fingerprints(found), strict=True)
    ]
    driver = {
        "name": "safeload",
        "version": VERSION,
        "semanticVersion": VERSION,
        "rules": [_rule(rule, of_rule[rule], outcome.rules) for rule in rules],
    }
    return {
        "tool": {"driver": driver},
        "invocations": [
            {
                "executionSuccessful": not outcome.unscanned,
                "toolExecutionNotifications": [*_notifications(outcome, artifacts)],
            }
        ],
        "artifacts": artifacts.listed,
        "results": results,
        "properties": {
            "policyDigest": escape.exact(outcome.policy_digest),
            "summary": outcome.summary,
        },
    }


def _findings(report: Report) -> Iterable[Finding]:
    """What becomes results: everything that was found, remarks included, and never nothing for a file that fails."""
    remarks = (finding for finding in report.findings if finding.verdict == Verdict.CLEAN)
    return [*phrases.main_findings(report), *remarks]


def _rule(rule: str, findings: list[Finding], texts: Mapping[str, str]) -> dict[str, Any]:
    """What a rule means, from the rules' own texts, and its level by the worst finding of it in this run."""
    said = "\n\n".join(map(plain, (texts.get(rule) or f"A finding of the rule {rule}.").split("\n")))
    short = re.split(r"(?<=[.:;])\s", said, maxsplit=1)[0].rstrip(":;")
    severities = {finding.severity for finding in findings}
    worst = next((severity for severity in _WORST_SCORE if severity in severities), None)
    worst_verdict = next(v for v in phrases.WORST_FIRST if v in {finding.verdict for finding in findings})
    return {
        "id": escape.exact(rule),
        "name": escape.exact(rule),
        "shortDescription": {"text": short},
        "fullDescription": {"text": said},
        "help": {"text": said},
        "defaultConfiguration": {"level": _LEVELS[worst_verdict]},
        "properties": {"tags": ["security"], **({"security-severity": _SCORES[worst]} if worst else {})},
    }


def _result(finding: Finding, report: Report, index: int, mark: str, artifacts: _Artifacts) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": artifacts.address(report), "region": {"startLine": 1}}
    location: dict[str, Any] = {"physicalLocation": physical}
    result: dict[str, Any] = {
        "ruleId": escape.exact(finding.rule),
        "ruleIndex": index,
        "level": _LEVELS[finding.verdict],
        "message": {"text": _message(finding, report)},
        "locations": [location],
        # The second name is the one that code scanning looks for.
        "partialFingerprints": {"safeloadFinding/v1": mark, "primaryLocationLineHash": mark},
        "properties": _properties(finding, report),
    }
    place = {} if finding.offset is None else {"byteOffset": finding.offset, "byteLength": 1}
    if finding.member:
        member = escape.exact(finding.member)
        logical = {"name": member, "fullyQualifiedName": f"{escape.bare(report.path)}!{member}", "kind": "member"}
        location["logicalLocations"] = [logical]
        inside: dict[str, Any] = {"artifactLocation": artifacts.address(report, finding.member)}
        if place:
            inside["region"] = place
        result["relatedLocations"] = [{"physicalLocation": inside, "logicalLocations": [logical]}]
    else:
        physical["region"] |= place
    if finding.accepted:
        # Without a status it is in force: the standard's first schema and its last have different names for one.
        result["suppressions"] = [{"kind": "external", "justification": plain(finding.accepted)}]
    return result


def _message(finding: Finding, report: Report) -> str:
    lines = [plain(finding.message)]
    if finding.evidence:
        lines.append(f"What: {plain(phrases.cut(escape.exact(finding.evidence)))}")
    if where := phrases.where(finding, report):
        lines.append(f"Where: {plain(where)}")
    if remedy := phrases.remedy(finding, report):
        lines.append(f"What to do: {plain(remedy)}")
    return "\n".join(lines)


def _properties(finding: Finding, report: Report) -> dict[str, Any]:
    """What has no place of its own in SARIF. Untrusted text, escaped like all of it."""
    found: dict[str, Any] = {
        "verdict": finding.verdict.value,
        "severity": finding.severity.value,
        "fileVerdict": report.verdict.value,
    }
    if finding.severity in _SCORES:
        found["security-severity"] = _SCORES[finding.severity]
    texts = {"global": finding.name, "member": finding.member, "evidence": finding.evidence}
    found |= {key: escape.exact(text) for key, text in texts.items() if text}
    numbers = {"offset": finding.offset, "stream": finding.stream}
    return found | {key: number for key, number in numbers.items() if number is not None}


def _fingerprints(found: Iterable[tuple[Report, Finding]]) -> Iterator[str]:
    """What tells a result from the others of its file, and is the same in the next scan."""
    seen: Counter[tuple[str, str]] = Counter()
    for report, finding in found:
        parts = json.dumps([finding.rule, finding.name, finding.member, finding.offset], ensure_ascii=True)
        mark = hashlib.sha256(parts.encode("ascii")).hexdigest()[:32]
        seen[report.path, mark] += 1
        yield f"{mark}:{seen[report.path, mark]}"


def _notifications(outcome: Outcome, artifacts: _Artifacts) -> Iterator[dict[str, Any]]:
    """What a scan has to say beside its findings: what was skipped, what was not kept, that there was nothing."""
    for report in outcome.reports:
        where = [{"physicalLocation": {"artifactLocation": artifacts.address(report)}}]
        if report.verdict == Verdict.SKIPPED:
            said = f"skipped: {plain(report.reason)}"
            yield {"descriptor": {"id": "skipped"}, "level": "note", "message": {"text": said}, "locations": where}
        if report.omitted:
            said = f"{report.omitted} more findings were counted, not kept; --limit findings=NUMBER keeps more"
            yield {"descriptor": {"id": "omitted"}, "level": "warning", "message": {"text": said}, "locations": where}
    if outcome.unscanned:
        said = phrases.next_step(outcome)
        yield {"descriptor": {"id": "nothing-judged"}, "level": "error", "message": {"text": said}}


class _Artifacts:
    """The files of a scan, and the members of them that findings are in: each once, found by its index."""

    def __init__(self, outcome: Outcome) -> None:
        self._folder = outcome.folder
        self.listed: list[dict[str, Any]] = []
        self._index: dict[tuple[str, str], int] = {}
        for report in outcome.reports:
            self._add(report)

    def address(self, report: Report, member: str = "") -> dict[str, Any]:
        """The location of a file, or of a member in it."""
        index = self._index.get((report.path, member))
        if index is None:
            index = len(self.listed)
            self._index[report.path, member] = index
            parent = self._index[report.path, ""]
            location = {"uri": "/" + percent(member.lstrip("/")), "index": index}
            self.listed.append({"location": location, "parentIndex": parent})
        return dict(self.listed[index]["location"])

    def _add(self, report: Report) -> None:
        if (report.path, "") in self._index:
            return
        index = len(self.listed)
        self._index[report.path, ""] = index
        file: dict[str, Any] = {
            "location": address(phrases.place(report.path, self._folder)) | {"index": index},
            "roles": ["analysisTarget"],
            "properties": {"verdict": report.verdict.value},
        }
        if report.size is not None:
            file["length"] = report.size
        if report.container:
            file["properties"]["container"] = escape.exact(report.container)
        if report.judged_sha256:
            file["properties"]["judgedSha256"] = report.judged_sha256
        self.listed.append(file)


def address(path: str) -> dict[str, str]:
    """A path as an artifact's location: relative to the project, or a file address when it is absolute."""
    if re.match(r"[A-Za-z]:/", path):
        return {"uri": f"file:///{path[0]}:{percent(path[2:])}"}
    if path.startswith("/"):
        return {"uri": f"file:///{percent(path.lstrip('/'))}"}
    return {"uri": percent(path), "uriBaseId": ROOT}


def percent(path: str) -> str:
    """A path as an address: its own bytes, percent-encoded but for letters, digits, `-._~` and the slashes."""
    try:
        data = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = path.encode("utf-8", "surrogatepass")
    return quote(data, safe="/")


def plain(text: str) -> str:
    """A message without links and place-holders, as SARIF's plain messages know them."""
    shown = escape.exact(text).replace("](", "]\\x28")
    return re.sub(r"\{(?=\d)", r"\\x7b", shown)
