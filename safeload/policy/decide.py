"""What the rules say of one global: it is vetted, dangerous, known or unknown.

This is a look-up of exact names in frozen tables: no import, no pattern, no call. The more exact entry wins:

    1. vetted, exact            5. dangerous, whole module (longest prefix)
    2. dangerous, exact         6. known, whole module (longest prefix)
    3. known, exact             7. unknown
    4. dangerous in any module

A user's pack can make names dangerous, explain names and narrow the vetted table. It never adds to that table, and
never lowers a verdict: what it calls record-safe counts only for exit codes and loads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from os import PathLike
from types import MappingProxyType
from typing import Final, NamedTuple

from safeload.errors import UsageError
from safeload.findings import Severity, Verdict
from safeload.policy.rules import (
    WHOLE,
    DangerousRule,
    KnownRule,
    NarrowRule,
    RecordSafeRule,
    Rules,
    VettedRule,
    digest_of,
    places,
)
from safeload.policy.standard_modules import STANDARD

NAMES = ("weights-only", "standard", "strict")
"""Policies by name: torch's own list, the whole table, and the whole table with nothing accepted besides."""

_DEEPEST = 64
"""How many packages of a dotted module are looked up: each look-up hashes its whole text."""

_REMEMBERED = 4096
"""How many decisions are cached. Names come from untrusted files, which could fill an unbounded cache."""


class Standing(StrEnum):
    """What the rules know a name as."""

    VETTED = "vetted"
    DANGEROUS = "dangerous"
    KNOWN = "known"
    UNKNOWN = "unknown"


class Decision(NamedTuple):
    """What the rules say of one name.

    kind          vetted, dangerous, known or unknown
    rule          rule id of the finding; "" for a vetted name that may be in a clean file
    verdict       the best verdict that a file with this name can have
    shape         of a vetted name: id of the Constructor that its calls have to fit; else ""
    denotes       canonical "module.name" of the thing that the name stands for
    weights_only  whether torch's own weights_only list admits it
    what          of a known name: what the thing is, for people; else ""
    library       of a known name: the library that it belongs to; else ""
    otherwise     of a vetted name that is dangerous in any other form (as a value, or with other arguments): the
                  Decision for such a form
    """

    kind: Standing
    rule: str
    severity: Severity
    verdict: Verdict
    reason: str
    reference: str = ""
    shape: str = ""
    denotes: str = ""
    weights_only: bool = False
    what: str = ""
    library: str = ""
    otherwise: Decision | None = None


class _Tables(NamedTuple):
    """The tables of a Policy. Keys are (module, name); those of `anywhere` are names, those of `whole_*` modules."""

    vetted: Mapping[tuple[str, str], VettedRule]
    dangerous: Mapping[tuple[str, str], DangerousRule]
    known: Mapping[tuple[str, str], KnownRule]
    anywhere: Mapping[str, DangerousRule]
    whole_dangerous: Mapping[str, DangerousRule]
    whole_known: Mapping[str, KnownRule]


def _prefixes(module: str) -> Iterator[str]:
    """`module` and every package above it, longest first; of a very deep one only the topmost packages."""
    if module.count(".") >= _DEEPEST:
        module = ".".join(module.split(".", _DEEPEST)[:_DEEPEST])
    while module:
        yield module
        module = module.rpartition(".")[0]


def _tables(rules: Rules) -> _Tables:
    vetted = {place: rule for rule in rules.vetted for place in places(rule)}
    dangerous: dict[tuple[str, str], DangerousRule] = {}
    known: dict[tuple[str, str], KnownRule] = {}
    anywhere: dict[str, DangerousRule] = {}
    whole_dangerous: dict[str, DangerousRule] = {}
    whole_known: dict[str, KnownRule] = {}
    for rule in rules.dangerous:
        for module, name in places(rule):
            if name == WHOLE:
                whole_dangerous.setdefault(module, rule)
            elif module == WHOLE:
                anywhere.setdefault(name, rule)
            else:
                dangerous.setdefault((module, name), rule)
    for entry in rules.known:
        for module, name in places(entry):
            if name == WHOLE:
                whole_known.setdefault(module, entry)
            else:
                known.setdefault((module, name), entry)
    return _Tables(
        MappingProxyType(vetted),
        MappingProxyType(dangerous),
        MappingProxyType(known),
        MappingProxyType(anywhere),
        MappingProxyType(whole_dangerous),
        MappingProxyType(whole_known),
    )


