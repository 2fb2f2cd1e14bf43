"""Judges names that a configuration makes its loader import. The policy decides, as for the globals of a pickle."""

from __future__ import annotations

from collections.abc import Iterator

from safeload.findings import Finding, Severity, Verdict
from safeload.policy import Policy, Standing
from safeload.scanning.units.interface import unread
from safeload.scanning.units.leaves import Leaf, python_tag

_REMEDY = "do not load the folder before you know what this name does; it needs no such name to hold weights"


def imported(
    policy: Policy, dotted: str, why: str, member: str, *, own: tuple[str, ...] = (), offset: int | None = None
) -> Iterator[Finding]:
    """What the policy says of `dotted`, a name that the loader imports and calls. `why` is a clause for people.

    `own` are packages of the loader itself, "diffusers" for example: the loader calls names of its own whatever the
    file says, so only names that a rule calls dangerous give a finding.
    """
    module, _, name = dotted.rpartition(".")
    if not module:
        module, name = name, "*"
    decision = policy.decide(module, name)
    if decision.otherwise is not None:
        decision = decision.otherwise
    if decision.kind is not Standing.DANGEROUS and within(dotted, own):
        return
    if decision.kind is Standing.VETTED:
        # Vetted means: called with arguments of one shape. Here the arguments are the file's.
        rule, verdict, severity = "unknown-global", Verdict.UNVETTED, Severity.MEDIUM
        text = "vetted for pickles, where its arguments are checked, and not for this"
    else:
        rule, verdict, severity = decision.rule, decision.verdict, decision.severity
        text = decision.what or decision.reason
    message = f"{why} {dotted[:200]!a}: {text}"
    yield Finding(rule, verdict, severity, message, _REMEDY, member=member, offset=offset, name=dotted[:400])


def tagged(policy: Policy, leaf: Leaf, member: str) -> Iterator[Finding]:
    """The findings for a value of a YAML whose tag is none of YAML's own: its loader chooses the type."""
    if dotted := python_tag(leaf.tag):
        why = "a tag has the unsafe loaders of PyYAML resolve"
        yield from imported(policy, dotted, why, member, offset=leaf.offset)
    message = f"a value has the tag {leaf.tag[:200]!a}, whose meaning is up to its loader"
    yield unread(member, message, offset=leaf.offset)


def within(dotted: str, packages: tuple[str, ...]) -> bool:
    """Whether `dotted` is one of `packages` or lies in one."""
    return any(dotted == package or dotted.startswith(package + ".") for package in packages)
