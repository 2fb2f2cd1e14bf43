"""The join: one input and one policy in, a Report and the Document out. Every verdict comes from here.

Imports nothing that a file names and runs nothing. Knows no format, no opcode and no name.
"""

from __future__ import annotations

from os import PathLike
from typing import Any, NamedTuple

from safeload.containers import Container
from safeload.document.document import Document
from safeload.errors import LimitExceeded
from safeload.findings import Finding, Severity, Verdict, worst
from safeload.inputs import open_source
from safeload.limits import Limits
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.reader import NO_MODEL_IN_IT, read_all
from safeload.scanning.recognition import readings
from safeload.scanning.skips.no_model import no_model
from safeload.scanning.skips.texts import Near
from safeload.scanning.streams import Witness
from safeload.scanning.tally import Tally, nowhere
from safeload.source import Source

_ORDER = {Verdict.DANGEROUS: 0, Verdict.UNJUDGED: 1, Verdict.UNVETTED: 2, Verdict.CLEAN: 3, Verdict.SKIPPED: 4}


class Scan(NamedTuple):
    """A Report, and the Document it is about (None when nothing of the file was understood)."""

    report: Report
    document: Document | None


def scan(f: Any, *, policy: Policy | str | PathLike[str] | None = None, limits: Limits | None = None) -> Report:
    """Judge one file without running anything in it.

    `f` is a path, the bytes themselves or a binary file object (read from its current position). Torch is not needed.
    `policy` is what `Policy.find` takes: a Policy, the name of one, or the path of a pack.
    Raises InputError when the input cannot be read; what is *in* it never raises, it is a finding.
    """
    rules = Policy.find(policy)
    source = open_source(f)
    try:
        return report_on(source, policy=rules, limits=limits or Limits())
    finally:
        source.close()


def report_on(source: Source, *, policy: Policy, limits: Limits, explicit: bool = True, near: Near = nowhere) -> Report:
    """The report of `scan_source`, without the Document."""
    # The Document goes before collection is on again: the first one would walk through all of it and free nothing.
    pause()
    try:
        return scan_source(source, policy=policy, limits=limits, explicit=explicit, near=near).report
    finally:
        resume()


def scan_source(
    source: Source,
    *,
    policy: Policy,
    limits: Limits,
    explicit: bool = True,
    encoding: str | None = None,
    containers: tuple[Container, ...] | None = None,
    witness: Witness | None = None,
    near: Near = nowhere,
) -> Scan:
    """Judge `source`. With `explicit` False (a file met in a folder) what is no model may be SKIPPED, with a reason.

    `encoding` of python 2 strings replaces that of the format's own loader. `containers` replaces recognition, for a
    caller that reads its input as one format whatever it looks like, as pickle.load does. `witness` is shown every
    judged stream. `near` says what lies beside a file that was met: a text that would import such a module is no text.
    """
    # A scan makes objects that it keeps: collections meanwhile would find nothing and double the time.
    pause()
    try:
        tally = Tally(policy, limits, encoding=encoding, near=near)
        tally.witness = witness
        return _scan(source, tally, explicit, containers)
    finally:
        resume()


def _scan(source: Source, tally: Tally, explicit: bool, given: tuple[Container, ...] | None) -> Scan:
    limits = tally.limits
    containers = readings(source, limits) if given is None else given
    if not explicit and (reason := _no_model(source, containers, tally)):
        return _skipped(source, reason)
    shards = None
    if explicit and given is None and containers[0].name == "unknown":
        from safeload.scanning.shards.sets import shard_set

        shards = shard_set(source, tally)
    document = read_all(source, containers, tally, "") if shards is None else shards.read()
    if tally.nothing_since((0, 0, 0)):
        if not explicit:
            return _skipped(source, NO_MODEL_IN_IT)
        tally.want_nothing()
    tally.close()
    found = sorted(tally.findings, key=lambda f: _ORDER[f.verdict])
    verdicts = [f.verdict for f in found if f.verdict is not Verdict.SKIPPED] + [tally.omitted_worst]
    report = Report(
        path=source.name,
        verdict=worst(verdicts, empty=Verdict.CLEAN),
        container="+".join(c.name for c in containers) if shards is None else shards.name,
        size=source.size,
        judged_sha256=source.judged_sha256() if shards is None else shards.judged_sha256(),
        streams=tally.streams,
        opcodes=tally.opcodes,
        findings=tuple(found),
        omitted=tally.omitted,
        policy_digest=tally.policy.digest,
    )
    return Scan(report, document)


def _no_model(source: Source, containers: tuple[Container, ...], tally: Tally) -> str:
    """Why a file met in a folder is no model, "" when it is to be judged."""
    try:
        return no_model(source, containers, tally.limits, tally.policy, tally.near)
    except LimitExceeded as error:
        tally.add(Finding("limit-reached", Verdict.UNJUDGED, Severity.MEDIUM, error.message))
        return ""


def _skipped(source: Source, reason: str) -> Scan:
    return Scan(Report(source.name, Verdict.SKIPPED, size=source.size, reason=reason), None)
