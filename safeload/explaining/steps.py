"""The effects of one stream as numbered steps, each with its standing; those that repeat are counted as one.

Standing comes from the policy and from the findings of the scan: nothing is judged a second time. Text is made for the
steps that are shown, so that a stream of a million effects costs a walk and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from safeload.document.document import ArraySpec, StorageValue, TensorSpec
from safeload.explaining import wording
from safeload.findings import Finding, Verdict, worst
from safeload.machine import Call, Effect, Global, Mutation, Persistent
from safeload.policy import Policy
from safeload.scanning.streams import JudgedStream

LEAD = 4
"""One in so many steps that are told is from the beginning, whatever it is; the dangerous ones come next."""

_RANK = {"dangerous": 1, "unjudged": 2}
_VERDICTS = {
    "vetted": Verdict.CLEAN,
    "known": Verdict.UNVETTED,
    "unknown": Verdict.UNVETTED,
    "dangerous": Verdict.DANGEROUS,
}


class Step(NamedTuple):
    """One thing that loading would do, or `times` of them alike.

    number    from 1, in the order of the first one
    words     what would be done
    standing  "vetted", "known", "unknown" or "dangerous" as the policy has the name; "unvetted" or "unjudged" where the
              scan found more than the name says, "data" for what has no name and no finding
    offset    of the first one, as findings have it;  last: of the last one
    rule      id of the finding there, "" without one;  why: its message
    """

    number: int
    words: str
    standing: str
    times: int
    offset: int
    last: int
    rule: str
    why: str


class _Group:
    """Effects that are told as one step."""

    __slots__ = ("effects", "finding", "standing")

    def __init__(self, effect: Effect, standing: str, finding: Finding | None) -> None:
        self.effects: list[Effect] = [effect]
        self.standing = standing
        self.finding = finding


class Steps(NamedTuple):
    """What is told of a stream.

    shown      the steps that are told;  total: how many there are
    standings  how many effects have each standing
    marks      offset -> standing, where it is more than vetted
    """

    shown: tuple[Step, ...]
    total: int
    standings: Mapping[str, int]
    marks: Mapping[int, str]


class Narrator:
    """Makes steps of a stream."""

    def __init__(
        self, policy: Policy, stream: JudgedStream, findings: Mapping[int, list[Finding]], *, grouped: bool
    ) -> None:
        self.policy = policy
        self.stream = stream
        self.findings = findings
        self.grouped = grouped
        self._standings: dict[int, str] = {}

    def steps(self, most: int | None) -> Steps:
        """At most `most` steps (None: all), in the order of the file; the first ones and the dangerous are kept."""
        groups = self._groups()
        kept = set(range(len(groups)))
        if most is not None and len(groups) > most:
            ranks = [0 if at < most // LEAD else _RANK.get(groups[at].standing, 3) for at in range(len(groups))]
            ranked = sorted(kept, key=lambda at: (ranks[at], at))
            kept = set(ranked[:most])
        counts: dict[str, int] = {}
        marks: dict[int, str] = {}
        for group in groups:
            counts[group.standing] = counts.get(group.standing, 0) + len(group.effects)
            if group.standing not in {"vetted", "data"}:
                marks.update((effect.offset - self.stream.base, group.standing) for effect in group.effects)
        shown = tuple(self._step(at, groups[at], groups[at - 1] if at - 1 in kept else None) for at in sorted(kept))
        return Steps(shown, len(groups), counts, marks)

    def _groups(self) -> list[_Group]:
        groups: list[_Group] = []
        opened: dict[tuple[str, str, str], _Group] = {}
        for effect in self.stream.program.effects:
            finding = self._finding(effect)
            standing = self._standing(effect, finding)
            alike = wording.alike(effect)
            key = (alike, standing, finding.rule if finding else "")
            lone = not self.grouped or standing == "dangerous"
            found = None if lone else opened.get(key)
            if found is not None:
                found.effects.append(effect)
                continue
            made = _Group(effect, standing, finding)
            groups.append(made)
            if isinstance(effect, Global) and standing == "dangerous":
                # A name that a check refuses stays refused where it is called.
                self._standings[id(effect)] = standing
            if lone:
                # What comes behind a dangerous step is told behind it.
                opened.clear()
            else:
                opened[key] = made
        return groups

    def _finding(self, effect: Effect) -> Finding | None:
        """The finding at this effect that says most."""
        if not self.findings:
            return None
        given = self.findings.get(effect.offset - self.stream.base)
        if given is None or not given:
            return None
        if len(given) == 1:
            return given[0]
        wanted = worst((finding.verdict for finding in given), empty=Verdict.CLEAN)
        return next(finding for finding in given if finding.verdict is wanted)

    def _standing(self, effect: Effect, finding: Finding | None) -> str:
        standing = self._named(effect)
        if finding is None or finding.verdict is Verdict.CLEAN:
            return standing
        own = _VERDICTS.get(standing, Verdict.CLEAN)
        if worst((own, finding.verdict), empty=own) is own:
            return standing
        return finding.verdict.value

    def _named(self, effect: Effect) -> str:
        """What the policy says of the name behind an effect."""
        node = wording.named(effect)
        if node is None:
            return "vetted" if isinstance(effect, Persistent) else "data"
        found = self._standings.get(id(node))
        if found is None:
            decision = self.policy.decide(node.module, node.name)
            found = decision.kind.value
            if found == "vetted" and decision.verdict is not Verdict.CLEAN:
                found = decision.verdict.value
            self._standings[id(node)] = found
        return found

    def _step(self, at: int, group: _Group, before: _Group | None) -> Step:
        base, finding, effects = self.stream.base, group.finding, group.effects
        if len(effects) > 1:
            words = _many(effects)
        else:
            words = wording.one(effects[0], follows=before is not None and _follows(effects[0], before.effects))
        return Step(
            at + 1, words, group.standing, len(effects), effects[0].offset - base, effects[-1].offset - base,
            "" if finding is None else finding.rule, "" if finding is None else finding.message,
        )  # fmt: skip


def _follows(effect: Effect, before: list[Effect]) -> bool:
    """Whether an effect calls what the step before imports, and nothing else: it is then told as "calls it"."""
    return isinstance(effect, Call) and len(before) == 1 and effect.func is before[0]


def _many(effects: list[Effect]) -> str:
    """Effects that are alike, in words."""
    effect, count = effects[0], len(effects)
    if isinstance(effect, Global):
        names = list(dict.fromkeys(wording.name_of(node) for node in effects))
        return f"imports {_listed(names)}"
    if isinstance(effect, Persistent):
        return f"asks the loader for {count:,} storages"
    if isinstance(effect, Call):
        name = wording.function(effect)
        values = {type(node.value) for node in effects if isinstance(node, Call)}
        for kind, what in ((TensorSpec, "tensors"), (ArraySpec, "arrays"), (StorageValue, "storages")):
            if values == {kind}:
                return f"builds {count:,} {what} with {name}"
        return f"builds {count:,} objects with {name}"
    if isinstance(effect, Mutation):
        return f"{count:,} times: {wording.mutation(effect, shown=False)}"
    return f"{count:,} times: {wording.one(effect)}"


def _listed(names: list[str], most: int = 4) -> str:
    """The first names, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
