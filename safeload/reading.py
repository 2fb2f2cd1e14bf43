"""One reading of one input: a container reader is fed with what it asks for, and what it tells is collected.

Hands pickles to the machine and its Programs to the judge, and descends into files inside files, within the limits.
Knows no format, no opcode and no name, and computes no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from safeload.cell import UNSET
from safeload.checks import View
from safeload.containers import Container, recognise
from safeload.containers.interface import (
    Answer,
    Layout,
    Naming,
    Nested,
    Pickle,
    Reading,
    Storages,
)
from safeload.containers.storage_bytes import storage_bytes
from safeload.containers.torch_legacy import MAGIC
from safeload.declared import declared, named_object
from safeload.document import Document, Enclosed, Extent, TensorSpec
from safeload.elements import elements, is_contiguous, spec_bytes
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict, worst
from safeload.inputs import MemorySource
from safeload.inputs.part import PartSource
from safeload.judging import Judge, shape_finding
from safeload.limits import Limits
from safeload.machine import Persistent, Program
from safeload.machine.blobs import content
from safeload.nesting import nesting
from safeload.plain import plain
from safeload.policy import Policy
from safeload.source import Source
from safeload.streams import Witness, heard, heard_tree, interpret
from safeload.vetted import Context, ShapeError

# Plain values in a row before a second format; more than that is taken for an attack on patience.
_STREAMS = 64
_AGAIN = "download the file again and compare its checksum with the publisher's"


class Tally:
    """What one input and everything inside it add up to."""

    def __init__(
        self, policy: Policy, limits: Limits, *, files: int = 0, depth: int = 0, encoding: str | None = None
    ) -> None:
        self.policy = policy
        self.limits = limits
        self.files = files
        self.depth = depth
        self.encoding = encoding
        self.witness: Witness | None = None
        self.findings: list[Finding] = []
        self.omitted = 0
        self.omitted_worst = Verdict.CLEAN
        self.streams = 0
        self.opcodes = 0
        self.validated = 0

    def add(self, finding: Finding) -> None:
        """Keep a finding, or count it once the limit is reached; a verdict is never lost with it."""
        if len(self.findings) < self.limits.findings:
            self.findings.append(finding)
        else:
            self.omitted += 1
            self.omitted_worst = worst((self.omitted_worst, finding.verdict), empty=Verdict.CLEAN)


def readings(source: Source, limits: Limits) -> tuple[Container, ...]:
    """Every container that `source` is to some program; a pickle behind another format counts when it does anything."""
    found = recognise(source)
    # The length field of safetensors spells a plain value now and then, and means nothing by it.
    values_count = found[0].name != "safetensors"
    if len(found) > 1 and found[-1].name == "pickle" and not may_do(source, limits, values_count=values_count):
        return found[:-1]
    return found


def may_do(source: Source, limits: Limits, *, values_count: bool = True) -> bool:
    """Whether an unpickler that is given `source` gets to an effect that is more than a persistent load.

    A text persistent load runs nothing that the file names, and every PNG begins with one (0x89, "PNG", a newline).
    Without `values_count` a plain value alone is no end, unless it is torch's magic number or a pickle that does
    something stands behind it.

    SECURITY: an unpickler with other limits or another encoding than ours goes on where we would stop, so a limit
    counts as an effect, and the encoding is the one that no text breaks.
    """
    start = 0
    for _ in range(_STREAMS):
        part = Pickle("object", start, source.size, encoding="latin1")
        try:
            program = interpret(source, part, limits)
        except LimitExceeded:
            return True
        except Malformed as error:
            return error.partial is None or _acts(error.partial)
        if values_count or _acts(program) or (type(program.value) is int and program.value == MAGIC):
            return True
        start += program.end
        if start >= source.size:
            return False
    return True


def _acts(program: Program) -> bool:
    return not all(type(effect) is Persistent for effect in program.effects)


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
        self.root: object = UNSET
        self.others: list[tuple[str, object]] = []
        self.tensors: dict[object, object] = {}
        self.deferred: list[tuple[Context, View]] = []
        self.layout = Layout()

    def read(self) -> Document | None:
        """The document, None when the reading broke off."""
        whole = True
        try:
            self._drive(self.container.read(self.source, self.tally.limits))
        except (Malformed, LimitExceeded) as error:
            whole = False
            self._broken(error, self.prefix, None, error.offset)
        if self.container.name == "safetensors":
            self._tree()
        self._settle()
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
                return
            answer = None
            if isinstance(part, Pickle):
                answer = self._pickle(part)
            elif isinstance(part, Nested):
                answer = self._nested(part)
            elif isinstance(part, Finding):
                self.tally.add(part._replace(member=_join(self.prefix, part.member)))
            elif isinstance(part, Storages):
                self.known = part
            else:
                self.tensors[part.name] = declared(part)

    def _pickle(self, part: Pickle) -> Answer:
        tally = self.tally
        if tally.encoding is not None:
            part = part._replace(encoding=tally.encoding)
        index, tally.streams = tally.streams, tally.streams + 1
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
        objects = {key: named_object(o) for key, o in part.objects.items()} if part.naming is Naming.OBJECTS else None
        context = self._judge(view, objects if part.naming is not Naming.NOTHING else {})
        if part.main:
            self.root = program.value if whole else UNSET
        else:
            self.others.append((member, program.value if whole else None))
        if tally.witness is not None:
            tally.witness(heard(self.source, part, view, own=not self.prefix))
        end = program.end + origin if whole else None
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
        if nesting(program.value, limits.depth) > limits.depth:
            error = LimitExceeded(f"containers are nested more than {limits.depth} deep", limit="depth")
            self._broken(error, view.member, view.stream, None)
        if context.deferred:
            self.deferred.append((context, view))
        return context

    def _tree(self) -> None:
        """The nested object that a tree describes, judged like any program, in place of the tensors by name."""
        if not self.layout.metadata:
            return
        from safeload.treed import treed

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
        """What the machine noticed beside effects: forms on which readers differ, and pickles inside strings."""
        for note in program.notes:
            self.tally.add(
                view.finding(
                    "not-canonical", Verdict.UNJUDGED, Severity.MEDIUM, f"not canonical: {note.message}",
                    "ask its author to save it again; pickles written by Python never look like this",
                    offset=note.offset,
                )
            )  # fmt: skip
        for offset, blob in program.blobs:
            data = content(blob)
            if data is not None:
                self._blob(data, offset, view)

    def _blob(self, data: bytes, offset: int, view: View) -> None:
        """Judge bytes that look like a pickle. They are data: only what is dangerous in them is a finding."""
        inner = Tally(self.tally.policy, self.tally.limits, files=self.tally.files, depth=self.tally.depth + 1)
        source = MemorySource(data, f"{self.source.name}!bytes")
        try:
            read_all(source, readings(source, inner.limits), inner, "")
        except LimitExceeded as error:
            self._broken(error, view.member, view.stream, offset - view.base)
        self.tally.files = inner.files
        self.tally.streams += inner.streams
        self.tally.opcodes += inner.opcodes
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
        try:
            return read_all(source, readings(source, self.tally.limits), self.tally, place)
        except LimitExceeded as error:
            self._broken(error, place, None, None)
            return None
        finally:
            self.tally.depth -= 1

    def _nested(self, part: Nested) -> Answer:
        place = _join(self.prefix, part.member)
        name = f"{self.source.name}!{part.member}"
        if part.data is not None:
            source: Source = MemorySource(part.data, name)
        else:
            source = PartSource(self.source, part.extent.offset, part.extent.length, name)
        document = self._inside(source, place)
        value = None if document is None else Enclosed(document)
        if part.main:
            self.root = value if value is not None else UNSET
        else:
            self.others.append((place, value))
        return Answer(source.size if document is not None else None, None, value)

    def _values(self, spec: TensorSpec) -> bytes:
        """The elements of a tensor whose values decide validity. See `Context.values`."""
        storage = spec.storage
        # SECURITY: a storage of a file inside this one has its home there; the same key here is another storage.
        home = None if storage is None else storage.home
        if storage is None:
            extent = None
        elif home is not None:
            extent = home.storages.get(storage.key)
        else:
            extent = self.layout.storages.get(storage.key) or self._early(storage.key)
        if storage is None or extent is None or extent.size != storage.nbytes:
            raise ShapeError("the values that decide validity are not in the file", Verdict.UNJUDGED)
        most = self.tally.limits.validated_bytes if is_contiguous(spec) else self.tally.limits.validated_bytes >> 5
        self.tally.validated += spec_bytes(spec)
        if max(spec_bytes(spec), self.tally.validated) > most:
            raise ShapeError(
                f"{spec_bytes(spec)} bytes would have to be read to check this tensor; "
                "raise it with --limit validated_bytes=VALUE", Verdict.UNJUDGED, "limit-reached",
            )  # fmt: skip
        try:
            source = self.source if home is None else home.source
            data = storage_bytes(source, extent, max(most, self.tally.limits.validated_bytes))
        except (Malformed, LimitExceeded) as error:
            raise ShapeError(error.message, Verdict.UNJUDGED) from error
        big = self.layout.big_endian or (self.known is not None and self.known.big_endian)
        big = big if home is None else home.big_endian
        return elements(spec, data, big_endian=big)

    def _early(self, key: str) -> Extent | None:
        return None if self.known is None else self.known.storages.get(key)

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
