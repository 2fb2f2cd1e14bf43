"""One checkpoint as several safetensors files and an index (`max_shard_size`), and verifying such a set.

Each shard is a plain safetensors file, finished and verified before any of them has a name; they are shown together,
the index last. A tensor is stored once, so names that are tied cannot be split; the metadata of the shard that holds
it records them. What is no tensor belongs to no shard: the tree stands in the index, under `metadata`.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any

from safeload.converting.checking import same_meaning
from safeload.converting.interface import Conversion, Options, Verification
from safeload.converting.many.folder import write_text
from safeload.converting.many.shards import index_name, index_text, read, regular_inside, shard_names, split
from safeload.converting.plan.layout import Layout, laid_out
from safeload.converting.single import (
    Job,
    Staged,
    finished,
    judged_output,
    notes_of,
    opened,
    recorded_options,
    same_metadata,
    staged,
)
from safeload.document.document import Document
from safeload.errors import InputError, NotEqual, OutputExists
from safeload.inputs import FileSource
from safeload.scanning.shards.index import Index
from safeload.tree.interface import KEY


def convert_sharded(src: Any, dst: str, options: Options, most: int) -> Conversion:
    """Convert `src` into shards of at most `most` bytes of tensors each; into the one file `dst` when all fit there."""
    with opened(src, options) as job, ExitStack() as stack:
        groups = split({name: stored.nbytes for name, stored in job.plan.stored.items()}, most)
        if len(groups) == 1:
            return finished(job, dst)
        paths, index_path = shard_names(dst, len(groups)), index_name(dst)
        for path in (*paths, index_path):
            if os.path.lexists(path) and not options.force:
                raise OutputExists(errno.EEXIST, "exists already: --force replaces it", path)
        with job.timed("plan"):
            text = _index(job, groups, paths)
            layouts = [_layout(job, group) for group in groups]
        wants = options.manifest is not None
        done = [
            stack.enter_context(staged(job, layout, path, digests=wants))
            for layout, path in zip(layouts, paths, strict=True)
        ]
        conversion = _conversion(job, layouts, done, paths, index_path)
        listing = _manifest(job, conversion, layouts, done, text) if wants else None
        job.unchanged()
        with job.timed("sync"):
            _publish(done, index_path, text, listing, options)
        return conversion


def _layout(job: Job, group: Sequence[str]) -> Layout:
    """One shard: its tensors, and of the metadata what is not about others."""
    stored = job.plan.stored
    chosen = frozenset(group)
    return laid_out((stored[name] for name in group), _entries(job, chosen), None, job.options.limits)


def _entries(job: Job, chosen: frozenset[str]) -> dict[str, str]:
    ties = job.plan.ties
    return {key: value for key, value in job.entries.items() if key not in ties or ties[key] in chosen}


def _index(job: Job, groups: Sequence[Sequence[str]], paths: Sequence[str]) -> str:
    stored = job.plan.stored
    weight_map = {name: os.path.basename(path) for group, path in zip(groups, paths, strict=True) for name in group}
    tree = job.tree(several=True)
    total = sum(one.nbytes for one in stored.values())
    return index_text(weight_map, total, {} if tree is None else {KEY: tree})


def _conversion(
    job: Job, layouts: Sequence[Layout], done: Sequence[Staged], paths: tuple[str, ...], index_path: str
) -> Conversion:
    options = job.options
    found = [one.verification for one in done]
    return Conversion(
        source=job.scan.report.path,
        output=index_path,
        sidecar=None,
        report=job.scan.report,
        tensors=len(job.plan.stored),
        nbytes=sum(stored.nbytes for stored in job.plan.stored.values()),
        size=sum(layout.size for layout in layouts),
        ties=dict(job.plan.ties),
        dropped=job.dropped,
        notes=tuple(notes_of(job, layouts, sum(one.infinite for one in done))),
        verification=_together(found),
        seconds=job.seconds,
        manifest=None if options.manifest is None else os.fspath(options.manifest),
        shards=paths,
    )


def _together(found: Sequence[Verification]) -> Verification:
    digests = {name: digest for one in found for name, digest in one.digests.items()}
    return Verification(sum(one.tensors for one in found), sum(one.nbytes for one in found), found[0].library, digests)


def _manifest(job: Job, conversion: Conversion, layouts: Sequence[Layout], done: Sequence[Staged], index: str) -> str:
    """The manifest of a single file, with the index as the output and a list of the shards beside it."""
    import hashlib

    from safeload.converting.manifest import digests, manifest

    with job.timed("hash"), ExitStack() as stack:
        written = [FileSource(one.output.readable) for one in done]
        for source in written:
            stack.callback(source.close)
        source_sha256, *shard_sha256 = [digests((source,), lambda _: None)[0] for source in (job.source, *written)]
    raw = index.encode("utf-8")
    text = manifest(
        job.scan.report, job.options,
        source_sha256=source_sha256,
        output=conversion.output,
        output_size=len(raw),
        output_sha256=hashlib.sha256(raw).hexdigest(),
        sidecar=None,
        tensors=(stored for layout in layouts for stored, _ in layout.tensors),
        tensor_sha256=conversion.verification.digests,
        ties=job.plan.ties,
        dropped=job.dropped,
        notes=conversion.notes,
    )  # fmt: skip
    document = json.loads(text)
    document["shards"] = [
        {"path": path, "size": layout.size, "sha256": digest}
        for path, layout, digest in zip(conversion.shards, layouts, shard_sha256, strict=True)
    ]
    return json.dumps(document, ensure_ascii=True, indent=2) + "\n"


def _publish(done: Sequence[Staged], index_path: str, text: str, listing: str | None, options: Options) -> None:
    """Show the shards, then the manifest, then the index; take back what is new when one of them cannot be."""
    given: list[str] = []
    try:
        for one in done:
            new = not os.path.lexists(one.output.path)
            one.publish(sync=options.sync)
            given += [one.output.path] if new else []
        if listing is not None and options.manifest is not None:
            new = not os.path.lexists(options.manifest)
            write_text(os.fspath(options.manifest), listing, options)
            given += [os.fspath(options.manifest)] if new else []
        write_text(index_path, text, options)
    except BaseException:
        for path in given:
            with suppress(OSError):
                os.unlink(path)
        raise


def compare_sharded(src: Any, index_path: str, options: Mapping[str, Any]) -> Verification:
    """Compare a set of shards with the one checkpoint it was made from. See `verify`."""
    index = read(index_path)
    paths = regular_inside(os.path.dirname(index_path), index.files)
    with ExitStack() as stack:
        sources = [FileSource(path) for path in paths]
        for source in sources:
            stack.callback(source.close)
        given = Options(**options)
        written = [judged_output(source, given.policy, given.limits) for source in sources]
        recorded = recorded_options(written[0].metadata)
        job = stack.enter_context(opened(src, Options(**{**options, **(recorded or {})})))
        _same_index(job, index, written)
        found = [
            _compared(job, source, document, recorded is not None)
            for source, document in zip(sources, written, strict=True)
        ]
        job.unchanged()
        for source in sources:
            if source.changed() or not source.still_judged():
                raise InputError(errno.EIO, "changed while it was being verified", source.name)
        return _together(found)._replace(recorded=recorded)


def _same_index(job: Job, index: Index, written: Sequence[Document]) -> None:
    """Raise NotEqual unless index, shards and source name the same tensors, and the index holds the tree."""
    held = {name: file for file, document in zip(index.files, written, strict=True) for name in document.storages}
    if held != dict(index.weight_map) or sum(len(document.storages) for document in written) != len(held):
        raise NotEqual("the index and the shards do not agree on which tensor is where")
    if held.keys() != job.plan.stored.keys():
        odd = sorted(held.keys() ^ job.plan.stored.keys())[0]
        raise NotEqual(f"the shards hold other tensors than the source gives, first {odd[:200]!a}")
    if index.metadata.get(KEY) != job.tree(several=True):
        raise NotEqual("the tree in the index is not what the source gives")


def _compared(job: Job, source: FileSource, written: Document, recorded: bool) -> Verification:
    from safeload.converting.verify.verify import compare

    chosen = frozenset(written.storages)
    entries = _entries(job, chosen)
    if recorded:
        same_metadata(entries, written.metadata)
    else:
        ties = {name: kept for name, kept in job.plan.ties.items() if kept in chosen}
        same_meaning(entries, ties, written.metadata)
    tensors = {name: stored for name, stored in job.plan.stored.items() if name in chosen}
    total = sum(stored.nbytes for stored in tensors.values())
    told = job.options.progress

    def step(done: int) -> None:
        if told is not None:
            told("verify", done, total)

    return compare(
        tensors, source, source.path, tempfile.gettempdir(), limits=job.options.limits, told=step, alone=job.alone
    )
