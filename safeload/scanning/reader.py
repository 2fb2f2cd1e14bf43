"""One reading of one input: a container reader is fed with what it asks for, and what it tells is collected.

Hands pickles to the machine and its Programs to the judge, and descends into files inside files, within the limits.
Knows no format, no opcode and no name, and computes no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from safeload.checks import View
from safeload.containers import Container
from safeload.containers.bare_pickle import BarePickle
from safeload.containers.interface import (
    Answer,
    Following,
    Layout,
    Named,
    Names,
    Naming,
    Nested,
    Pickle,
    Reading,
    Storages,
)
from safeload.document.cell import UNSET
from safeload.document.document import Document, Enclosed, TensorSpec
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.inputs import MemorySource
from safeload.inputs.near import Among
from safeload.inputs.part import PartSource
from safeload.machine import Program, is_nested
from safeload.machine.blobs import is_archive
from safeload.scanning.deciding_values import Home, deciding_values
from safeload.scanning.declared import declared, named_object
from safeload.scanning.judge import Judge, bytes_of_calls, remedy, shape_finding, shared_memo
from safeload.scanning.nesting import too_nested
from safeload.scanning.plain_value import plain
from safeload.scanning.recognition import does_anything, readings
from safeload.scanning.skips.no_model import no_model
from safeload.scanning.streams import Other, Row, heard, heard_tree, interpret
from safeload.scanning.tally import Tally
from safeload.source import Source
from safeload.vetted import Context, ShapeError

NO_MODEL_IN_IT = "packed, and nothing in it is a model"
"""Why an archive is no model."""

_AGAIN = "download the file again and compare its checksum with the publisher's"


def read_all(source: Source, containers: tuple[Container, ...], tally: Tally, prefix: str) -> Document | None:
    """Every reading of one input; the document is the first one's."""
    tally.files += 1
    if tally.files > tally.limits.nested_files or tally.depth > tally.limits.nesting:
        name = "nesting" if tally.depth > tally.limits.nesting else "nested_files"
        raise LimitExceeded("files inside files go deeper or wider than allowed", limit=name)
    if len(containers) > 1:
        names = " and ".join(c.name for c in containers)
        tally.add(
            Finding(
                "polyglot", Verdict.UNJUDGED, Severity.HIGH, f"the file is {names} at once: each program reads another",
                "treat it as unsafe; ask its author for a file of one format", member=prefix,
            )
        )  # fmt: skip
    documents = [Reader(source, container, tally, prefix).read() for container in containers]
    return documents[0]