_NARROWED: dict[tuple[str, tuple[RecordSafeRule, ...], bool], Policy] = {}
"""What a policy is made of -> its weights_only policy, so that a process makes it once for each pack."""


class Policy:
    """The reviewed rules, in tables. Make one with `default`, `named`, `from_file`, `find` or `from_rules`.

    digest   sha256 of the content of the rules: two reports with the same digest were judged by the same rules
    strict   accept nothing but a clean file without remarks: no record, and no baseline. Changes no verdict
    """

    __slots__ = ("_lookup", "_packages", "_record_safe", "_seen", "digest", "rules", "strict")

    def __init__(self, rules: Rules, digest: str, *, strict: bool = False) -> None:
        self.rules: Final = rules
        self.digest: Final = digest
        self.strict: Final = strict
        self._record_safe: Final = {place: rule for rule in rules.record_safe for place in places(rule)}
        self._lookup: Final = _tables(rules)
        self._seen: Final[dict[tuple[str, str], Decision]] = {}
        self._packages: frozenset[str] | None = None

    def knows_package(self, top: str) -> bool:
        """Whether the top-level module `top` is one of Python's, or occurs in a rule."""
        if self._packages is None:
            groups = (self.rules.vetted, self.rules.dangerous, self.rules.known)
            named = {place[0].partition(".")[0] for group in groups for rule in group for place in places(rule)}
            self._packages = STANDARD | named
        return top in self._packages

    @classmethod
    def from_rules(cls, rules: Rules, digest: str | None = None) -> Policy:
        """A policy with no other rules than `rules`."""
        return cls(rules, digest or digest_of(rules))

    @staticmethod
    @cache
    def default() -> Policy:
        """The policy of this release, from `table.py`, which is built from rules/*.toml. A process makes it once."""
        from safeload.policy import table

        rules = Rules(
            tuple(map(VettedRule._make, table.VETTED)),
            tuple(map(DangerousRule._make, table.DANGEROUS)),
            tuple(map(KnownRule._make, table.KNOWN)),
        )
        return Policy(rules, table.DIGEST)

    @classmethod
    def from_file(cls, path: str | PathLike[str]) -> Policy:
        """The default policy, tightened by the pack at `path`.

        Raises InputError when the pack cannot be read, UsageError ("file:line: ...") when it is not valid.
        """
        from safeload.policy import packs

        return cls.default().tightened(*packs.read_pack(path))

    @classmethod
    def named(cls, name: str) -> Policy:
        """A policy of safeload by its name, one of NAMES (see docs/policy.md). Raises UsageError for another name."""
        if name not in NAMES:
            raise UsageError(f"there is no policy {name!r}; the policies are {', '.join(NAMES)}, or a file")
        default = cls.default()
        if name == "weights-only":
            return default.weights_only()
        return cls(default.rules, default.digest, strict=True) if name == "strict" else default

    @classmethod
    def find(cls, given: Policy | str | PathLike[str] | None) -> Policy:
        """The policy that a caller means by a Policy, one of NAMES, the path of a pack, or None for the default one.

        For a pack in a file called "strict", give the path as "./strict". Raises what `from_file` raises.
        """
        if given is None or isinstance(given, Policy):
            return given or cls.default()
        if isinstance(given, str) and (given in NAMES or (given.isidentifier() and not os.path.lexists(given))):
            return cls.named(given)  # raises for a mistyped name, and lists the names that there are
        return cls.from_file(given)

    def weights_only(self) -> Policy:
        """This policy with only those vetted names that torch's own weights_only list admits."""
        key = (self.digest, self.rules.record_safe, self.strict)
        found = _NARROWED.get(key)
        if found is None:
            # A vetted name whose best verdict is unvetted stays: it admits nothing, and without it another rule, of
            # another verdict, would apply to the name.
            vetted = tuple(rule for rule in self.rules.vetted if rule.weights_only or rule.verdict != "clean")
            rules = self.rules._replace(vetted=vetted)
            found = _NARROWED[key] = Policy(rules, digest_of(rules), strict=self.strict)
        return found

    def tightened(self, pack: Rules, label: str, lines: Mapping[str, Sequence[int]] = MappingProxyType({})) -> Policy:
        """This policy with the entries of `pack` added. Raises UsageError for an entry that would lower a verdict.

        `label` names the pack in errors; `lines` holds the line of each of its entries, by section.
        """
        if pack.vetted:
            raise UsageError(f"{label}: a pack cannot vet names, only narrow the table")
        beside = _tables(pack)
        for index, rule in enumerate(pack.known):
            self._refuse_lowering(rule, beside, _at(label, lines, "known", index), "known")
        for index, safe in enumerate(pack.record_safe):
            self._refuse_lowering(safe, beside, _at(label, lines, "record_safe", index), "record_safe")
        for index, entry in enumerate(pack.narrow):
            self._refuse_idle(entry, _at(label, lines, "narrow", index))
        # SECURITY: a name that a pack calls dangerous leaves the vetted table, where it would otherwise come first.
        gone = {place for entry in pack.narrow for place in places(entry)}
        gone.update(place for danger in pack.dangerous for place in places(danger))
        rules = Rules(
            tuple(kept for rule in self.rules.vetted for kept in _without(rule, gone)),
            self.rules.dangerous + pack.dangerous,
            # The first entry wins: what the user's pack says of a name comes before what our rules say.
            pack.known + self.rules.known,
            record_safe=self.rules.record_safe + pack.record_safe,
        )
        return Policy(rules, digest_of(rules), strict=self.strict)

    def _refuse_lowering(self, rule: KnownRule | RecordSafeRule, beside: _Tables, label: str, kind: str) -> None:
        for module, name in places(rule):
            hit = self._lookup.dangerous.get((module, name)) or beside.dangerous.get((module, name))
            if hit is None and (name != WHOLE or kind == "record_safe"):
                hit = _spread(self._lookup, module, name) or _spread(beside, module, name)
            if hit is not None:
                cannot = "a pack cannot lower a verdict" if kind == "known" else "it cannot be record-safe"
                raise UsageError(f"{label}: [[{kind}]] {module}.{name} is dangerous ({hit.family}); {cannot}")

    def _refuse_idle(self, entry: NarrowRule, label: str) -> None:
        for module, name in places(entry):
            if not any(_covers(place, (module, name)) for place in self._lookup.vetted):
                raise UsageError(f"{label}: [[narrow]] {module}.{name} is not in the vetted table; check the spelling")

    def decide(self, module: str, name: str) -> Decision:
        """What the rules say of `module`.`name`, both exactly as in a Global of the machine. Never raises."""
        key = (module, name)
        found = self._seen.get(key)
        if found is None:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            found = self._seen[key] = self._decide(key)
        return found

    def record_safe(self, name: str) -> RecordSafeRule | None:
        """The entry that makes inert records of `name` acceptable, or None. `name` is dotted, as in `Finding.name`.

        None for a dangerous or vetted name, whatever a pack says, and for every name in a strict policy.
        """
        module, _, last = name.rpartition(".")
        if self.strict or not module or self.decide(module, last).kind not in (Standing.KNOWN, Standing.UNKNOWN):
            return None
        found = self._record_safe.get((module, last))
        if found is None:
            wide = (self._record_safe.get((prefix, WHOLE)) for prefix in _prefixes(module))
            found = next((rule for rule in wide if rule is not None), None)
        return found

    def _decide(self, key: tuple[str, str]) -> Decision:
        lookup = self._lookup
        danger = lookup.dangerous.get(key)
        vetted = lookup.vetted.get(key)
        if vetted is not None:
            decision = _of_vetted(key, vetted)
            return decision if danger is None else decision._replace(otherwise=_of_dangerous(key, danger))
        if danger is not None:
            return _of_dangerous(key, danger)
        known = lookup.known.get(key)
        if known is not None:
            return _of_known(key, known)
        danger = _spread(lookup, *key)
        if danger is not None:
            return _of_dangerous(key, danger)
        for prefix in _prefixes(key[0]):
            known = lookup.whole_known.get(prefix)
            if known is not None:
                return _of_known(key, known)
        return Decision(
            Standing.UNKNOWN,
            "unknown-global",
            Severity.MEDIUM,
            Verdict.UNVETTED,
            "no rule knows this name; importing it runs the module that holds it",
            denotes=".".join(key),
        )


