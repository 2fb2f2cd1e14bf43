"""The order of a conversion: judge, admit, select, plan, write, flush, verify, publish. The parts know nothing of it.

`opened` gives a Job (everything known of the source and of what will be written), `staged` one finished, verified file
that has no name yet. Other forms of output are made of these two.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from safeload.converting import system
from safeload.converting.dropping import dropped_objects
from safeload.converting.gate import admit, calls
from safeload.converting.interface import (
    CONVERT_KEY,
    Conversion,
    Dropped,
    Options,
    Stored,
    Verification,
)
from safeload.converting.layout import Layout, laid_out, metadata
from safeload.converting.output import Output, output_error
from safeload.converting.plan import FilePlan, planned
from safeload.converting.select import selected
from safeload.document import Document
from safeload.errors import (
    InputError,
    MissingExtra,
    NotConvertible,
    NotEqual,
    OutputError,
    UnsafeCheckpoint,
    UsageError,
)
from safeload.findings import Verdict
from safeload.inputs import FileSource, open_source
from safeload.limits import Limits
from safeload.machine.pause import pause, resume
from safeload.policy import Policy
from safeload.scanner import Scan, scan_source
from safeload.source import Source
from safeload.tree.encode import encode
from safeload.tree.sidecar import sidecar_path


class Job:
    """One source, judged and planned.

    plan      what goes over;  entries: `__metadata__` without the tree
    dropped   what does not
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
            original = self.scan.document
            if original.root is None:
                raise NotConvertible(f"{source.name!a} holds no object to convert")
            chosen = selected(original, options)
            self.document: Document = chosen.document
            self.plan: FilePlan = planned(chosen.document, original, options)
            self.entries: dict[str, str] = metadata(self.plan, original, self.scan.report, options)
            self.dropped: tuple[Dropped, ...] = (
                *chosen.dropped,
                *dropped_objects(chosen.document, self.plan.records, options.limits),
                *calls(self.scan.report),
            )

    def tree(self) -> str:
        """The text of the tree."""
        return encode(self.document, self.plan, self.options.limits)

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


class Staged:
    """A finished output without a name. `publish` shows it; leaving `staged` otherwise removes it."""

    def __init__(self, output: Output, sidecar: Output | None, layout: Layout, verification: Verification) -> None:
        self.output = output
        self.sidecar = sidecar
        self.layout = layout
        self.verification = verification
        self.infinite = 0

    def publish(self, *, sync: bool) -> None:
        """Show it, its tree's own file first: a tree without its tensors misleads nobody."""
        if self.sidecar is None:
            self.output.publish(sync=sync)
            return
        new = not os.path.lexists(self.sidecar.path)
        self.sidecar.publish(sync=sync)
        try:
            self.output.publish(sync=sync)
        except BaseException:
            if new:
                with suppress(OSError):
                    os.unlink(self.sidecar.path)
            raise


@contextmanager
def staged(
    job: Job, layout: Layout, dst: str | os.PathLike[str], *, digests: bool = False
) -> Iterator[Staged]:
    """`layout` written to a file that will be `dst`, on the disk and verified.

    Raises OutputError for the output, InputError when the source changed, NotEqual when they differ.
    """
    try:
        from safeload.converting.writer import Writer
    except ImportError as error:
        raise MissingExtra("conversion needs numpy and safetensors: pip install 'safeload[convert]'") from error
    options = job.options
    with ExitStack() as stack:
        needs = layout.size + len(layout.sidecar or b"")
        output = stack.enter_context(Output(dst, force=options.force, needs=needs, source=job.source))
        sidecar = None
        if layout.sidecar is not None:
            beside = sidecar_path(_path(output.path))
            sidecar = stack.enter_context(Output(beside, force=options.force, source=job.source))
        with job.timed("write"), _writing(output):
            writer = Writer(output.fd, output.folder, _told(options, "write", layout.size))
            writer.write(layout)
            if sidecar is not None and layout.sidecar is not None:
                system.write_at(sidecar.fd, layout.sidecar, 0)
        if options.sync:
            with job.timed("sync"):
                _tell(options, "sync", 0, layout.size)
                output.flush()
                if sidecar is not None:
                    sidecar.flush()
        with job.timed("verify"):
            job.unchanged()
            verification = _verified(job, layout, output, sidecar, digests=digests)
            job.unchanged()
        done = Staged(output, sidecar, layout, verification)
        done.infinite = writer.infinite
        yield done


