"""One reading of one input: what a container says of the input is judged, part by part.

A container yields the parts of a file: pickles, files inside it, tensors, findings. The Reader gives each pickle to the
machine and the machine's Program to the judge, goes into the files inside, and answers the container where each part
ends. Knows no format, no opcode and no name, and computes no verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from safeload.checks import StreamView
from safeload.containers import Container
from safeload.containers.bare_pickle import BarePickle
from safeload.containers.interface import (
    Answer,
    ContainerLayout,
    Following,
    ImportedName,
    MemberNames,
    Naming,
    Nested,
    Pickle,
    Reading,
    StorageExtents,
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
from safeload.scanning.deciding_values import deciding_values
from safeload.scanning.declared import declared, named_object
from safeload.scanning.judge import Judge, bytes_of_calls, name_finding, shape_finding, shared_memo
from safeload.scanning.nesting import too_nested
from safeload.scanning.plain_value import plain
from safeload.scanning.recognition import does_anything, readings
from safeload.scanning.skips.no_model import no_model
from safeload.scanning.skips.texts import Near
from safeload.scanning.streams import Other, Row, interpret, judged_pickle, judged_tree
from safeload.scanning.tally import Tally, nowhere
from safeload.source import Source
from safeload.vetted import Context, ShapeError

NO_MODEL_IN_IT = "packed, and nothing in it is a model"
"""Why an archive is no model."""


def why_no_model(source: Source, containers: tuple[Container, ...], tally: Tally, place: str, near: Near) -> str:
    """Why a file that was met is no model, "" when it must be judged. A limit that is reached becomes a finding."""
    try:
        return no_model(source, containers, tally.limits, tally.policy, near)
    except LimitExceeded as error:
        tally.broken(error, place)
        return ""


def read_all(source: Source, containers: tuple[Container, ...], tally: Tally, prefix: str) -> Document | None:
    """Read `source` with each of `containers`, and give the Document of the first.

    `prefix` is the place of the input in the file that is scanned, "" for that file itself. Raises LimitExceeded when
    there are too many files inside files.
    """
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
    """One reading of one input. See the module.

    known     the storages that the container announced, None before
    names     what lies in the archive;  beside, outer: whether a module of a name lies there, or around the input
    root      the main object, UNSET as long as there is none
    others    (member, object) of every other pickle and file
    tensors   what the container declares itself, by name
    deferred  checks that wait for the storages
    row       what one Unpickler has read so far
    """

    def __init__(self, source: Source, container: Container, tally: Tally, prefix: str) -> None:
        self.source = source
        self.container = container
        self.tally = tally
        self.prefix = prefix
        self.known: StorageExtents | None = None
        self.names = MemberNames(())
        self.beside: Near = nowhere
        self.outer = tally.near
        self.root: object = UNSET
        self.others: list[tuple[str, object]] = []
        self.tensors: dict[object, object] = {}
        self.deferred: list[tuple[Context, StreamView]] = []
        self.layout = ContainerLayout()
        self.row = Row(source, tally.limits)

    def read(self) -> Document | None:
        """Read it all. Gives the Document, None when the reading broke off before there was an object."""
        whole = True
        try:
            self._drive(self.container.read(self.source, self.tally.limits))
        except (Malformed, LimitExceeded) as error:
            whole = False
            self.tally.broken(error, self.prefix, offset=error.offset)
        self.tally.judged += whole and self.container.name in ("safetensors", "npy")  # also one without a tensor
        if self.container.name == "safetensors":
            self._tree()
        if self.deferred:
            self._settle()
        if self.names.member is not None:
            self._units(self.names.member)
        root: object = self.root
        if self.layout.root == "dict":
            # The tensors by their names, and the files beside them: the arrays of an .npz.
            pairs = dict(self.tensors)
            pairs.update((name.removesuffix(".npy"), made) for name, made in self.others if isinstance(made, Enclosed))
            root = pairs
        elif root is UNSET and self.tensors:
            root = next(iter(self.tensors.values()))
        if root is UNSET and not whole:
            return None
        return Document(
            None if root is UNSET else root, self.source, self.layout.storages, self.layout.big_endian,
            self.container.name, self.layout.metadata, tuple(self.others),
        )  # fmt: skip

    def _drive(self, reading: Reading) -> None:
        """Take the container's parts one by one, and answer each before the next one is made."""
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
            elif isinstance(part, ImportedName):
                finding = name_finding(part, self.tally.policy, _join(self.prefix, part.member))
                if finding is not None:
                    self.tally.add(finding)
            elif isinstance(part, StorageExtents):
                self.known = part
            elif isinstance(part, MemberNames):
                self.names, self.beside = part, Among(part.names)
            else:
                self.tally.judged += 1
                self.tensors[part.name] = declared(part)

    def _pickle(self, part: Pickle) -> Answer:
        """Run one pickle through the machine, judge what it would do, and tell the container where it ends."""
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
            offset = None if error.offset is None else error.offset + origin - part.base
            tally.broken(error, member, stream=index, offset=offset)
        tally.opcodes += program.opcodes
        view = StreamView(program, member, index, part.base - origin)
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
            tally.witness(judged_pickle(self.source, part, view, own=not self.prefix))
        end = program.end + origin if whole else None
        if other is not None and other.whole and not whole:
            end = other.program.end - other.program.start + part.start  # where that reading goes on
        # Of the main object a container asks at most whether it is a number.
        value = plain(program.value) if not part.main or type(program.value) is int else None
        return Answer(end, value, program.value, context.storages)

    def _judge(self, view: StreamView, objects: Mapping[object, object] | None) -> Context:
        """Judge a program. The findings are those of the judge, of the machine and of how deep the value nests."""
        limits, program = self.tally.limits, view.program
        context = self._context(program, view)
        judge = Judge(self.tally.policy, context, view, objects)
        judge.run()
        self.tally.add(*judge.findings)
        self._remarks(program, view)
        over = too_nested(program.value, limits)
        if over is not None:
            self.tally.broken(over, view.member, stream=view.stream)
        if context.deferred:
            self.deferred.append((context, view))
        return context

    def _remembering(self, other: Other, view: StreamView, follows: Following) -> None:
        """Report a pickle that is something else to an Unpickler which has the memo of the pickles before it."""
        program = other.program
        shifted = StreamView(program, view.member, view.stream, view.base + program.start - view.program.start)
        judge = Judge(self.tally.policy, self._context(program, shifted), shifted, {})
        judge.run()
        known = [finding for finding in self.tally.findings if finding.stream == view.stream]
        self.tally.add(*shared_memo(judge.findings, known, view, other.why, alone=follows is Following.LOADER))

    def _tree(self) -> None:
        """Judge the object that the tree of a safetensors file describes. It replaces the tensors by name as root."""
        if not self.layout.metadata:
            return
        from safeload.scanning.tree_stream import treed

        index = self.tally.streams
        given = treed(self.source, self.layout, self.tensors, self.tally.limits, self.prefix, index)
        self.tally.add(*given.findings)
        if given.view is not None:
            self.tally.streams += 1
            self.tally.opcodes += given.view.program.opcodes
            self._judge(given.view, given.objects)
            if self.tally.witness is not None:
                self.tally.witness(judged_tree(self.source, given.view))
            self.root = given.view.program.value
            self.layout = self.layout._replace(root="stream")

    def _context(self, program: Program, view: StreamView) -> Context:
        """What the shapes of vetted calls may know of the file."""
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

    def _remarks(self, program: Program, view: StreamView) -> None:
        """Report what the machine noticed beside effects: forms on which readers differ, and pickles inside bytes."""
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

    def _blob(self, data: bytes, offset: int, view: StreamView) -> None:
        """Judge bytes that are a pickle or an archive. They are data: only what is dangerous in them is a finding."""
        # latin1, as in `machine.blobs.acts`: no text breaks it.
        outer = self.tally
        inner = Tally(outer.policy, outer.limits, files=outer.files, depth=outer.depth + 1, encoding="latin1")
        source = MemorySource(data, f"{self.source.name}!bytes")
        containers = readings(source, inner.limits)
        if not is_archive(data) and not any(c.name in ("pickle", "torch-legacy") for c in containers):
            containers = (BarePickle(),)  # the machine says that they are one, whatever else they look like
        try:
            read_all(source, containers, inner, "")
        except LimitExceeded as error:
            outer.broken(error, view.member, stream=view.stream, offset=offset - view.base)
        outer.files = inner.files
        outer.streams += inner.streams
        outer.opcodes += inner.opcodes
        if inner.omitted_worst is Verdict.DANGEROUS:
            many = LimitExceeded("too many findings", limit="findings")
            outer.broken(many, view.member, stream=view.stream, offset=offset)
        for finding in inner.findings:
            if finding.verdict is Verdict.DANGEROUS:
                self.tally.add(
                    view.finding(
                        "nested-pickle", Verdict.DANGEROUS, finding.severity,
                        f"a pickle inside bytes {finding.message}", finding.remedy,
                        offset=offset, name=finding.name, evidence=finding.evidence,
                    )
                )  # fmt: skip

    def _enclosed(self, view: StreamView, data: bytes, offset: int) -> Document:
        """The Document of bytes that a loader inside the pickle would read: they are judged like a file."""
        place = f"{view.member}!bytes@{offset - view.base:#x}"
        source = MemorySource(data, f"{self.source.name}!{place}")
        document = self._inside(source, readings(source, self.tally.limits), place)
        if document is None:
            raise ShapeError("the enclosed file was not understood", Verdict.UNJUDGED, "nested-pickle")
        return document

    def _inside(self, source: Source, containers: tuple[Container, ...], place: str) -> Document | None:
        """Read a file inside this one. Its findings stand under `place`."""
        self.tally.depth += 1
        self.tally.near = self._near
        try:
            return read_all(source, containers, self.tally, place)
        except LimitExceeded as error:
            self.tally.broken(error, place)
            return None
        finally:
            self.tally.depth -= 1
            self.tally.near = self.outer

    def _nested(self, part: Nested) -> Answer:
        """Judge a file inside this one, unless it is raw numbers or is proven to be no model."""
        tally, place, source = self.tally, _join(self.prefix, part.member), self._source(part)
        # An archive may hold thousands of empty files: none of them is looked at.
        containers = () if part.skippable and not source.size else readings(source, tally.limits)
        if part.raw and not does_anything(source, containers, tally.limits):
            return Answer(source.size)
        reason = why_no_model(source, containers, tally, place, self._near) if part.skippable else ""
        document = None
        if not reason:
            before = tally.mark()
            document = self._inside(source, containers, place)
            if part.skippable and tally.nothing_since(before):
                tally.forget(before)
                reason = NO_MODEL_IN_IT
        if reason:
            tally.skip(place, reason)
            return Answer(source.size, skipped=True)
        tally.judged += 1
        value = None if document is None else Enclosed(document)
        if part.main:
            self.root = value if value is not None else UNSET
        else:
            self.others.append((place, value))
        return Answer(source.size if document is not None else None, None, value)

    def _source(self, part: Nested) -> Source:
        """The bytes of a file inside this one."""
        name = f"{self.source.name}!{part.member}"
        if part.data is not None:
            return MemorySource(part.data, name)
        return PartSource(self.source, part.extent.offset, part.extent.length, name)

    def _units(self, member: Callable[[str], Nested]) -> None:
        """Judge the folders among the members that a loader takes whole, once it has unpacked the archive."""
        from safeload.scanning.units import unit_reports

        tally, opened = self.tally, lambda name: self._source(member(name))
        for report in unit_reports(self.names.names, tally.policy, tally.limits, opened=opened):
            for finding in report.findings:
                inner = "/".join(filter(None, (report.path, finding.member)))
                tally.add(finding._replace(member=_join(self.prefix, inner)))
            if report.omitted:
                tally.broken(LimitExceeded("a folder has too many findings", limit="findings"), self.prefix)

    def _near(self, name: str) -> bool:
        """Whether a module of this name lies beside the input, or anywhere among the members."""
        return self.beside(name) or self.outer(name)

    def _values(self, spec: TensorSpec) -> bytes:
        """The elements of a tensor whose values decide validity. See `Context.values`."""
        return deciding_values(spec, self.source, self.layout, self.known, self.tally)

    def _settle(self) -> None:
        """Run the checks that had to wait for the storages."""
        for context, view in self.deferred:
            for cell, check in context.deferred:
                offset = getattr(cell, "offset", 0)
                try:
                    cell.value = check()
                except ShapeError as error:
                    self.tally.add(shape_finding(error, view, offset, ""))


def _join(prefix: str, member: str) -> str:
    """The place of `member` in the file that is scanned."""
    return f"{prefix}!{member}" if prefix and member else prefix or member
