"""Reads rules: TOML text -> frozen rules, checked entry by entry.

The build of `table.py`, the packs of users and the tests use the same checks. Every error names file and line. Knows
the schema, but not which rule wins (that is `decide.py`); imports nothing that a rule names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from safeload.errors import UsageError
from safeload.findings import Severity, Verdict
from safeload.inputs.toml_file import header_lines, text_of, toml_of
from safeload.policy.rules import (
    WHOLE,
    DangerousRule,
    KnownRule,
    NarrowRule,
    RecordSafeRule,
    Rules,
    VettedRule,
    places,
)

PACK_BYTES = 4 << 20
"""Bytes of a pack. One of a thousand entries has 200 kB; a far larger file is not a pack."""

NAME_LENGTH = 119
"""Letters of a name in a pack. Findings cut longer names, and a cut name must not match an entry."""

_RULE_ID = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SHAPE_ID = re.compile(r"[a-z0-9][a-z0-9_.-]*")

_PLACE = frozenset({"module", "modules", "name", "names"})
_KEYS = {
    "vetted": _PLACE | {"shape", "reason", "reference", "weights_only", "denotes", "verdict", "rule"},
    "dangerous": _PLACE | {"family", "severity", "reason", "reference"},
    "known": _PLACE | {"library", "what", "severity"},
    "narrow": _PLACE | {"reason"},
    "record_safe": _PLACE | {"reason", "reference"},
}


class _RuleEntry:
    """One table of a TOML file, and the place that errors about it name."""

    def __init__(self, kind: str, table: Mapping[str, object], where: str, *, pack: bool) -> None:
        self.kind = kind
        self.table = table
        self.where = where
        self.pack = pack
        unknown = sorted(set(table) - _KEYS[kind])
        if unknown:
            raise self.error(f"unknown key {unknown[0]!r}; [[{kind}]] takes {', '.join(sorted(_KEYS[kind]))}")

    def error(self, message: str) -> UsageError:
        return UsageError(f"{self.where}: [[{self.kind}]] {message}")

    def text(self, key: str, default: str | None = None) -> str:
        value = self.table.get(key, default)
        if value is None:
            raise self.error(f"needs {key!r}")
        if not isinstance(value, str) or (not value.strip() and default is None):
            raise self.error(f"{key!r} must be text, and not empty")
        if not value.isprintable():
            raise self.error(f"{key!r} holds a line break or a control character")
        return value

    def flag(self, key: str) -> bool:
        value = self.table.get(key, False)
        if not isinstance(value, bool):
            raise self.error(f"{key!r} must be true or false")
        return value

    def choice(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        value = self.text(key, default)
        if value not in (choices := tuple(allowed)):
            raise self.error(f"{key!r} must be one of {', '.join(choices)}, not {value!r}")
        return str(value)

    def matching(self, key: str, pattern: re.Pattern[str]) -> str:
        value = self.text(key)
        if not pattern.fullmatch(value):
            raise self.error(f"{key!r} is not of the form {pattern.pattern}: {value!r}")
        return value

    def several(self, one: str, many: str) -> tuple[str, ...]:
        """The texts under the key `one` or `many`: a text or a list of texts. Raises UsageError for both keys."""
        if (one in self.table) == (many in self.table):
            raise self.error(f"needs either {one!r} or {many!r}")
        key = one if one in self.table else many
        values = self.table[key]
        if isinstance(values, str):
            values = [values]
        if not isinstance(values, list) or not values or not all(isinstance(v, str) for v in values):
            raise self.error(f"{key!r} must be a text or a list of texts, and not empty")
        twice = [v for v in values if values.count(v) > 1]
        if twice:
            raise self.error(f"{key!r} holds {twice[0]!r} twice")
        return tuple(values)

    def place(self, *, whole: bool, anywhere: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The modules and names of the entry. `whole` allows "*" for the names, `anywhere` allows it for the module."""
        modules, names = self.several("module", "modules"), self.several("name", "names")
        for module in modules:
            if module == WHOLE and anywhere and modules == (WHOLE,) and WHOLE not in names:
                continue
            if not all(part.isidentifier() for part in module.split(".")):
                raise self.error(f"{module!r} is no module name")
        for name in names:
            if name == WHOLE and whole and names == (WHOLE,):
                continue
            if "." in name:
                raise self.error(f"{name!r} has a dot: names are exact, and dotted names are refused before any rule")
            if not name.isidentifier():
                raise self.error(f"{name!r} is no name")
        return modules, names


def _vetted(entry: _RuleEntry) -> VettedRule:
    modules, names = entry.place(whole=False, anywhere=False)
    denotes = entry.text("denotes", "")
    if denotes and not all(part.isidentifier() for part in denotes.removesuffix(".*").split(".")):
        raise entry.error(f"'denotes' is no dotted name: {denotes!r}")
    verdict = entry.choice("verdict", (Verdict.CLEAN, Verdict.UNVETTED), Verdict.CLEAN)
    rule = ""
    if verdict != Verdict.CLEAN:
        rule = entry.matching("rule", _RULE_ID)
    elif "rule" in entry.table:
        raise entry.error("'rule' goes with verdict = \"unvetted\"")
    return VettedRule(
        modules,
        names,
        entry.matching("shape", _SHAPE_ID),
        entry.text("reason"),
        entry.text("reference"),
        entry.flag("weights_only"),
        denotes,
        str(verdict),
        rule,
    )


