"""The rules as data: what one entry holds, and the digest of all. Knows neither TOML nor which rule wins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

WHOLE = "*"
"""In place of a name: every name of the module and of its submodules. In place of a dangerous module: any module."""


class VettedRule(NamedTuple):
    """Names that a file may call with arguments of one shape.

    modules, names  every name in every one of these modules
    shape           id of the `vetted.interface.Constructor` that calls have to fit
    denotes         canonical name of the thing: "" for the name itself; in "numpy._core.multiarray.*" the star stands
                    for the last part of each name
    verdict         the best verdict of a file with this name: "clean", or "unvetted" for a form that is kept as an
                    inert record
    rule            rule id of the finding when `verdict` is not "clean"
    """

    modules: tuple[str, ...]
    names: tuple[str, ...]
    shape: str
    reason: str
    reference: str
    weights_only: bool
    denotes: str
    verdict: str
    rule: str


class DangerousRule(NamedTuple):
    """Names that no model needs, and that give the file control. `family` is the rule id of the finding."""

    modules: tuple[str, ...]
    names: tuple[str, ...]
    family: str
    severity: str
    reason: str
    reference: str


class KnownRule(NamedTuple):
    """Names outside the vetted table that a report can explain: `library` and `what`. They stay inert records."""

    modules: tuple[str, ...]
    names: tuple[str, ...]
    library: str
    what: str
    severity: str


class NarrowRule(NamedTuple):
    """Names that a pack takes out of the vetted table."""

    modules: tuple[str, ...]
    names: tuple[str, ...]


class RecordSafeRule(NamedTuple):
    """Names whose inert records a team accepts. This counts for exit codes and loads, never for a verdict."""

    modules: tuple[str, ...]
    names: tuple[str, ...]
    reason: str
    reference: str = ""


class Rules(NamedTuple):
    """All rules of one or more files, in order. Of two entries for one name the first counts."""

    vetted: tuple[VettedRule, ...] = ()
    dangerous: tuple[DangerousRule, ...] = ()
    known: tuple[KnownRule, ...] = ()
    narrow: tuple[NarrowRule, ...] = ()
    record_safe: tuple[RecordSafeRule, ...] = ()


def places(rule: VettedRule | DangerousRule | KnownRule | NarrowRule | RecordSafeRule) -> Iterator[tuple[str, str]]:
    """Every (module, name) that the entry is about."""
    for module in rule.modules:
        for name in rule.names:
            yield module, name


def digest_of(rules: Rules) -> str:
    """sha256 of the content of `rules`: of one line for each name, sorted. Files, order and grouping do not matter.

    Record-safe entries do not count, because they change no verdict.
    """
    import hashlib
    import json

    lines: set[str] = set()
    groups: tuple[tuple[str, tuple[VettedRule | DangerousRule | KnownRule, ...]], ...] = (
        ("vetted", rules.vetted),
        ("dangerous", rules.dangerous),
        ("known", rules.known),
    )
    for kind, group in groups:
        for rule in group:
            fields = [getattr(rule, key) for key in rule._fields if key not in ("modules", "names")]
            lines.update(json.dumps([kind, *place, *fields]) for place in places(rule))
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()
