"""A file in words: the streams that a scan judged, in order, and what each of them would do.

The scan is the usual one, with a witness: verdict and findings are its own. Prints nothing, and runs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from safeload.checks.evidence import describe
from safeload.document.cell import Cell
from safeload.document.document import ArraySpec, Document, NestedTensorSpec, QuantizedSpec, SparseSpec, TensorSpec
from safeload.errors import LimitExceeded, Malformed
from safeload.explaining.listing import Line, Wanted, listing
from safeload.explaining.steps import Narrator, Steps
from safeload.explaining.wording import plain
from safeload.findings import Finding, Verdict
from safeload.inputs import MemorySource
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.report import Report
from safeload.scanning.scanner import scan_source
from safeload.scanning.streams import JudgedStream, bytes_of
from safeload.source import Source

FINDINGS = 200_000
"""Findings that are kept for the story: a step whose finding was only counted would look better than it is."""

_TENSORS = (TensorSpec, QuantizedSpec, SparseSpec, NestedTensorSpec, ArraySpec)
_BROKEN = {"malformed-pickle", "limit-reached"}


class Bounds(NamedTuple):
    """How much is told; None: all.

    steps     of one stream;  streams: of one file;  inside: pickles in literals, of the whole file
    grouped   tell what repeats once, with a count
    """

    steps: int | None = 40
    streams: int | None = 20
    inside: int | None = 20
    grouped: bool = True


ALL = Bounds(None, None, None, False)


class Told(NamedTuple):
    """One stream.

    number    of the stream in the file, from 1
    role      what it is: "object", "magic number", ...; "tree" for the tree of a safetensors file, which is no pickle
    stopped   why the machine did not get to its end, "" when it did;  stopped_at: where
    leaves    the object that it makes, in short
    inside    literals that look like pickles, as files of their own: (offset, story)
    """

    number: int
    member: str
    role: str
    protocol: int
    opcodes: int
    stopped: str
    stopped_at: int | None
    leaves: str
    steps: Steps
    inside: tuple[tuple[int, Story], ...]
    stream: JudgedStream


class Story(NamedTuple):
    """One file.

    streams   those that are told;  left_out: how many are not
    remarks   findings that belong to no step
    numbers   of all its pickles: what `only` takes
    tensors   how many it holds, counted once for each time that it is built or declared
    """

    report: Report
    streams: tuple[Told, ...]
    left_out: int
    remarks: tuple[Finding, ...]
    numbers: tuple[int, ...]
    tensors: int


def tell(
    source: Source, *, policy: Policy, limits: Limits, bounds: Bounds | None = None, only: int | None = None
) -> Story:
    """What loading `source` with plain pickle would do. `only` is the number of the one stream to tell, from 1.

    Raises InputError when the input cannot be read; what is in it never raises.
    """
    return _Teller(policy, limits, bounds or Bounds()).file(source, only, explicit=True)


class _Teller:
    """Tells a file and, within bounds, the pickles in its literals."""

    def __init__(self, policy: Policy, limits: Limits, bounds: Bounds) -> None:
        self.policy = policy
        self.limits = limits._replace(findings=max(limits.findings, FINDINGS))
        self.bounds = bounds
        self.depth = 0
        self.left = limits.nested_files if bounds.inside is None else bounds.inside

    def file(self, source: Source, only: int | None, *, explicit: bool) -> Story:
        """One file, or the content of one literal."""
        streams: list[JudgedStream] = []
        scan = scan_source(source, policy=self.policy, limits=self.limits, witness=streams.append, explicit=explicit)
        streams.sort(key=lambda stream: stream.stream)
        found: dict[int, dict[int, list[Finding]]] = {}
        for finding in scan.report.findings:
            if finding.stream is not None and finding.offset is not None:
                found.setdefault(finding.stream, {}).setdefault(finding.offset, []).append(finding)
        chosen = [stream for stream in streams if only is None or stream.stream == only - 1]
        most = len(chosen) if self.bounds.streams is None else self.bounds.streams
        told = tuple(self._stream(stream, found.get(stream.stream, {})) for stream in _first(chosen, found, most))
        remarks = tuple(_remarks(scan.report.findings, streams))
        numbers = tuple(stream.stream + 1 for stream in streams)
        return Story(scan.report, told, len(chosen) - len(told), remarks, numbers, _tensors(scan.document, streams))

    def _stream(self, stream: JudgedStream, findings: dict[int, list[Finding]]) -> Told:
        program = stream.program
        narrator = Narrator(self.policy, stream, findings, grouped=self.bounds.grouped)
        stopped, at = "", None
        if not program.whole:
            broken = [f for given in findings.values() for f in given if f.rule in _BROKEN]
            stopped = broken[0].message if broken else "the machine did not get to its end"
            at = broken[0].offset if broken else program.end - stream.base
        part = stream.part
        return Told(
            stream.stream + 1, stream.member, "tree" if part is None else part.role, program.protocol, program.opcodes,
            stopped, at, describe(program.value, 2) if program.whole else "", narrator.steps(self.bounds.steps),
            tuple(self._inside(stream)), stream,
        )  # fmt: skip

    def _inside(self, stream: JudgedStream) -> Iterator[tuple[int, Story]]:
        if self.depth >= self.limits.nesting:
            return
        for offset, data in stream.program.blobs:
            if self.left <= 0:
                return
            self.left -= 1
            self.depth += 1
            try:
                story = self.file(MemorySource(data, f"{stream.source.name}!bytes"), None, explicit=False)
            finally:
                self.depth -= 1
            if any(told.steps.total or told.inside for told in story.streams):
                yield offset - stream.base, story


def _first(streams: list[JudgedStream], found: dict[int, dict[int, list[Finding]]], most: int) -> list[JudgedStream]:
    """At most `most` streams in their order: those with findings first, then those that do something."""
    if len(streams) <= most:
        return streams

    def rank(at: int) -> tuple[int, bool, int]:
        stream = streams[at]
        verdicts = {finding.verdict for given in found.get(stream.stream, {}).values() for finding in given}
        worse = 0 if Verdict.DANGEROUS in verdicts else 1 if verdicts - {Verdict.CLEAN} else 2
        return (worse, not stream.program.effects, at)

    return [streams[at] for at in sorted(sorted(range(len(streams)), key=rank)[:most])]


def _remarks(findings: tuple[Finding, ...], streams: list[JudgedStream]) -> Iterator[Finding]:
    """The findings that stand at no effect of any stream."""
    wanted = {f.stream for f in findings if f.stream is not None}
    places = {
        (stream.stream, effect.offset - stream.base)
        for stream in streams
        if stream.stream in wanted
        for effect in stream.program.effects
    }
    for finding in findings:
        if finding.stream is not None and finding.rule in _BROKEN and finding.offset is not None:
            continue
        if (finding.stream, finding.offset) not in places:
            yield finding


def _tensors(document: Document | None, streams: list[JudgedStream]) -> int:
    """How many tensors and arrays a file holds: built by its pickles, or declared by the container."""
    values = (effect.value for stream in streams for effect in stream.program.effects if isinstance(effect, Cell))
    built = sum(isinstance(value, _TENSORS) for value in values) + sum(stream.program.declared for stream in streams)
    if built or document is None or streams:
        return built
    return len(document.root) if isinstance(document.root, dict) else int(isinstance(document.root, _TENSORS))


def lines(told: Told, limits: Limits, *, wanted: Wanted | None = None) -> Iterator[Line]:
    """The annotated disassembly of a stream, offsets as findings have them; nothing for a tree. The source is open."""
    stream = told.stream
    if stream.part is None:
        return
    try:
        data, start, more = bytes_of(stream.source, stream.part, limits)
    except (Malformed, LimitExceeded) as error:
        yield Line(stream.part.start, "", "", 0, 0, "", plain(f"stops here: {error.message}"))
        return
    for line in listing(data, start, limits, more=more, encoding=stream.part.encoding, wanted=wanted):
        yield line._replace(offset=line.offset - stream.base)


def pickled(told: Told, limits: Limits) -> bytes:
    """The bytes of a stream alone, for another parser; of one that was not understood, as far as it was."""
    stream = told.stream
    if stream.part is None:
        return b""
    try:
        data, start, more = bytes_of(stream.source, stream.part, limits)
        end = stream.program.end
        return (data if more is None else more(end))[start:end]
    except (Malformed, LimitExceeded):
        return b""
