"""Names that a configuration has its loader import: the policy says what they are, as it does of a pickle's globals."""

from __future__ import annotations

from collections.abc import Iterator

from safeload.findings import Finding, Severity, Verdict
from safeload.policy import Kind, Policy
from safeload.scanning.units.interface import unread
from safeload.scanning.units.leaves import Leaf, python_tag

_REMEDY = "do not load the folder before you know what this name does; it needs no such name to hold weights"


def imported(
    policy: Policy, dotted: str, why: str, member: str, *, own: tuple[str, ...] = (), offset: int | None = None
) -> Iterator[Finding]:
    """The policy's word on `dotted`, which the loader resolves to something and calls. `why` is a clause for people.

    `own` are packages of the loader itself, "diffusers" say, whose names it calls whatever the file says: those that no
    rule calls dangerous are silent.
    """
    module, _, name = dotted.rpartition(".")
    if not module:
        module, name = name, "*"
    decision = policy.decide(module, name)
    if decision.otherwise is not None:
        decision = decision.otherwise
    if decision.kind is not Kind.DANGEROUS and within(dotted, own):
        return
    if decision.kind is Kind.VETTED:
        # Vetted means: called with arguments of one shape. Here the arguments are the file's.
        rule, verdict, severity = "unknown-global", Verdict.UNVETTED, Severity.MEDIUM
        text = "vetted for pickles, where its arguments are checked, and not for this"
    else:
        rule, verdict, severity = decision.rule, decision.verdict, decision.severity
        text = decision.what or decision.reason
    message = f"{why} {dotted[:200]!a}: {text}"
    yield Finding(rule, verdict, severity, message, _REMEDY, member=member, offset=offset, name=dotted[:400])


def tagged(policy: Policy, leaf: Leaf, member: str) -> Iterator[Finding]:
    """What is said of a value of a YAML with a tag of its own: its type is up to whoever loads it."""
    if dotted := python_tag(leaf.tag):
        why = "a tag has the unsafe loaders of PyYAML resolve"
        yield from imported(policy, dotted, why, member, offset=leaf.offset)
    message = f"a value has the tag {leaf.tag[:200]!a}, whose meaning is up to its loader"
    yield unread(member, message, offset=leaf.offset)


def within(dotted: str, packages: tuple[str, ...]) -> bool:
    """Whether `dotted` is one of `packages` or lies in one."""
    return any(dotted == package or dotted.startswith(package + ".") for package in packages)
