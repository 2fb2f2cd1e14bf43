"""One output file, from a layout to a finished, verified file that has no name yet. See `staged`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from safeload.converting.interface import Verification
from safeload.converting.job import Job
from safeload.converting.plan.layout import Layout
from safeload.converting.portions import Crew, Work, hands, portions
from safeload.converting.write import system
from safeload.converting.write.output import Output, output_error
from safeload.document.document import Document
from safeload.errors import InputError, MissingExtra, NotEqual, OutputError
from safeload.findings import Verdict
from safeload.inputs import FileSource
from safeload.install import install_line
from safeload.limits import Limits
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from safeload.tree.sidecar import sidecar_path

if TYPE_CHECKING:
    from safeload.converting.write.writer import Writer


class Staged:
    """A finished output without a name. `publish` shows it; leaving `staged` otherwise removes it.

    infinite   finite values that a cast made infinite
    """

    def __init__(
        self, output: Output, sidecar: Output | None, layout: Layout, verification: Verification, infinite: int
    ) -> None:
        self.output = output
        self.sidecar = sidecar
        self.layout = layout
        self.verification = verification
        self.infinite = infinite

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
def staged(job: Job, layout: Layout, dst: str | os.PathLike[str], *, digests: bool = False) -> Iterator[Staged]:
    """`layout` written to a file that will be `dst`, on the disk and verified.

    Raises OutputError for the output, InputError when the source changed, NotEqual when they differ.
    """
    options = job.options
    with ExitStack() as stack:
        needs = layout.size + len(layout.sidecar or b"")
        output = stack.enter_context(Output(dst, force=options.force, needs=needs, source=job.source))
        sidecar = None
        if layout.sidecar is not None:
            beside = sidecar_path(Path(output.path))
            sidecar = stack.enter_context(Output(beside, force=options.force, source=job.source))
        with writing(output):
            system.resize(output.fd, layout.size)
        written = FileSource(output.readable)
        stack.callback(written.close)
        verification, infinite = _filled(job, layout, output, sidecar, written, digests=digests)
        if options.sync:
            with job.timed("sync"):
                job.told("sync", layout.size)(0)
                _flushed(job, layout, output, sidecar)
        with job.timed("verify"):
            if not options.sync:
                _judged(job, layout, output, sidecar)
            # SECURITY: after the comparison too: what changed under both may have been written and compared alike.
            job.unchanged()
            if written.peek(0, len(layout.header)) != layout.header:
                raise NotEqual("the header of the output is not the one that was written")
        yield Staged(output, sidecar, layout, verification, infinite)


def _filled(
    job: Job, layout: Layout, output: Output, sidecar: Output | None, written: FileSource, *, digests: bool
) -> tuple[Verification, int]:
    """Write what `layout` says and compare it, each portion in one go; also how many casts overflowed."""
    try:
        from safeload.converting.verify.verify import prepared
        from safeload.converting.write.writer import Writer
    except ImportError as error:
        raise MissingExtra(f"conversion needs numpy and safetensors: {install_line('convert')}") from error
    crew = Crew()
    options = job.options
    with ExitStack() as stack:
        told = crew.told(job.told("write", layout.size), len(layout.header))
        writer = Writer(output.fd, output.folder, told, flush=options.sync)
        stack.callback(writer.close)
        with job.timed("write"), writing(output):
            writer.head(layout)
            if sidecar is not None and layout.sidecar is not None:
                system.write_at(sidecar.fd, layout.sidecar, 0)
        with job.timed("verify"):
            tensors = {stored.name: stored for stored, _ in layout.tensors}
            told = crew.told(job.told("verify", layout.size))
            comparison = prepared(
                tensors, written, output.readable, output.folder, limits=options.limits, told=told, digests=digests
            )
            stack.callback(comparison.close)
        comparing = [comparison.hand().compare for _ in range(hands(alone=job.alone))]
        parts = list(portions([stored.nbytes for stored, _ in layout.tensors]))
        # Ends before everything that its threads use is closed.
        stack.enter_context(crew)
        with job.timed("write"):
            thens = comparing if options.overlap else [None] * len(comparing)
            crew.share(parts, [_writing(writer, layout, output, then) for then in thens])
        with job.timed("verify"):
            if not options.overlap:
                crew.share(parts, comparing)
            return comparison.result(), writer.infinite


def _writing(writer: Writer, layout: Layout, output: Output, then: Work | None) -> Work:
    """What one thread does with a portion: write it by a Hand of the Writer, `then` compare it."""
    hand = writer.hand()

    def work(part: range) -> None:
        with writing(output):
            hand.write(layout.tensors[part.start : part.stop])
        if then is not None:
            then(part)

    return work


@contextmanager
def writing(output: Output) -> Iterator[None]:
    """What the system refuses while the output is written, as an OutputError; of the source's errors, nothing."""
    try:
        yield
    except (InputError, OutputError):
        raise
    except OSError as error:
        raise output_error(error, output.shown) from error


def _flushed(job: Job, layout: Layout, output: Output, sidecar: Output | None) -> None:
    """Have the output on the disk, and judge it meanwhile."""
    crew = Crew()

    def work(part: range) -> None:
        if part.start:
            _judged(job, layout, output, sidecar)
            return
        output.flush()
        if sidecar is not None:
            sidecar.flush()

    # SECURITY: a thread that was left behind would flush a descriptor that is another file's by then.
    with crew:
        crew.share((range(1), range(1, 2)), (work, work))


def _judged(job: Job, layout: Layout, output: Output, sidecar: Output | None) -> None:
    """Require that a scan of the output finds what was written, its tree included."""
    with ExitStack() as stack:
        source = FileSource(output.readable)
        stack.callback(source.close)
        if sidecar is not None:
            # The reader looks for the tree beside the file: it stands there under a name for it alone.
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            source.path = os.path.join(folder, "output.safetensors")
            beside = sidecar_path(Path(source.path))
            if os.name == "nt":  # where few users may make a link
                shutil.copyfile(sidecar.readable, beside)
            else:
                os.symlink(sidecar.readable, beside)
        if judged_output(source, job.options.policy, job.options.limits).metadata != layout.metadata:
            raise NotEqual("the metadata of the output are not those that were written")


def judged_output(source: FileSource, policy: Policy | None, limits: Limits) -> Document:
    """The Document of an output, which must be as good as it claims."""
    scan = scan_source(source, policy=policy or Policy.default(), limits=limits)
    report, document = scan.report, scan.document
    good = report.verdict in (Verdict.CLEAN, Verdict.UNVETTED)
    if document is None or document.container != "safetensors" or not good:
        first = report.findings[0].message if report.findings else "it is no safetensors file"
        raise NotEqual(f"the output is not what a scan calls clean: {ascii(first)[1:-1]}")
    return document