class Reader:
    """One reading of one input: feeds a container what it asks for and collects what it tells."""

    def __init__(self, source: Source, container: Container, tally: Tally, prefix: str) -> None:
        self.source = source
        self.container = container
        self.tally = tally
        self.prefix = prefix
        self.known: Storages | None = None
        self.names = Names(())
        self.beside, self.outer = Among(()), tally.near
        self.root: object = UNSET
        self.others: list[tuple[str, object]] = []
        self.tensors: dict[object, object] = {}
        self.deferred: list[tuple[Context, View]] = []
        self.layout = Layout()
        self.row = Row(source, tally.limits)

    def read(self) -> Document | None:
        """The document, None when the reading broke off."""
        whole = True
        try:
            self._drive(self.container.read(self.source, self.tally.limits))
        except (Malformed, LimitExceeded) as error:
            whole = False
            self._broken(error, self.prefix, None, error.offset)
        self.tally.judged += whole and self.container.name in ("safetensors", "npy")  # also one without a tensor
        if self.container.name == "safetensors":
            self._tree()
        self._settle()
        self._units()
        root: object = self.root
        if self.layout.root == "dict" or (root is UNSET and self.tensors):
            root = self._pairs() if self.layout.root == "dict" else next(iter(self.tensors.values()))
        if root is UNSET and not whole:
            return None
        return Document(
            None if root is UNSET else root, self.source, self.layout.storages, self.layout.big_endian,
            self.container.name, self.layout.metadata, tuple(self.others),
        )  # fmt: skip

    def _pairs(self) -> dict[object, object]:
        """What a container of named tensors holds: its own, and the files in it (the arrays of an .npz)."""
        pairs = dict(self.tensors)
        pairs.update((name.removesuffix(".npy"), value) for name, value in self.others if isinstance(value, Enclosed))
        return pairs

    def _drive(self, reading: Reading) -> None:
        answer: Answer | None = None
        while True:
            try:
                part = reading.send(answer)
            except StopIteration as stop:
                self.layout = stop.value
                self.tally.judged += self.layout.judged
                return
            answer = None
            if isinstance(part, Pickle):
                answer = self._pickle(part)
            elif isinstance(part, Nested):
                answer = self._nested(part)
            elif isinstance(part, Finding):
                self.tally.add(part._replace(member=_join(self.prefix, part.member)))
            elif isinstance(part, Named):
                self._named(part)
            elif isinstance(part, Storages):
                self.known = part
            elif isinstance(part, Names):
                self.names, self.beside = part, Among(part.names)
            else:
                self.tally.judged += 1
                self.tensors[part.name] = declared(part)

    def _pickle(self, part: Pickle) -> Answer:
        tally = self.tally
        if tally.encoding is not None:
            part = part._replace(encoding=tally.encoding)
        index, tally.streams = tally.streams, tally.streams + 1
        tally.judged += 1
        member = _join(self.prefix, part.member)
        origin = part.base if part.data is not None or part.base else part.start
        whole = True
        try:
            program: Program = interpret(self.source, part, tally.limits)
        except (Malformed, LimitExceeded) as error:
            whole, program = False, error.partial or Program(0)
            self._broken(error, member, index, None if error.offset is None else error.offset + origin - part.base)
        tally.opcodes += program.opcodes
        view = View(program, member, index, part.base - origin)
        if part.follows is Following.NOTHING:
            self.row = Row(self.source, tally.limits)
        other = self.row.next(part, program, whole)
        objects = {key: named_object(o) for key, o in part.objects.items()} if part.naming is Naming.OBJECTS else None
        context = self._judge(view, objects if part.naming is not Naming.NOTHING else {})
        if other is not None:
            self._remembering(other, view, part.follows)
        if part.main:
            self.root = program.value if whole else UNSET
        else:
            self.others.append((member, program.value if whole else None))
        if tally.witness is not None:
            tally.witness(heard(self.source, part, view, own=not self.prefix))
        end = program.end + origin if whole else None
        if other is not None and other.whole and not whole:
            end = other.program.end - other.program.start + part.start  # where that reading goes on
        # Of the main object a container asks at most whether it is a number.
        value = plain(program.value) if not part.main or type(program.value) is int else None
        return Answer(end, value, program.value, context.storages)

    def _judge(self, view: View, objects: Mapping[object, object] | None) -> Context:
        """Judge a program, and note what the judge, the machine and its nesting give to report."""
        limits, program = self.tally.limits, view.program
        context = self._context(program, view)
        judge = Judge(self.tally.policy, context, view, objects)
        judge.run()
        for finding in judge.findings:
            self.tally.add(finding)
        self._remarks(program, view)
        over = too_nested(program.value, limits)
        if over is not None:
            self._broken(over, view.member, view.stream, None)
        if context.deferred:
            self.deferred.append((context, view))
        return context

    def _remembering(self, other: Other, view: View, follows: Following) -> None:
        """Tell of a pickle that is something else to an Unpickler which has the memo of the pickles before it."""
        program = other.program
        shifted = View(program, view.member, view.stream, view.base + program.start - view.program.start)
        judge = Judge(self.tally.policy, self._context(program, shifted), shifted, {})
        judge.run()
        known = [finding for finding in self.tally.findings if finding.stream == view.stream]
        for finding in shared_memo(judge.findings, known, view, other.why, alone=follows is Following.LOADER):
            self.tally.add(finding)

    def _tree(self) -> None:
        """The nested object that a tree describes, judged like any program, in place of the tensors by name."""
        if not self.layout.metadata:
            return
        from safeload.scanning.tree_stream import treed

        index = self.tally.streams
        given = treed(self.source, self.layout, self.tensors, self.tally.limits, self.prefix, index)
        for finding in given.findings:
            self.tally.add(finding)
        if given.view is not None:
            self.tally.streams += 1
            self.tally.opcodes += given.view.program.opcodes
            self._judge(given.view, given.objects)
            if self.tally.witness is not None:
                self.tally.witness(heard_tree(self.source, given.view))
            self.root = given.view.program.value
            self.layout = self.layout._replace(root="stream")

    def _context(self, program: Program, view: View) -> Context:
        known = self.known
        return Context(
            limits=self.tally.limits,
            extents=None if known is None else known.storages,
            touched=program.touched,
            values=self._values,
            enclosed=partial(self._enclosed, view),
            placeholders=known is not None and known.placeholders,
            big_endian=known is not None and known.big_endian,
        )

    def _remarks(self, program: Program, view: View) -> None:
        """What the machine noticed beside effects: forms on which readers differ, and pickles inside bytes."""
        for note in program.notes:
            self.tally.add(
                view.finding(
                    "not-canonical", Verdict.UNJUDGED, Severity.MEDIUM, f"not canonical: {note.message}",
                    "ask its author to save it again; pickles written by Python never look like this",
                    offset=note.offset,
                )
            )  # fmt: skip
        for offset, raw in bytes_of_calls(program):
            if is_nested(raw, self.tally.limits):
                program.blobs.append((offset, raw))
        for offset, blob in program.blobs:
            self._blob(blob, offset, view)

    def _blob(self, data: bytes, offset: int, view: View) -> None:
        """Judge bytes that are a pickle or an archive. They are data: only what is dangerous in them is a finding."""
        # In the encoding of `acts`, which no text breaks.
        outer = self.tally
        inner = Tally(outer.policy, outer.limits, files=outer.files, depth=outer.depth + 1, encoding="latin1")
        source = MemorySource(data, f"{self.source.name}!bytes")
        containers = readings(source, inner.limits)
        if not is_archive(data) and not any(c.name in ("pickle", "torch-legacy") for c in containers):
            containers = (BarePickle(),)  # the machine says so, whatever else they look like
        try:
            read_all(source, containers, inner, "")
        except LimitExceeded as error:
            self._broken(error, view.member, view.stream, offset - view.base)
        outer.files = inner.files
        outer.streams += inner.streams
        outer.opcodes += inner.opcodes
        if inner.omitted_worst is Verdict.DANGEROUS:
            self._broken(LimitExceeded("too many findings", limit="findings"), view.member, view.stream, offset)
        for finding in inner.findings:
            if finding.verdict is Verdict.DANGEROUS:
                self.tally.add(
                    view.finding(
                        "nested-pickle", Verdict.DANGEROUS, finding.severity,
                        f"a pickle inside bytes {finding.message}", finding.remedy,
                        offset=offset, name=finding.name, evidence=finding.evidence,
                    )
                )  # fmt: skip

    def _enclosed(self, view: View, data: bytes, offset: int) -> Document:
        """The Document of bytes that a nested loader would read: judged like a file, findings under its place."""
        place = f"{view.member}!bytes@{offset - view.base:#x}"
        source = MemorySource(data, f"{self.source.name}!{place}")
        document = self._inside(source, place)
        if document is None:
            raise ShapeError("the enclosed file was not understood", Verdict.UNJUDGED, "nested-pickle")
        return document

    def _inside(self, source: Source, place: str) -> Document | None:
        self.tally.depth += 1
        self.tally.near = self._near
        try:
            return read_all(source, readings(source, self.tally.limits), self.tally, place)
        except LimitExceeded as error:
            self._broken(error, place, None, None)
            return None
        finally:
            self.tally.depth -= 1
            self.tally.near = self.outer

    def _nested(self, part: Nested) -> Answer:
        place = _join(self.prefix, part.member)
        source = self._source(part)
        if part.raw and not does_anything(source, self.tally.limits):
            return Answer(source.size)
        reason = self._no_model(source, place) if part.skippable else ""
        before = self.tally.mark()
        document = None if reason else self._inside(source, place)
        if part.skippable and self.tally.nothing_since(before):
            self.tally.forget(before)
            reason = NO_MODEL_IN_IT
        if reason:
            self.tally.skip(place, reason)
            return Answer(source.size, skipped=True)
        self.tally.judged += 1
        value = None if document is None else Enclosed(document)
        if part.main:
            self.root = value if value is not None else UNSET
        else:
            self.others.append((place, value))
        return Answer(source.size if document is not None else None, None, value)

    def _source(self, part: Nested) -> Source:
        name = f"{self.source.name}!{part.member}"
        if part.data is not None:
            return MemorySource(part.data, name)
        return PartSource(self.source, part.extent.offset, part.extent.length, name)

    def _units(self) -> None:
        """Folders among the members that a loader takes whole, once the archive is unpacked."""
        member = self.names.member
        if member is None:
            return
        from safeload.scanning.units import unit_reports

        tally, opened = self.tally, lambda name: self._source(member(name))
        for report in unit_reports(self.names.names, tally.policy, tally.limits, opened=opened):
            for finding in report.findings:
                inner = "/".join(filter(None, (report.path, finding.member)))
                tally.add(finding._replace(member=_join(self.prefix, inner)))
            if report.omitted:
                self._broken(LimitExceeded("a folder has too many findings", limit="findings"), self.prefix, None, None)

    def _no_model(self, source: Source, place: str) -> str:
        """Why a member met in an archive is no model, "" when it is to be judged. Thousands may be empty."""
        limits, policy = self.tally.limits, self.tally.policy
        try:
            return no_model(source, readings(source, limits), limits, policy, self._near) if source.size else "empty"
        except LimitExceeded as error:
            self._broken(error, place, None, None)
            return ""

    def _near(self, name: str) -> bool:
        """Whether a module of this name lies beside the input, or anywhere among the members."""
        return self.beside(name) or self.outer(name)

    def _named(self, part: Named) -> None:
        """A name that a loader imports for a member that is no pickle: the policy judges it."""
        decision = self.tally.policy.decide(part.module, part.name)
        if decision.verdict is not Verdict.CLEAN:
            name = f"{part.module}.{part.name}"
            self.tally.add(
                Finding(
                    decision.rule, decision.verdict, decision.severity, f"{name}: {decision.reason} ({part.why})",
                    remedy(decision.verdict), _join(self.prefix, part.member), part.offset, None, name, part.evidence,
                )
            )  # fmt: skip

    def _values(self, spec: TensorSpec) -> bytes:
        """The elements of a tensor whose values decide validity. See `Context.values`."""
        known = self.known
        big = self.layout.big_endian or (known is not None and known.big_endian)
        early = {} if known is None else known.storages
        return deciding_values(spec, Home(self.source, self.layout.storages, early, big), self.tally)

    def _settle(self) -> None:
        """Run the checks that had to wait for the storages."""
        for context, view in self.deferred:
            for cell, check in context.deferred:
                offset = getattr(cell, "offset", 0)
                try:
                    cell.value = check()
                except ShapeError as error:
                    self.tally.add(shape_finding(error, view, offset, ""))

    def _broken(self, error: Malformed | LimitExceeded, member: str, stream: int | None, offset: int | None) -> None:
        limit = isinstance(error, LimitExceeded)
        rule = "limit-reached" if limit else "malformed" if stream is None else "malformed-pickle"
        self.tally.add(
            Finding(
                rule, Verdict.UNJUDGED, Severity.MEDIUM, error.message, "" if limit else _AGAIN,
                member=member, offset=offset, stream=stream,
            )
        )  # fmt: skip


def _join(prefix: str, member: str) -> str:
    return f"{prefix}!{member}" if prefix and member else prefix or member
