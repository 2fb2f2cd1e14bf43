"""The judge of one stream: compares what a Program would do with the policy, and gives every node its meaning.

It goes through the effects once and in order, so that a shape sees its arguments as they were when the call would have
run. It never goes through plain data. It calls, imports and builds nothing. The scanner computes the verdict, from the
findings alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from safeload.checks import CHECKS, Check, StreamView
from safeload.checks.evidence import call_text, describe, global_name, mutation_text
from safeload.checks.global_names import REMEDY_DANGEROUS
from safeload.containers.interface import ImportedName
from safeload.document.cell import UNSET
from safeload.document.document import Symbol
from safeload.document.record import Record
from safeload.findings import Finding, Severity, Verdict
from safeload.machine import Buffer, Call, Effect, Extension, Global, Mutation, Persistent, Program
from safeload.policy import Decision, Policy, Standing
from safeload.vetted import CONSTRUCTORS, Constructor, Context, ShapeError, persistent_value
from safeload.vetted.consumption import spend

_SEVERITY = {
    Verdict.DANGEROUS: Severity.HIGH,
    Verdict.UNJUDGED: Severity.MEDIUM,
    Verdict.UNVETTED: Severity.LOW,
    Verdict.CLEAN: Severity.INFO,
}
_REMEDY = {
    Verdict.DANGEROUS: REMEDY_DANGEROUS,
    Verdict.UNJUDGED: "treat the file as unsafe until its author saves it again with current tools",
    Verdict.UNVETTED: "load it with safeload.load(..., unvetted='record') to reach the data without the class",
    Verdict.CLEAN: "",
}

_CHECKS: dict[type, tuple[Check, ...]] = {
    kind: tuple(check for check in CHECKS if kind in check.effects)
    for kind in (Global, Call, Mutation, Extension, Buffer, Persistent)
}


class _Known(NamedTuple):
    """A global of this stream: what the policy says of it and, when it is vetted, the shape of its calls.

    `capped` is the shape in which the name is unvetted; in every other form it is dangerous.
    """

    node: Global
    decision: Decision
    constructor: Constructor | None
    capped: Constructor | None = None


class Judge:
    """Judges one stream. Afterwards `findings` holds what it found, and each node of the program what it denotes."""

    def __init__(
        self, policy: Policy, context: Context, view: StreamView, objects: Mapping[object, object] | None
    ) -> None:
        self.policy = policy
        self.context = context
        self.view = view
        # What persistent ids name in a tar file: objects of earlier streams. None where they name storages.
        self.objects = objects
        self.findings: list[Finding] = []
        self._known: dict[int, _Known] = {}
        self._uncalled: dict[int, _Known] = {}
        self._reported: set[tuple[str, str]] = set()
        # Records whose state is a dict of our own, because more than one BUILD set it.
        self._merged: set[int] = set()
        self._changed: list[Call] = []

    def run(self) -> None:
        """Judge every effect of the program, in order."""
        known = self._known
        context = self.context
        for effect in self.view.program.effects:
            if type(effect) is Call:
                found = known.get(id(effect.func))
                if found is None or found.constructor is None or found.constructor.call is None:
                    self._call(effect)
                    continue
                try:
                    if effect.kind not in found.constructor.kinds:
                        raise ShapeError(f"is never called through {effect.kind}")
                    effect.value = found.constructor.call(effect, context)
                    if found.decision.rule:
                        self._admitted(effect, found)
                except ShapeError as error:
                    self._misshapen(effect, found, error)
            elif type(effect) is Global:
                self._global(effect)
            elif type(effect) is Persistent:
                self._persistent(effect)
            elif type(effect) is Mutation:
                self._mutation(effect)
            else:
                self._other(effect)
        for left in self._uncalled.values():
            self._report(left.node, left.decision)
        for call in self._changed:
            # A call holds its changes and each of them the call: without this circle the tree is freed as soon as
            # nobody has it, not when the collector has walked through all of it.
            call.mutations = None

    def _check(self, effect: Effect, decision: Decision | None) -> None:
        for check in _CHECKS[type(effect)]:
            self.findings.extend(check.check(effect, decision, self.view))

    def _global(self, node: Global) -> None:
        decision = self.policy.decide(node.module, node.name)
        shape = CONSTRUCTORS[decision.shape] if decision.kind is Standing.VETTED else None
        found = _Known(node, decision, shape) if decision.otherwise is None else _Known(node, decision, None, shape)
        self._known[id(node)] = found
        if decision.kind is Standing.VETTED and decision.otherwise is None:
            node.value = Symbol(decision.denotes)
            # The vetted table spells names exactly, but the stream may have hidden something beside the name.
            if node.raw_module == node.module and node.raw_name == node.name:
                return
        else:
            node.value = Record(node.module, node.name)
        if decision.kind is Standing.DANGEROUS or decision.otherwise is not None:
            # Reported at the call, with its arguments; or at the end when nothing calls it.
            self._uncalled[id(node)] = found
            self._check(node, None)
        elif (node.module, node.name) not in self._reported:
            self._reported.add((node.module, node.name))
            self._check(node, None if decision.kind is Standing.VETTED else decision)

    def _report(self, node: Global, decision: Decision) -> None:
        place = (node.module, node.name)
        if place not in self._reported:
            self._reported.add(place)
            self._check(node, decision if decision.otherwise is None else decision.otherwise)

    def _call(self, call: Call) -> None:
        func: object = call.func
        while isinstance(func, Persistent) and isinstance(func.value, Global | Persistent):
            func = func.value  # legacy files name the classes of pickled modules through a persistent id
        found = self._known.get(id(func))
        if found is None:
            call.value = Record("", "<result of a call>", _tuple(call.args))
            self._check(call, None)
            return
        node = found.node
        if found.constructor is not None:
            self._misshapen(call, found, ShapeError("is a value and is never called"))
            return
        if found.capped is not None:
            self._capped(call, found, found.capped)
            return
        call.value = Record(node.module, node.name, _tuple(call.args), _kwargs(call.kwargs))
        if found.decision.kind is Standing.DANGEROUS:
            self._uncalled.pop(id(node), None)
            self._reported.add((node.module, node.name))
        self._check(call, found.decision)

    def _admitted(self, call: Call, found: _Known) -> None:
        """Report a call of the right shape whose result stays inert: the file is no better than its rule says."""
        self._uncalled.pop(id(found.node), None)
        decision, name = found.decision, global_name(found.node)
        if (decision.rule, name) not in self._reported:
            self._reported.add((decision.rule, name))
            self._add(
                decision.rule, decision.verdict, decision.severity, f"{name}: {decision.reason}", call.offset, name,
                call_text(call),
            )  # fmt: skip

    def _capped(self, call: Call, found: _Known, shape: Constructor) -> None:
        """Judge a call of a name that is dangerous in every form but one. In that one it stays an inert record."""
        try:
            if call.kind not in shape.kinds or shape.call is None:
                raise ShapeError(f"is never called through {call.kind}")
            call.value = shape.call(call, self.context)
        except ShapeError as error:
            self._misshapen(call, found, error)
            return
        self._uncalled.pop(id(found.node), None)
        decision, name = found.decision, global_name(found.node)
        text = call_text(call)
        if (decision.rule, text) not in self._reported:
            self._reported.add((decision.rule, text))
            message = f"looks up a member of an enum: {text}"
            self._add(decision.rule, decision.verdict, decision.severity, message, call.offset, name, text)

    def _misshapen(self, call: Call, found: _Known, error: ShapeError) -> None:
        node = found.node
        call.value = Record(node.module, node.name, _tuple(call.args), _kwargs(call.kwargs))
        name = global_name(node)
        rule, verdict, severity = error.rule, error.verdict, _SEVERITY[error.verdict]
        message = f"{name} {error.message}"
        if found.decision.otherwise is not None:
            worse = found.decision.otherwise
            rule, verdict, severity = worse.rule, worse.verdict, worse.severity
            message = f"calls {name}: {worse.reason}"
            self._uncalled.pop(id(node), None)
            self._reported.add((node.module, node.name))
        self._add(rule, verdict, severity, message, call.offset, name, call_text(call))

    def _persistent(self, node: Persistent) -> None:
        try:
            if self.objects is not None and not node.text:
                node.value = self._object(node)
            elif self.objects is not None:
                raise ShapeError("a text persistent id is never parsed", Verdict.UNJUDGED, "text-persistent-id")
            else:
                node.value = persistent_value(node, self.context)
        except ShapeError as error:
            node.value = Record("", "<persistent load>", (node.pid,))
            verdict = error.verdict
            self._add(
                error.rule, verdict, _SEVERITY[verdict], error.message, node.offset, None, describe(node.pid)
            )  # fmt: skip

    def _object(self, node: Persistent) -> object:
        pid, objects = node.pid, self.objects or {}
        if type(pid) is str and pid.isascii() and pid.isdecimal() and len(pid) <= 32:
            pid = int(pid)
        if type(pid) is int and pid in objects:
            return objects[pid]
        if type(pid) is tuple and len(pid) == 3 and isinstance(pid[0], Global):
            return pid[0]
        if not objects:
            # A part of something larger: data.pkl taken out of its archive looks like this.
            raise ShapeError("a persistent id names what lies outside of this file", Verdict.UNJUDGED, "persistent-id")
        raise ShapeError("a persistent id names nothing that the file holds", rule="persistent-id")

    def _mutation(self, change: Mutation) -> None:
        target = change.target
        if not isinstance(target, Call):
            self._check(change, None)
            return
        self._changed.append(target)
        value = target.value
        if isinstance(value, Record):
            self._record_change(value, change)
            return
        found = self._known.get(id(target.func))
        try:
            if found is None or found.constructor is None or found.constructor.change is None:
                raise ShapeError("takes no state and no items")
            found.constructor.change(target, change, self.context)
        except ShapeError as error:
            name = global_name(found.node) if found is not None else None
            message = f"{name or 'the object'} {error.message}"
            self._add(
                error.rule, error.verdict, _SEVERITY[error.verdict], message, change.offset, name, mutation_text(change)
            )

    def _record_change(self, record: Record, change: Mutation) -> None:
        payload = change.payload
        if change.kind == "build":
            if type(record.state) is not dict or type(payload) is not dict:
                record.state = payload
                return
            if id(record) not in self._merged:
                # The first state is the stream's own dict, which others may share.
                self._merged.add(id(record))
                record.state = dict(record.state)
            try:
                spend(self.context, len(payload), change.offset)
            except ShapeError as error:
                self._add(
                    error.rule, error.verdict, _SEVERITY[error.verdict], error.message, change.offset, None, ""
                )  # fmt: skip
                return
            record.state.update(payload)
            return
        items = payload if isinstance(payload, list) else []
        if record.items is None:
            record.items = []
        if change.kind == "setitem":
            record.items.extend(zip(items[0::2], items[1::2], strict=False))
        else:
            record.items.extend(items)

    def _other(self, effect: Effect) -> None:
        if not isinstance(effect, Mutation) and effect.value is UNSET:
            effect.value = Record("", f"<{type(effect).__name__.lower()}>")
        self._check(effect, None)

    def _add(
        self,
        rule: str,
        verdict: Verdict,
        severity: Severity,
        message: str,
        offset: int,
        name: str | None,
        evidence: str,
    ) -> None:
        self.findings.append(
            self.view.finding(
                rule, verdict, severity, message, _REMEDY[verdict], offset=offset, name=name, evidence=evidence[:400]
            )
        )


def name_finding(part: ImportedName, policy: Policy, member: str) -> Finding | None:
    """What the policy says of a name that a loader imports for a member that is no pickle; None when it is vetted."""
    decision = policy.decide(part.module, part.name)
    if decision.verdict is Verdict.CLEAN:
        return None
    name = f"{part.module}.{part.name}"
    return Finding(
        decision.rule, decision.verdict, decision.severity, f"{name}: {decision.reason} ({part.why})",
        _REMEDY[decision.verdict], member, part.offset, None, name, part.evidence,
    )  # fmt: skip


def bytes_of_calls(program: Program) -> Iterator[tuple[int, bytes]]:
    """Offset and value of each call that denotes bytes: protocols 0 to 2 cannot write bytes in another way."""
    for effect in program.effects:
        if type(effect) is Call:
            value: object = effect.value
            if isinstance(value, bytes):
                yield effect.offset, value
            elif isinstance(value, bytearray) and any(isinstance(arg, str) for arg in _tuple(effect.args)):
                # `bytearray(bytes)` holds what was met before, as a literal or a call.
                yield effect.offset, bytes(value)


# Rules of structure, which a benign pickle breaks as soon as its memo is another's.
_NONSENSE = frozenset({
    "argument-shape", "call-of-result", "foreign-state", "persistent-id", "text-persistent-id", "tensor-bounds",
    "tensor-expansion", "nested-pickle",
})  # fmt: skip


def shared_memo(
    found: list[Finding], known: list[Finding], view: StreamView, why: str, *, alone: bool
) -> list[Finding]:
    """The findings for a pickle that is something else to an Unpickler which remembers the pickles before it.

    `found` are the judge's findings for that reading, `known` those for the usual one. Of `found` only dangerous names
    count: to such a reader a benign row is nonsense (calls with arguments that belong elsewhere), and no attack. When
    the loader of the format reads each pickle `alone`, as torch does, nobody reads a benign row in the other way: then
    there is no finding at all without such a name.
    """
    before = {(finding.rule, finding.name) for finding in known}
    told = [
        finding._replace(message=f"when one Unpickler reads the pickles one after the other: {finding.message}")
        for finding in found
        if finding.verdict is Verdict.DANGEROUS and finding.rule not in _NONSENSE
        if (finding.rule, finding.name) not in before
    ]
    if told or not alone:
        told.append(
            view.finding(
                "shared-memo", Verdict.UNJUDGED, Severity.MEDIUM,
                "the pickle is not the same to a program that calls load() of one Unpickler again and again, which"
                f" remembers the pickles before it: {why}",
                "read each pickle with pickle.load, and have each saved to a file of its own",
                offset=view.program.start,
            )
        )  # fmt: skip
    return told


def shape_finding(error: ShapeError, view: StreamView, offset: int, evidence: str) -> Finding:
    """The finding for a ShapeError that a deferred check raised."""
    return view.finding(
        error.rule, error.verdict, _SEVERITY[error.verdict], error.message, _REMEDY[error.verdict],
        offset=offset, evidence=evidence[:400],
    )  # fmt: skip


def _tuple(args: object) -> tuple[object, ...]:
    return args if type(args) is tuple else (args,)


def _kwargs(kwargs: object) -> dict[str, object] | None:
    return kwargs if isinstance(kwargs, dict) and kwargs else None