@contextmanager
def _writing(output: Output) -> Iterator[None]:
    """What the system refuses while the output is written, as an OutputError; of the source's errors, nothing."""
    try:
        yield
    except (InputError, OutputError):
        raise
    except OSError as error:
        raise output_error(error, output.shown) from error


def _verified(job: Job, layout: Layout, output: Output, sidecar: Output | None, *, digests: bool) -> Verification:
    from safeload.converting.verify import compare as compare_bytes

    tensors = {stored.name: stored for stored, _ in layout.tensors}
    with ExitStack() as stack:
        source = FileSource(output.readable)
        stack.callback(source.close)
        if sidecar is not None:
            # The reader looks for the tree beside the file: both stand there under names for it alone.
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            source.path = os.path.join(folder, "output.safetensors")
            os.symlink(sidecar.readable, sidecar_path(_path(source.path)))
        written = judged_output(source, job.options.policy, job.options.limits)
        if written.metadata != layout.metadata:
            raise NotEqual("the metadata of the output are not those that were written")
        return compare_bytes(
            tensors, written, output.readable, output.folder,
            told=_told(job.options, "verify", layout.size), digests=digests,
        )  # fmt: skip


def judged_output(source: FileSource, policy: Policy | None, limits: Limits) -> Document:
    """The Document of an output, which must be as good as it claims."""
    scan = scan_source(source, policy=policy or Policy.default(), limits=limits)
    report, document = scan.report, scan.document
    if document is None or document.container != "safetensors" or report.verdict not in (Verdict.CLEAN, Verdict.UNVETTED):
        first = report.findings[0].message if report.findings else "it is no safetensors file"
        raise NotEqual(f"the output is not what a scan calls clean: {ascii(first)[1:-1]}")
    return document


def run(src: Any, dst: str | os.PathLike[str], options: Options) -> Conversion:
    """See `safeload.converting.convert`."""
    with opened(src, options) as job:
        return finished(job, dst)


def finished(job: Job, dst: str | os.PathLike[str]) -> Conversion:
    """`job` as the one file `dst`: laid out, written, verified and shown."""
    options = job.options
    with ExitStack() as stack:
        listing = None
        if options.manifest is not None:
            listing = stack.enter_context(Output(options.manifest, force=options.force, source=job.source))
        layout = job.layout()
        done = stack.enter_context(staged(job, layout, dst, digests=listing is not None))
        notes = notes_of(job, (layout,), done.infinite)
        if listing is not None:
            with job.timed("hash"), _writing(listing):
                system.write_at(listing.fd, _listed(job, done, notes, dst), 0)
                if options.sync:
                    listing.flush()
            job.unchanged()
        with job.timed("sync"):
            _publish(done, listing, sync=options.sync)
        return Conversion(
            source=job.scan.report.path,
            output=os.fspath(dst),
            sidecar=None if done.sidecar is None else done.sidecar.shown,
            report=job.scan.report,
            tensors=len(layout.tensors),
            nbytes=sum(stored.nbytes for stored, _ in layout.tensors),
            size=layout.size,
            ties=dict(job.plan.ties),
            dropped=job.dropped,
            notes=tuple(notes),
            verification=done.verification,
            seconds=dict(job.seconds),
            manifest=None if listing is None else listing.shown,
        )


def notes_of(job: Job, layouts: Iterable[Layout], infinite: int) -> list[str]:
    """What a reader of the output should know."""
    notes = list(job.plan.notes)
    if job.options.dtype is not None:
        casts = sum(stored.source is not None for layout in layouts for stored, _ in layout.tensors)
        notes.append(f"{casts} tensors were cast to {job.options.dtype}")
    if infinite:
        notes.append(f"{infinite} finite values became infinite by the cast")
    return notes


