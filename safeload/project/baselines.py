"""Baselines: TOML files, which people review, with the findings that a team knows and accepts for a time.

An entry is about content, not about a place: it holds the digest of what was judged, the rule, the global and the
member. So a file that was changed is new, and a file that was moved is not. An accepted finding keeps its verdict, and
so does its file. Reads and writes text; opens no checkpoint and prints nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any, NamedTuple

from safeload.errors import UsageError
from safeload.findings import Finding, Verdict
from safeload.inputs.toml_file import header_lines, text_of, toml_of
from safeload.report import Report

SCHEMA = "safeload.baseline/1"
DAYS = 90
"""How many days an entry holds by default: after a quarter of a year somebody has to look again."""

SHARDS = "safetensors-index"
"""The container name of a model that lies in several files."""

_BYTES = 64 << 20
"""Bytes of a baseline; one with a hundred thousand entries has 40 MB."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_REQUIRED = ("judged_sha256", "rule", "verdict", "reason", "expires")
_OPTIONAL = ("global", "member", "sha256", "path")
_VERDICTS = tuple(str(v) for v in (Verdict.UNVETTED, Verdict.DANGEROUS, Verdict.UNJUDGED))

Key = tuple[str, str, str, str, str]
"""judged_sha256, rule, verdict, global, member. Two findings with the same key are the same finding."""

Hash = Callable[[str], str | None]
"""Takes the path of a file; returns the sha256 of all of it, or None when it cannot be read again."""


class BaselineEntry(NamedTuple):
    """One accepted finding. docs/policy.md describes the fields.

    sha256   of the whole file, for an entry that holds only while no byte of it changes
    path     where the file was, for people only
    line     of the entry in the baseline
    """

    judged_sha256: str
    rule: str
    verdict: str
    name: str
    member: str
    reason: str
    expires: date
    sha256: str = ""
    path: str = ""
    line: int = 0

    @property
    def key(self) -> Key:
        """The key of the finding that the entry accepts."""
        return (self.judged_sha256, self.rule, self.verdict, self.name, self.member)


class Applied(NamedTuple):
    """The result of `apply`: marked reports, entries that matched nothing (`stale`), and entries past their day."""

    reports: tuple[Report, ...]
    stale: tuple[BaselineEntry, ...]
    expired: tuple[BaselineEntry, ...]


def read(path: str) -> tuple[BaselineEntry, ...]:
    """The entries of the file at `path`. Raises InputError, or UsageError with "file:line: what is wrong"."""
    return parse(text_of(path, "a baseline", _BYTES), path)


def parse(text: str, label: str) -> tuple[BaselineEntry, ...]:
    """The entries in `text`; `label` names the file in errors. Raises UsageError with "label:line: ..."."""
    content = toml_of(text, label)
    if content.get("schema") != SCHEMA:
        raise UsageError(f"{label}:1: a baseline starts with schema = {SCHEMA!r}, and not {content.get('schema')!r}")
    lines = header_lines(text).get("entry", [])
    tables = content.get("entry", [])
    unknown = sorted(content.keys() - {"schema", "entry"})
    if unknown or not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{label}:1: a baseline holds 'schema' and [[entry]] tables, and nothing else")
    found: dict[tuple[Key, str], BaselineEntry] = {}
    for index, table in enumerate(tables):
        line = lines[index] if index < len(lines) else 1
        entry = _entry(table, f"{label}:{line}", line)
        first = found.setdefault((entry.key, entry.sha256), entry)
        if first is not entry:
            raise UsageError(f"{label}:{line}: the same finding stands at line {first.line}")
    return tuple(found.values())


def _entry(table: Mapping[str, Any], where: str, line: int) -> BaselineEntry:
    def wrong(message: str) -> UsageError:
        return UsageError(f"{where}: [[entry]] {message}")

    for key in table:
        if key not in (*_REQUIRED, *_OPTIONAL):
            raise wrong(f"unknown key {key!r}; it takes {', '.join((*_REQUIRED, *_OPTIONAL))}")
    for key in _REQUIRED:
        if key not in table:
            raise wrong(f"needs {key!r}" + (": say why this is let pass" if key == "reason" else ""))
    expires = table["expires"]
    if not isinstance(expires, date) or isinstance(expires, datetime):
        raise wrong("'expires' must be a date, as expires = 2030-01-31")
    for key, value in table.items():
        if key != "expires" and not isinstance(value, str):
            raise wrong(f"{key!r} must be a text")
    if not table["reason"].strip():
        raise wrong("'reason' is empty: say why this is let pass")
    for key in ("judged_sha256", "sha256"):
        if key in table and not _SHA256.fullmatch(table[key]):
            raise wrong(f"{key!r} must be 64 hex digits, in lower case")
    if table["verdict"] not in _VERDICTS:
        raise wrong(f"'verdict' must be one of {', '.join(_VERDICTS)}")
    if table["verdict"] == Verdict.UNJUDGED and "sha256" not in table:
        raise wrong("what could not be judged is known by the 'sha256' of the whole file only")
    return BaselineEntry(
        table["judged_sha256"], table["rule"], table["verdict"], table.get("global", ""), table.get("member", ""),
        table["reason"], expires, table.get("sha256", ""), table.get("path", ""), line,
    )  # fmt: skip


