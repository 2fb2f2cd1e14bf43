"""The order of a conversion into one file: judge, admit, plan (`job`), write, verify, flush (`staging`), publish.

Other forms of output are made of `opened` and `staged` too; every name they need is here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Any

from safeload.converting.checking import compare, recorded_options, same_metadata
from safeload.converting.interface import Conversion, Options
from safeload.converting.job import Job, opened
from safeload.converting.plan.layout import Layout
from safeload.converting.write import system
from safeload.converting.write.output import Output
from safeload.converting.write.staging import Staged, judged_output, staged, writing
from safeload.inputs import FileSource

__all__ = [
    "Job",
    "Staged",
    "compare",
    "finished",
    "judged_output",
    "notes_of",
    "opened",
    "recorded_options",
    "run",
    "same_metadata",
    "staged",
]


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
        job.forget()
        done = stack.enter_context(staged(job, layout, dst, digests=listing is not None))
        notes = notes_of(job, (layout,), done.infinite)
        if listing is not None:
            with job.timed("hash"), writing(listing):
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
        source_sha256, output_sha256 = digests((job.source, written), job.told("hash", total))
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
