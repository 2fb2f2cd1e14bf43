"""One input and one policy go in, the Report and the Document come out. Every verdict comes from here.

Imports nothing that a file names, and runs nothing. Knows no format, no opcode and no name.
"""

from __future__ import annotations

from os import PathLike
from typing import Any, NamedTuple

from safeload.containers import Container
from safeload.document.document import Document
from safeload.findings import Verdict, worst
from safeload.inputs import open_source
from safeload.limits import Limits
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.reader import NO_MODEL_IN_IT, read_all, why_no_model
from safeload.scanning.recognition import readings
from safeload.scanning.skips.texts import Near
from safeload.scanning.streams import Witness
from safeload.scanning.tally import Tally, nowhere
from safeload.source import Source

_ORDER = {Verdict.DANGEROUS: 0, Verdict.UNJUDGED: 1, Verdict.UNVETTED: 2, Verdict.CLEAN: 3, Verdict.SKIPPED: 4}


class Scan(NamedTuple):
    """A Report, and the Document of the file: None when nothing was understood, or when nobody wanted it."""

    report: Report
    document: Document | None


def scan(f: Any, *, policy: Policy | str | PathLike[str] | None = None, limits: Limits | None = None) -> Report:
    """Judge one file without running anything in it. Torch is not needed.

    Args:
        f: A path, the bytes themselves, or a binary file object, which is read from its current position.
        policy: What to judge by: a `Policy`, the name of one ("standard", "weights-only", "strict"), or the path of a
            rule pack. None is the standard policy.
        limits: What a file may cost. None is `Limits()`.

    Returns:
        The `Report`: the verdict, the findings with member and byte offset, and the digest of the judged bytes.

    Raises:
        InputError: The input cannot be read (an OSError). What is *in* the input never raises: it is a finding.
        UsageError: The policy cannot be found or read.

    Example:
        >>> report = safeload.scan("model.pt")
        >>> str(report.verdict)
        'clean'
    """
    rules = Policy.find(policy)
    source = open_source(f)
    try:
        return scan_source(source, policy=rules, limits=limits or Limits(), document=False).report
    finally:
        source.close()


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
    document: bool = True,
) -> Scan:
    """Judge `source`, which the caller opened and closes.

    Args:
        source: The bytes.
        policy: The rules to judge by.
        limits: What the file may cost.
        explicit: The caller named this very file. False for a file met in a folder, which may be SKIPPED with a reason
            when it is no model.
        encoding: Of python 2 strings, in place of the one that the format's own loader uses.
        containers: What the caller reads the input as, whatever it looks like, as pickle.load does. None: recognise it.
        witness: A function that gets every judged stream.
        near: Whether a module of a name lies beside a file that was met: a text that would import it is no text.
        document: Whether the caller wants the Document. Without it the objects are freed while no collection runs.

    Returns:
        The Report and the Document.

    Raises:
        InputError: The operating system refuses to read `source`.
    """
    tally = Tally(policy, limits, encoding=encoding, near=near)
    tally.witness = witness
    # Why collection pauses: a scan makes objects and drops few, so that collections find nothing and double the time.
    pause()
    try:
        found = _judged(source, tally, explicit, containers)
        if not document:
            # Why here: the first collection after the pause would walk through all of the Document and free nothing.
            found = Scan(found.report, None)
        return found
    finally:
        resume()


def _judged(source: Source, tally: Tally, explicit: bool, given: tuple[Container, ...] | None) -> Scan:
    """The order of a scan: which readings there are, whether to skip the file, each reading, the verdict."""
    containers = readings(source, tally.limits) if given is None else given
    if not explicit and (reason := why_no_model(source, containers, tally, "", tally.near)):
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


def _skipped(source: Source, reason: str) -> Scan:
    return Scan(Report(source.name, Verdict.SKIPPED, size=source.size, reason=reason), None)