def apply(reports: Iterable[Report], entries: Iterable[BaselineEntry], today: date, sha256: Hash) -> Applied:
    """Mark the findings in `reports` that `entries` accept. No verdict changes.

    An entry holds up to and including the day on which it expires. `sha256` is called only for entries that hold the
    digest of a whole file.
    """
    known = tuple(entries)
    expired = tuple(entry for entry in known if entry.expires < today)
    live: dict[Key, list[BaselineEntry]] = {}
    for entry in known:
        if entry.expires >= today:
            live.setdefault(entry.key, []).append(entry)
    used: set[int] = set()
    marked = []
    for report in reports:
        whole: dict[str, str | None] = {}
        findings = []
        for finding in report.findings:
            entry_or_none = None
            for entry in live.get(key_of(report, finding), ()):
                if entry.sha256 and report.path not in whole:
                    whole[report.path] = sha256(report.path)
                if not entry.sha256 or entry.sha256 == whole[report.path]:
                    entry_or_none = entry
                    used.add(id(entry))
            accepted = finding.accepted or (entry_or_none and f"baseline: {entry_or_none.reason}") or ""
            findings.append(finding._replace(accepted=accepted))
        marked.append(report._replace(findings=tuple(findings)))
    stale = tuple(entry for entry in known if entry.expires >= today and id(entry) not in used)
    return Applied(tuple(marked), stale, expired)


def key_of(report: Report, finding: Finding) -> Key:
    """The key of a finding. In a report without a digest it matches no entry: entries have 64 digits."""
    return (
        report.judged_sha256 or "", finding.rule, str(finding.verdict), spelled(finding.name or ""),
        spelled(finding.member),
    )  # fmt: skip


def spelled(text: str) -> str:
    """`text` in printable ASCII, the same for the same text: any text of a file has to survive being TOML."""
    return text.encode("unicode_escape").decode("ascii")


def entries_for(
    reports: Iterable[Report], reason: str, expires: date, sha256: Hash, *, full_hash: bool, include_unjudged: bool
) -> tuple[tuple[BaselineEntry, ...], tuple[tuple[str, str], ...]]:
    """Entries that accept the findings in `reports`; and (path, why) of those that no entry can accept.

    With `full_hash` an entry has the digest of the whole file, also of bytes that no verdict rests on. Unjudged
    findings get an entry only with `include_unjudged`, and always with that digest: bytes that nobody has read could
    be others next time.
    """
    found: dict[tuple[Key, str], BaselineEntry] = {}
    left: list[tuple[str, str]] = []
    for report in reports:
        findings = [finding for finding in report.findings if str(finding.verdict) in _VERDICTS]
        if findings and report.omitted:
            left.append((report.path, "more findings than are kept: raise --limit findings=NUMBER"))
            continue
        if findings and report.judged_sha256 is None:
            left.append((report.path, "nothing of it could be read"))
            continue
        unjudged = any(finding.verdict is Verdict.UNJUDGED for finding in findings)
        if unjudged and not include_unjudged:
            left.append((report.path, "it could not be judged: --include-unjudged takes it all the same"))
        whole = sha256(report.path) if findings and (full_hash or (unjudged and include_unjudged)) else None
        for finding in findings:
            bound = full_hash or finding.verdict is Verdict.UNJUDGED
            if finding.verdict is Verdict.UNJUDGED and not include_unjudged:
                continue
            if bound and report.container == SHARDS:
                left.append((report.path, "the hash of an index binds none of its shards: name the shards themselves"))
                break
            if bound and whole is None:
                left.append((report.path, "its whole content cannot be read again"))
                break
            key = key_of(report, finding)
            digest = (whole or "") if bound else ""
            found.setdefault((key, digest), BaselineEntry(*key, reason, expires, digest, spelled(report.path)))
    return tuple(found[place] for place in sorted(found)), tuple(left)


def render(entries: Iterable[BaselineEntry]) -> str:
    """The text of a baseline file. The same entries give the same text."""
    parts = [f'schema = "{SCHEMA}"\n']
    for entry in entries:
        fields = (
            ("path", entry.path),
            ("rule", entry.rule),
            ("verdict", entry.verdict),
            ("global", entry.name),
            ("member", entry.member),
            ("judged_sha256", entry.judged_sha256),
            ("sha256", entry.sha256),
            ("reason", entry.reason),
        )
        lines = "".join(f"{key} = {_quoted(value)}\n" for key, value in fields if value)
        parts.append(f"[[entry]]\n{lines}expires = {entry.expires.isoformat()}\n")
    return "\n".join(parts)


def _quoted(text: str) -> str:
    """`text` as a basic string of TOML. SECURITY: no character of a file name may end the string."""
    made = []
    for char in text:
        if char in '"\\':
            made.append("\\" + char)
        elif char.isascii() and char.isprintable():
            made.append(char)
        elif 0xD800 <= ord(char) <= 0xDFFF:
            made.append("?")  # half of a surrogate pair, from a command line that is no UTF-8
        else:
            made.append(f"\\U{ord(char):08x}")
    return f'"{"".join(made)}"'