def _publish(done: Staged, listing: Output | None, *, sync: bool) -> None:
    if listing is None:
        done.publish(sync=sync)
        return
    new = not os.path.lexists(listing.path)
    listing.publish(sync=sync)
    try:
        done.publish(sync=sync)
    except BaseException:
        if new:
            with suppress(OSError):
                os.unlink(listing.path)
        raise


def _listed(job: Job, done: Staged, notes: list[str], dst: str | os.PathLike[str]) -> bytes:
    from safeload.converting.manifest import digests, manifest

    written = FileSource(done.output.readable)
    try:
        total = job.source.size + written.size
        source_sha256, output_sha256 = digests((job.source, written), _told(job.options, "hash", total))
    finally:
        written.close()
    return manifest(
        job.scan.report, job.options,
        source_sha256=source_sha256,
        output=os.fspath(dst),
        output_size=done.layout.size,
        output_sha256=output_sha256,
        sidecar=done.layout.sidecar,
        tensors=(stored for stored, _ in done.layout.tensors),
        tensor_sha256=done.verification.digests,
        ties=job.plan.ties,
        dropped=job.dropped,
        notes=notes,
    )  # fmt: skip


def compare(
    src: Any,
    dst: str | os.PathLike[str],
    *,
    policy: Policy | None = None,
    limits: Limits | None = None,
    progress: Any = None,
    digests: bool = False,
) -> Verification:
    """See `safeload.converting.verify`."""
    from safeload.converting.verify import compare as compare_bytes

    limits = limits or Limits()
    output = FileSource(dst)
    try:
        written = judged_output(output, policy, limits)
        recorded = recorded_options(written.metadata)
        options = Options(policy=policy, limits=limits, progress=progress, **(recorded or {}))
        with opened(src, options) as job:
            layout = job.layout()
            if recorded is not None:
                same_metadata(layout.metadata, written.metadata)
            tensors: Mapping[str, Stored] = job.plan.stored
            result = compare_bytes(
                tensors, written, output.path, tempfile.gettempdir(),
                told=_told(options, "verify", layout.size), digests=digests,
            )  # fmt: skip
            job.unchanged()
            if output.changed() or not output.still_judged():
                raise InputError(errno.EIO, "changed while it was being verified", output.name)
            return result
    finally:
        output.close()


def recorded_options(entries: Mapping[str, str]) -> dict[str, Any] | None:
    """The options that a converted file records, None when it records no conversion. Raises NotEqual for nonsense."""
    text = entries.get(CONVERT_KEY)
    if text is None:
        return None
    try:
        record = json.loads(text)
        if record["version"] != 1:
            raise NotEqual("the output was converted by a later safeload: verify it with that")
        found = dict(record["options"])
        if "keys" in found:
            found["keys"] = tuple(found["keys"])
        Options(**found)
    except (ValueError, TypeError, KeyError, RecursionError, UsageError) as error:
        raise NotEqual("the output's record of its conversion cannot be read") from error
    return found


def same_metadata(expected: Mapping[str, str], found: Mapping[str, str]) -> None:
    """Raise NotEqual unless both say the same; which safeload and which rules made it may differ."""
    for key in sorted(expected.keys() | found.keys()):
        mine, theirs = expected.get(key), found.get(key)
        if key == CONVERT_KEY and mine is not None and theirs is not None:
            mine, theirs = _lasting(mine), _lasting(theirs)
        if mine != theirs:
            raise NotEqual(f"the metadata entry {key[:200]!a} of the output is not what the source gives")


def _lasting(text: str) -> str:
    record = json.loads(text)
    return json.dumps({key: record.get(key) for key in ("version", "judged_sha256", "options")}, sort_keys=True)


def _told(options: Options, stage: str, total: int) -> Any:
    return lambda done: _tell(options, stage, done, total)


def _tell(options: Options, stage: str, done: int, total: int) -> None:
    if options.progress is not None:
        options.progress(stage, done, total)


def _path(path: str | os.PathLike[str]) -> Any:
    from pathlib import Path

    return Path(path)


__all__: Iterable[str] = ["Job", "Staged", "compare", "finished", "judged_output", "notes_of", "opened", "run", "staged"]
