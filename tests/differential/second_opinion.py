"""safeload's verdict on a file against the second reader: what both take has to be the same, pickle by pickle."""

from __future__ import annotations

from typing import Any

from safeload.document.document import Document
from safeload.findings import Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.machine import Call, Global, Mutation, Persistent
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from safeload.scanning.streams import JudgedStream
from tests.differential.second_reader import derive
from tests.differential.second_table import Differs, Outside

BEYOND = {"limit-reached", "nested-pickle"}
"""Rules for what the second reader does not look at, and that runs nothing: lists in lists, pickles as bytes."""


def second_opinion(data: bytes) -> str:
    """What is wrong with the verdict on `data`, by the second reader; empty where it agrees or is no judge of it."""
    why, derived = None, dict[str, Any]()
    try:
        derived = derive(data)
    except Outside as error:
        if not error.name and not isinstance(error, Differs):
            return ""
        why = error
    heard: list[JudgedStream] = []
    report, document = scan_source(
        MemorySource(data, "case"), policy=Policy.default(), limits=Limits(), witness=heard.append
    )
    if isinstance(why, Differs):
        return f"clean, and {why}" if report.verdict is Verdict.CLEAN else ""
    if why is not None:
        # A name that the second reader does not know: safeload may vet it, and has to have seen it.
        seen = report.verdict is not Verdict.CLEAN or any(why.name in names(stream) for stream in heard)
        return "" if seen else f"clean, and the second reader sees {why.name!a} in it"
    if report.verdict is not Verdict.CLEAN:
        rules = {finding.rule for finding in report.findings}
        return "" if rules <= BEYOND else f"{report.verdict}, and the second reader takes it: {sorted(rules)}"
    assert document is not None
    ours = {"container": report.container, "storages": storages(document), "streams": [stream(s) for s in heard]}
    return different("", ours, derived)


def different(place: str, ours: Any, theirs: Any) -> str:
    """The first place where two rows differ, or ""."""
    if type(ours) is not type(theirs):
        return f"{place}: {ours!a:.80}, for the second reader {theirs!a:.80}"
    if isinstance(ours, dict) and ours.keys() == theirs.keys():
        pairs = [(f"{place}.{key}", ours[key], theirs[key]) for key in ours]
    elif isinstance(ours, list) and len(ours) == len(theirs):
        pairs = [(f"{place}[{i}]", mine, other) for i, (mine, other) in enumerate(zip(ours, theirs, strict=True))]
    else:
        return "" if ours == theirs else f"{place}: {ours!a:.80}, for the second reader {theirs!a:.80}"
    return next(filter(None, (different(*pair) for pair in pairs)), "")


def names(heard: JudgedStream) -> set[str]:
    """Every name of a pickle, as it is written and as it is understood."""
    found = [effect for effect in heard.program.effects if isinstance(effect, Global)]
    return {f"{e.module}.{e.name}" for e in found} | {f"{e.raw_module}.{e.raw_name}" for e in found}


def storages(document: Document) -> list[dict[str, Any]]:
    """Where the storages lie, in the order of the file."""
    found = sorted(document.storages.items(), key=lambda item: item[1].offset)
    return [{"key": key, "offset": extent.offset, "size": extent.size} for key, extent in found]


def stream(heard: JudgedStream) -> dict[str, Any]:
    """What one pickle relies on: each name with its shape and how often it is named, called and given a state."""
    found: dict[str, dict[str, Any]] = {}
    loads: dict[str, dict[str, Any]] = {}
    for effect in heard.program.effects:
        match effect:
            case Global():
                name, shape = (
                    f"{effect.module}.{effect.name}",
                    Policy.default().decide(effect.module, effect.name).shape,
                )
                found.setdefault(name, {"name": name, "shape": shape, "named": 0, "calls": 0, "states": 0})
                found[name]["named"] += 1
            case Persistent():
                pid: Any = effect.pid
                kind = f"{pid[1].module}.{pid[1].name}"
                load = {"key": pid[2], "type": kind, "location": pid[3], "numel": pid[4], "loads": 0}
                loads.setdefault(pid[2], load)["loads"] += 1
            case Call():
                found[_named(effect.func)]["calls"] += 1
            case Mutation(kind="build"):
                found[_named(effect.target)]["states"] += 1
    return {
        "member": heard.member,
        "offset": heard.start,
        "length": heard.end - heard.start,
        "opcodes": heard.program.opcodes,
        "names": [found[name] for name in sorted(found)],
        "storages": [loads[key] for key in sorted(loads)],
    }


def _named(node: object) -> str:
    """The name behind what is called, or behind what a call made."""
    node = node.func if isinstance(node, Call) else node
    assert isinstance(node, Global)
    return f"{node.module}.{node.name}"
