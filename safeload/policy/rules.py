"""The rules as data: what one entry holds, and the digest of them all. Knows neither TOML nor precedence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

WHOLE = "*"
"""As the name: every name of the module and of its submodules. As a dangerous module: this name in any module."""


class VettedRule(NamedTuple):
    """Names that may be called with arguments of one shape.

    shape      id of a `vetted.interface.Constructor`
    denotes    canonical name of the thing; "numpy._core.multiarray.*" keeps each name's own last part; "" for itself
    verdict    the best verdict of a file with this name: "clean", or "unvetted" for forms that stay inert records
    rule       rule id reported when `verdict` is not "clean"
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
    """Names that no model needs and that hand control to the file. `family` is the rule id reported."""

    modules: tuple[str, ...]
    names: tuple[str, ...]
    family: str
    severity: str
    reason: str
    reference: str


class KnownRule(NamedTuple):
    """Names outside the vetted table that can be explained to a reader. They stay inert records."""

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
    """Names whose inert records are acceptable to a team: for exit codes and loads, never for a verdict."""

    modules: tuple[str, ...]
    names: tuple[str, ...]
    reason: str
    reference: str = ""


class Rules(NamedTuple):
    """Everything that was read from one or more files, in order."""

    vetted: tuple[VettedRule, ...] = ()
    dangerous: tuple[DangerousRule, ...] = ()
    known: tuple[KnownRule, ...] = ()
    narrow: tuple[NarrowRule, ...] = ()
    record_safe: tuple[RecordSafeRule, ...] = ()


def places(rule: VettedRule | DangerousRule | KnownRule | NarrowRule | RecordSafeRule) -> Iterator[tuple[str, str]]:
    """Every (module, name) of the entry."""
    for module in rule.modules:
        for name in rule.names:
            yield module, name


def digest_of(rules: Rules) -> str:
    """sha256 over the content of `rules`, one line a name, sorted: independent of files, order and grouping.

    What is record-safe does not count: it changes no verdict.
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