def _at(label: str, lines: Mapping[str, Sequence[int]], kind: str, index: int) -> str:
    """Where an entry is: "label:line", or only the label when its line is not known."""
    at = lines.get(kind, ())
    return f"{label}:{at[index]}" if index < len(at) else label


def _spread(lookup: _Tables, module: str, name: str) -> DangerousRule | None:
    """The entry for this name in any module, or for the whole module, longest prefix first."""
    found = lookup.anywhere.get(name)
    if found is not None:
        return found
    for prefix in _prefixes(module):
        found = lookup.whole_dangerous.get(prefix)
        if found is not None:
            return found
    return None


def _covers(place: tuple[str, str], entry: tuple[str, str]) -> bool:
    """Whether `entry` of a pack, which is exact or for a whole module, is about `place`."""
    return place == entry or (entry[1] == WHOLE and entry[0] in _prefixes(place[0]))


def _without(rule: VettedRule, gone: set[tuple[str, str]]) -> Iterator[VettedRule]:
    """`rule` without the places in `gone`: itself if it has none of them, else one rule per module with names left."""
    whole = {module for module, name in gone if name == WHOLE}

    def stays(module: str, name: str) -> bool:
        return (module, name) not in gone and whole.isdisjoint(_prefixes(module))

    if all(stays(*place) for place in places(rule)):
        yield rule
        return
    for module in rule.modules:
        names = tuple(name for name in rule.names if stays(module, name))
        if names:
            yield rule._replace(modules=(module,), names=names)


def _of_vetted(key: tuple[str, str], rule: VettedRule) -> Decision:
    denotes = rule.denotes or ".".join(key)
    return Decision(
        Standing.VETTED,
        rule.rule,
        Severity.LOW if rule.rule else Severity.INFO,
        Verdict(rule.verdict),
        rule.reason,
        rule.reference,
        shape=rule.shape,
        denotes=denotes[:-1] + key[1] if denotes.endswith(".*") else denotes,
        weights_only=rule.weights_only,
    )


def _of_dangerous(key: tuple[str, str], rule: DangerousRule) -> Decision:
    return Decision(
        Standing.DANGEROUS,
        rule.family,
        Severity(rule.severity),
        Verdict.DANGEROUS,
        rule.reason,
        rule.reference,
        denotes=".".join(key),
    )


def _of_known(key: tuple[str, str], rule: KnownRule) -> Decision:
    return Decision(
        Standing.KNOWN,
        "known-class",
        Severity(rule.severity),
        Verdict.UNVETTED,
        f"{rule.what}: not in the vetted table, kept as an inert record",
        denotes=".".join(key),
        what=rule.what,
        library=rule.library,
    )
