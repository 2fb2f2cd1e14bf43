"""`safeload rules`: packs checked before they are used, rules listed, one rule or name explained. Judges nothing."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import click

from safeload.cli.configured import Configured
from safeload.cli.exit_code import UNFINISHED, write_out
from safeload.cli.suggesting import Suggesting
from safeload.errors import SafeloadError, UsageError
from safeload.policy import Decision, Policy, Standing
from safeload.policy.explained import RULES
from safeload.policy.rules import places
from safeload.reports import escape

EXAMPLES = """\b
Examples:
  safeload rules check team.toml         is it a pack, and does it hold together?
  safeload rules list                    every rule id, in a line
  safeload rules list --family network   every name of a family
  safeload rules show enum-lookup        what a rule means
  safeload rules show posix.system       where a name stands, and why
"""

WIDTH = 100
TIERS = ("vetted", "known", "record-safe")
"""What `--family` takes beside the families of dangerous names."""

_POLICY = click.option(
    "--policy", "policy_file", metavar="NAME|FILE", help="These rules, in place of those of safeload alone."
)
_JSON = click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")


@click.group(cls=Suggesting, epilog=EXAMPLES, no_args_is_help=False)
def rules() -> None:
    """Rules and packs: check your own, list what there is, explain one."""


@rules.command(epilog=EXAMPLES, no_args_is_help=False)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.UNPROCESSED)
@click.pass_context
def check(context: click.Context, files: tuple[str, ...]) -> None:
    """Check rule packs: exit code 0 when each FILE is a pack, 2 when one is not."""
    from safeload.policy.packs import read_pack

    good = []
    failed = False
    for file in files:
        try:
            pack, label, lines = read_pack(file)
            Policy.default().tightened(pack, label, lines)
        except SafeloadError as error:
            failed = True
            said = f"{file}: {error.strerror}" if isinstance(error, OSError) and error.strerror else str(error)
            click.echo(f"Error: {escape.exact(said)}", err=True)
            continue
        counts = {
            "dangerous": pack.dangerous,
            "known": pack.known,
            "narrow": pack.narrow,
            "record_safe": pack.record_safe,
        }
        said = ", ".join(f"{len(group)} [[{kind}]]" for kind, group in counts.items() if group) or "no entries"
        good.append(f"{escape.path(file)}: good ({said})\n")
    write_out("".join(good), color=False)
    context.exit(UNFINISHED if failed else 0)


@rules.command(name="list", cls=Configured, epilog=EXAMPLES, no_args_is_help=False)
@click.option("--family", metavar="FAMILY", help="The names of one family; also vetted, known or record-safe.")
@_POLICY
@_JSON
@click.pass_context
def listing(context: click.Context, family: str | None, policy_file: str | None, as_json: bool) -> None:
    """List the rule ids, or the names of one family."""
    if family is None:
        found: list[dict[str, Any]] = [
            {"rule": rule, "section": section, "summary": _sentence(text)} for rule, section, text in RULES
        ]
        text = "".join(_ids(found))
    else:
        policy = Policy.find(policy_file)
        found = list(_family(policy, family))
        if not found:
            families = dict.fromkeys(rule.family for rule in policy.rules.dangerous)
            raise UsageError(f"no name is in {family!r}; the families are {', '.join((*families, *TIERS))}")
        text = "".join(f"{escape.exact(row['name'])}  {escape.exact(row['about'])}\n" for row in _aligned(found))
    write_out(_dump(found) if as_json else text, color=False)
    context.exit(0)


@rules.command(cls=Configured, epilog=EXAMPLES, no_args_is_help=False)
@click.argument("name", metavar="ID|MODULE.NAME")
@_POLICY
@_JSON
@click.pass_context
def show(context: click.Context, name: str, policy_file: str | None, as_json: bool) -> None:
    """Explain a rule by its id, or where a name stands, as posix.system."""
    policy = Policy.find(policy_file)
    fields = _rule(name, policy) if "." not in name else None
    if fields is None:
        module, _, last = name.rpartition(".")
        if not module:
            from difflib import get_close_matches

            near = get_close_matches(name, [rule for rule, _, _ in RULES], 3)
            hint = "safeload rules list has them; a name of Python is written with its module, as os.system"
            if near:
                hint = f"did you mean {' or '.join(map(repr, near))}?"
            raise UsageError(f"there is no rule {name!r}; {hint}")
        fields = _global(policy, module, last)
    write_out(_dump(fields) if as_json else _text(fields), color=False)
    context.exit(0)


def _rule(name: str, policy: Policy) -> dict[str, Any] | None:
    """What a rule id means; the family of a pack has no text of its own."""
    for rule, section, text in RULES:
        if rule == name:
            return {"rule": rule, "section": section, "text": text}
    own = [rule for rule in policy.rules.dangerous if rule.family == name]
    return {"rule": name, "section": "Your pack", "text": own[-1].reason} if own else None


def _global(policy: Policy, module: str, name: str) -> dict[str, Any]:
    """Where a name stands."""
    decision = policy.decide(module, name)
    worse = decision.otherwise
    dotted = f"{module}.{name}"
    safe = policy.record_safe(dotted)
    fields: dict[str, Any] = {
        "name": dotted,
        "stands": decision.kind.value,
        "rule": decision.rule,
        "verdict": decision.verdict.value,
        "severity": decision.severity.value,
        "reason": decision.reason,
        "shape": _shape(decision),
        "denotes": decision.denotes if decision.denotes != dotted else "",
        "library": decision.library,
        "otherwise": f"dangerous ({worse.rule}): {worse.reason}" if worse else "",
        "weights_only": decision.weights_only,
        "record_safe": safe.reason if safe else "",
        "reference": decision.reference,
    }
    return fields


def _shape(decision: Decision) -> str:
    """The admitted form of a vetted name, in the words of the code that checks it."""
    if decision.kind is not Standing.VETTED:
        return ""
    from safeload.vetted import CONSTRUCTORS

    call = CONSTRUCTORS[decision.shape].call
    if call is None:
        return "may stand as a value, and is never called"
    return " ".join((call.__doc__ or decision.shape).split())


def _text(fields: Mapping[str, Any]) -> str:
    """The fields for people: a head, and what is not empty below it, aligned."""
    if "name" not in fields:
        body = "\n\n".join(_wrapped(line, "") for line in fields["text"].split("\n"))
        return f"{escape.exact(fields['rule'])} ({escape.exact(fields['section'])})\n\n{body}\n"
    lines = [escape.name(fields["name"])]
    for key, value in fields.items():
        if key == "name" or not value:
            continue
        shown = "yes, torch's own list has it" if value is True else str(value)
        lines.append(f"  {key.replace('_', ' '):13}{_wrapped(shown, ' ' * 15)}")
    return "\n".join(lines) + "\n"


def _wrapped(text: str, indent: str) -> str:
    lines = textwrap.wrap(escape.exact(text), WIDTH - len(indent), break_long_words=False, break_on_hyphens=False)
    return f"\n{indent}".join(lines)


def _ids(found: list[dict[str, Any]]) -> Iterator[str]:
    """The rule ids by section, each with its first sentence."""
    width = max(len(row["rule"]) for row in found)
    section = ""
    for row in found:
        if row["section"] != section:
            yield f"{chr(10) if section else ''}{row['section']}\n"
            section = row["section"]
        yield f"  {row['rule']:{width}}  {_cut(row['summary'], WIDTH - width - 4)}\n"


def _family(policy: Policy, family: str) -> Iterator[dict[str, Any]]:
    """The names of one family or tier, as the policy decides them."""
    groups: Mapping[str, tuple[Any, ...]] = {
        "vetted": policy.rules.vetted,
        "known": policy.rules.known,
        "record-safe": policy.rules.record_safe,
    }
    rows = groups.get(family) or tuple(rule for rule in policy.rules.dangerous if rule.family == family)
    for rule in rows:
        about = f"{rule.library}: {rule.what}" if family == "known" else rule.reason
        for module, name in places(rule):
            yield {"name": f"{module}.{name}", "family": family, "about": about}


def _aligned(found: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    width = min(max(len(row["name"]) for row in found), 48)
    for row in sorted(found, key=lambda row: str(row["name"])):
        yield {"name": f"{row['name']:{width}}", "about": row["about"]}


def _sentence(text: str) -> str:
    """The first sentence of an explanation."""
    first = text.split("\n", 1)[0]
    return first.partition(". ")[0].rstrip(".") + "."


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _dump(found: object) -> str:
    return json.dumps(found, ensure_ascii=True, indent=2) + "\n"