def _dangerous(entry: _RuleEntry) -> DangerousRule:
    modules, names = entry.place(whole=True, anywhere=not entry.pack)
    return DangerousRule(
        modules,
        names,
        entry.matching("family", _RULE_ID),
        entry.choice("severity", tuple(Severity), Severity.HIGH if entry.pack else None),
        entry.text("reason"),
        entry.text("reference", "" if entry.pack else None),
    )


def _known(entry: _RuleEntry) -> KnownRule:
    modules, names = entry.place(whole=True, anywhere=False)
    severity = entry.choice("severity", (Severity.INFO, Severity.LOW, Severity.MEDIUM), Severity.LOW)
    return KnownRule(modules, names, entry.text("library"), entry.text("what"), severity)


def _narrow(entry: _RuleEntry) -> NarrowRule:
    return NarrowRule(*entry.place(whole=True, anywhere=False))


def _record_safe(entry: _RuleEntry) -> RecordSafeRule:
    rule = RecordSafeRule(*entry.place(whole=True, anywhere=False), entry.text("reason"), entry.text("reference", ""))
    for place in places(rule):
        if len(ascii(".".join(place))) - 2 > NAME_LENGTH:
            raise entry.error(f"a name has at most {NAME_LENGTH} characters here")
    return rule


def parse(text: str, label: str, *, pack: bool = False) -> Rules:
    """The rules in `text`. `label` names the file in errors; with `pack`, only entries of a user's pack are allowed.

    Raises UsageError with "label:line: what is wrong".
    """
    content = toml_of(text, label)
    lines = header_lines(text)
    allowed = ("dangerous", "known", "narrow", "record_safe") if pack else ("vetted", "dangerous", "known")
    found: dict[str, list[_RuleEntry]] = {kind: [] for kind in _KEYS}
    for kind, tables in content.items():
        at = lines.get(kind, [1])
        if kind not in allowed:
            why = "; a pack cannot vet names, only narrow the table" if pack and kind == "vetted" else ""
            raise UsageError(f"{label}:{at[0]}: no section {kind!r} here, only {', '.join(allowed)}{why}")
        if not isinstance(tables, list) or not all(isinstance(t, dict) for t in tables):
            raise UsageError(f"{label}:{at[0]}: write {kind!r} as [[{kind}]]")
        for index, table in enumerate(tables):
            where = f"{label}:{at[min(index, len(at) - 1)]}"
            found[kind].append(_RuleEntry(kind, table, where, pack=pack))
    return Rules(
        tuple(map(_vetted, found["vetted"])),
        tuple(map(_dangerous, found["dangerous"])),
        tuple(map(_known, found["known"])),
        tuple(map(_narrow, found["narrow"])),
        tuple(map(_record_safe, found["record_safe"])),
    )


def read_pack(path: str | os.PathLike[str]) -> tuple[Rules, str, dict[str, list[int]]]:
    """The pack at `path`, its name in errors, and the lines of its entries.

    Raises InputError when it cannot be read, UsageError ("file:line: ...") when it is not valid.
    """
    label = os.fspath(path)
    text = text_of(label, "a pack", PACK_BYTES)
    return parse(text, label, pack=True), label, header_lines(text)


def contradictions(rules: Rules) -> list[str]:
    """A message for each name of which two entries say different things; empty when all agree."""
    found: list[str] = []
    seen: dict[tuple[str, str, str], str] = {}
    vetted: dict[tuple[str, str], VettedRule] = {}
    groups: tuple[tuple[str, tuple[VettedRule | DangerousRule | KnownRule, ...]], ...] = (
        ("vetted", rules.vetted),
        ("dangerous", rules.dangerous),
        ("known", rules.known),
    )
    for kind, group in groups:
        for rule in group:
            for place in places(rule):
                dotted = ".".join(place)
                if (kind, *place) in seen:
                    found.append(f"{dotted} is {kind} twice")
                seen[(kind, *place)] = kind
                if isinstance(rule, VettedRule):
                    vetted[place] = rule
                elif kind == "dangerous" and place in vetted and vetted[place].verdict == Verdict.CLEAN:
                    found.append(f"{dotted} is vetted without a cap and dangerous")
                elif kind == "known" and ("dangerous", *place) in seen:
                    found.append(f"{dotted} is dangerous and known")
    return found


def read_folder(folder: Path) -> Rules:
    """The reviewed rules in `folder`/{vetted,dangerous,known}/*.toml, with files in the order of their names.

    Raises UsageError when a file is not valid, or when two entries contradict each other.
    """
    parts: list[Rules] = []
    for kind in ("vetted", "dangerous", "known"):
        for path in sorted((folder / kind).glob("*.toml")):
            label = f"{folder.name}/{kind}/{path.name}"
            rules = parse(path.read_text(encoding="utf-8"), label)
            other = {"vetted": rules.vetted, "dangerous": rules.dangerous, "known": rules.known}
            if any(entries for section, entries in other.items() if section != kind):
                raise UsageError(f"{label}:1: only [[{kind}]] entries belong in this folder")
            parts.append(rules)
    found = Rules(
        tuple(rule for part in parts for rule in part.vetted),
        tuple(rule for part in parts for rule in part.dangerous),
        tuple(rule for part in parts for rule in part.known),
    )
    wrong = contradictions(found)
    if wrong:
        raise UsageError(f"{folder.name}: " + "; ".join(wrong))
    return found
