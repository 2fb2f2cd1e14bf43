"""One source, opened, judged and planned: everything known before the first byte is written."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from safeload.converting.gate import admit, calls
from safeload.converting.interface import Dropped, Options
from safeload.converting.plan.dropping import dropped_objects
from safeload.converting.plan.layout import Layout, laid_out, metadata
from safeload.converting.plan.plan import FilePlan, planned
from safeload.converting.plan.select import rooted, selected
from safeload.document.document import Document
from safeload.errors import InputError, Malformed, UnsafeCheckpoint
from safeload.findings import Verdict
from safeload.inputs import FileSource, StreamSource, open_source
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.scanning.scanner import Scan, scan_source
from safeload.source import Source
from safeload.tree.encode import contents, encode


class Job:
    """One source, judged and planned.

    plan      what goes over;  entries: `__metadata__` without the tree
    dropped   what does not;  bare: nothing but tensors does
    seconds   stage -> duration so far

    `scan`, when given, is of `source`, by the caller, in place of the one made here.
    """

    def __init__(self, source: Source, options: Options, scan: Scan | None = None) -> None:
        self.source = source
        self.options = options
        self.seconds: dict[str, float] = {}
        with self.timed("judge"):
            policy = options.policy or Policy.default()
            self.scan: Scan = scan or scan_source(source, policy=policy, limits=options.limits)
            admit(self.scan.report, options)
        if self.scan.document is None:
            raise UnsafeCheckpoint(f"{self.scan.report.path} holds no object to convert", report=self.scan.report)
        with self.timed("plan"):
            first = rooted(self.scan.document, options.limits)
            # SECURITY: what stands beside the tensors of a dangerous file may be part of what makes it so (a pickle in
            # bytes, a name with control characters): it is never handed on.
            self.bare = self.scan.report.verdict is Verdict.DANGEROUS
            original = first.document
            chosen = selected(original, options, bare=self.bare)
            self.document: Document = chosen.document
            self.plan: FilePlan = planned(chosen.document, original, options, bare=self.bare)
            self.entries: dict[str, str] = metadata(self.plan, original, self.scan.report, options)
            self.dropped: tuple[Dropped, ...] = (
                *self._objects(original),
                *calls(self.scan.report),
                *chosen.dropped,
                *first.dropped,
            )

    def _objects(self, original: Document) -> tuple[Dropped, ...]:
        limits = self.options.limits
        if not self.bare:
            return dropped_objects(self.document, self.plan.records, limits)
        try:
            return dropped_objects(original, contents(original).records, limits)
        except Malformed:
            # Of an object that no tree could hold, the findings tell.
            return ()

    def tree(self, *, several: bool = False) -> str | None:
        """The text of the tree; None where tensors alone go over. `several`: for an index of several files."""
        if self.bare:
            return None
        names = () if several else tuple(self.plan.stored)
        return encode(self.document, self.plan, self.options.limits, wanted=self.plan.wanted, names=names)

    @property
    def alone(self) -> bool:
        """Whether the source cannot be read by several threads: a caller's file object has one position."""
        return isinstance(self.source, StreamSource)

    def layout(self) -> Layout:
        """The one file that holds everything."""
        with self.timed("plan"):
            return laid_out(self.plan.stored.values(), self.entries, self.tree(), self.options.limits)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time spent in a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def told(self, stage: str, total: int) -> Callable[[int], None]:
        """What is called with the bytes done of a stage."""
        told = self.options.progress
        return (lambda done: None) if told is None else lambda done: told(stage, done, total)

    def forget(self) -> None:
        """Let go of the object and its tree once everything is laid out: only the tensors' places are needed then."""
        if self.scan.document is not None:
            self.scan.document.root = None
        self.document.root = None
        self.plan.forget()

    def unchanged(self) -> None:
        """Raise InputError when the source is not what was judged any more."""
        if isinstance(self.source, FileSource) and (self.source.changed() or not self.source.still_judged()):
            raise InputError(errno.EIO, "changed while it was being converted; nothing was written", self.source.name)


@contextmanager
def opened(src: Any, options: Options) -> Iterator[Job]:
    """A Job for `src`. Raises what `convert` raises, but for what concerns the output."""
    source = open_source(src)
    # A conversion makes objects that it keeps to its end: collections meanwhile would find nothing.
    pause()
    try:
        yield Job(source, options)
    finally:
        resume()
        source.close()
