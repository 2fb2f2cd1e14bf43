"""A folder with a sharded checkpoint: every shard converted, then one new index over the results.

Shards are converted and verified in a hidden folder beside their destination and take their names together, the index
last: a reader that goes by the index never sees half of a model. Whatever fails, that folder goes away again.

Names are chosen and changed over all shards: each is judged first, to know what it holds, then converted with its share
of the options, which its output records. A shard that gives nothing has no output, and the others are numbered anew.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from safeload.converting.gate import admit
from safeload.converting.interface import Conversion, Dropped, Options, Verification
from safeload.converting.manifest import manifest_output, of_shards, read_manifest, written
from safeload.converting.many.parallel import run_all
from safeload.converting.many.shards import (
    INDEX,
    SUFFIX,
    file_metadata,
    index_text,
    joined,
    read,
    regular_inside,
    renumbered,
    tensor_names,
)
from safeload.converting.plan.select import gives, new_key, offered, rooted, shared_out
from safeload.converting.single import compare, recorded_options, run
from safeload.converting.write import system
from safeload.converting.write.output import Output, output_error
from safeload.errors import (
    Malformed,
    NotConvertible,
    NotEqual,
    OutputExists,
    UnsafeCheckpoint,
    UsageError,
)
from safeload.inputs import FileSource
from safeload.policy import Policy
from safeload.scanning.scanner import scan_source
from safeload.scanning.shards.index import Index

_PICKLED = re.compile(r"\.(?:bin|pt|pth|ckpt|pkl|pickle)\.index\.json\Z")
_ENDINGS = (".pth", ".pt", ".bin", ".ckpt", ".pkl")


class Outcome(NamedTuple):
    """What became of one file of a folder: exactly one of conversion, error, done and skipped says it.

    done     it was converted before, by these options, and has not changed since
    skipped  why it is no checkpoint to convert
    """

    source: str
    output: str = ""
    conversion: Conversion | None = None
    error: Exception | None = None
    done: bool = False
    skipped: str = ""


@dataclass(frozen=True, slots=True)
class FolderConversion:
    """What became of the files of a folder.

    index     of a sharded checkpoint, the path of the new index
    empty     shards that gave nothing, so that no file was written for them
    manifest  path of the manifest, None when there is none
    """

    source: str
    output: str
    outcomes: tuple[Outcome, ...]
    index: str | None = None
    empty: tuple[Outcome, ...] = ()
    manifest: str | None = None

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Those that were not converted, each with its error."""
        return tuple(outcome for outcome in self.outcomes if outcome.error is not None)


def new_name(name: str) -> str:
    """The name of the output for a file called `name`: another ending, and what transformers looks for.

    "a.pth.tar" -> "a.safetensors"; "pytorch_model-00001-of-00002.bin" -> "model-00001-of-00002.safetensors".
    """
    if name.endswith(INDEX):
        return new_name(name.removesuffix(INDEX)) + INDEX
    stem, ending = os.path.splitext(name)
    if not re.fullmatch(r"\.[A-Za-z][A-Za-z0-9_]{0,15}", ending):
        stem = name  # "llama-2.5" has no suffix
    elif ending == ".tar" and os.path.splitext(stem)[1] in _ENDINGS:
        stem = os.path.splitext(stem)[0]
    elif ending == ".bin":
        stem = re.sub(r"\Apytorch_model(?![A-Za-z0-9])", "model", stem)
    return stem + SUFFIX


def find_index(folder: str) -> str | None:
    """The path of the index of a sharded checkpoint in `folder`, None when there is none.

    Raises UsageError when there are several.
    """
    found = sorted(name for name in os.listdir(folder) if _PICKLED.search(name))
    if len(found) > 1:
        raise UsageError(f"{folder!r} holds several indexes: name one of {', '.join(map(ascii, found))}")
    return os.path.join(folder, found[0]) if found else None


def is_index(path: str) -> bool:
    """Whether `path` is called as the index of a sharded checkpoint that is not safetensors."""
    return _PICKLED.search(path) is not None


class Shard(NamedTuple):
    """One shard on its way: the file in the index, its path, the name of its output, and the options for it."""

    file: str
    source: str
    name: str
    options: Options


@dataclass(frozen=True, slots=True)
class Planned:
    """What is to be done with a sharded checkpoint.

    shards   those that are converted
    empty    those that give nothing;  lost: path of each of them, and what was in it
    """

    index: Index
    shards: tuple[Shard, ...]
    empty: tuple[Outcome, ...]
    lost: tuple[tuple[str, tuple[Dropped, ...]], ...]


def planned_shards(index_path: str, options: Options, jobs: int) -> Planned:
    """See Planned. Raises what concerns the sources and the options, before anything is written."""
    folder = os.path.dirname(index_path)
    index = read(index_path)
    sources = dict(zip(index.files, regular_inside(folder, index.files), strict=True))
    given = dict.fromkeys(index.files, options)
    empty: list[Outcome] = []
    lost: list[tuple[str, tuple[Dropped, ...]]] = []
    if options.selects or options.disarm:
        offers = dict(zip(index.files, run_all(_offer, sources.values(), options, jobs), strict=True))
        given = shared_out(offers, options)
        for name in index.files:
            if name not in given:
                empty.append(Outcome(sources[name], skipped=_emptied(offers[name])))
                lost.append((sources[name], tuple(_nothing_of(index, name, offers[name], options))))
    new = renumbered([new_name(name) for name in index.files], {new_name(name) for name in given})
    shards = tuple(
        Shard(name, sources[name], new[new_name(name)], given[name]) for name in index.files if name in given
    )
    if len({os.path.normcase(shard.name) for shard in shards}) < len(shards):
        raise NotConvertible("two shards of the index would have one name as safetensors files: rename one of them")
    return Planned(index, shards, tuple(empty), tuple(lost))


def _offer(path: str, options: Options) -> tuple[str, ...]:
    """What a shard can give, by a scan of its own: it is judged again when it is converted."""
    with closing(FileSource(path)) as source:
        scan = scan_source(source, policy=options.policy or Policy.default(), limits=options.limits)
        admit(scan.report, options)
        if scan.document is None:
            raise UnsafeCheckpoint(f"{path} holds no object to convert", report=scan.report)
        return offered(rooted(scan.document, options.limits).document, options)


def _emptied(offer: tuple[str, ...]) -> str:
    return "none of its tensors is selected" if offer else "it holds no tensor"


def _nothing_of(index: Index, file: str, offer: tuple[str, ...], options: Options) -> list[Dropped]:
    """What is left out with a shard that gives nothing. Raises Malformed when the index claims more."""
    claimed = [name for name, where in index.weight_map.items() if where == file]
    if not options.disarm:
        for name in claimed:
            if name not in offer and new_key(name, options) is not None:
                raise Malformed(f"the index says that {file!a} holds {name[:200]!a}, which it does not")
    reasons = dict.fromkeys(claimed, "its shard does not hold it in a form that can be read")
    reasons |= dict.fromkeys(offer, "not selected")
    return [Dropped("tensor", name, reason=reason) for name, reason in reasons.items()]


def convert_shards(index_path: str, dst: str | None, options: Options, jobs: int) -> FolderConversion:
    """Convert every shard that the index at `index_path` names, into the folder `dst` (its own when None).

    Raises what converting a single file raises, Malformed for an index that names what is not there.
    """
    folder = os.path.dirname(index_path)
    target = folder if dst is None else dst
    plan = planned_shards(index_path, options, jobs)
    shards = plan.shards
    new_index = os.path.join(target, new_name(os.path.basename(index_path)))
    outputs = [os.path.join(target, shard.name) for shard in shards]
    make_folder(target)
    try:
        staging = tempfile.mkdtemp(prefix=".safeload-", suffix=".part", dir=target or os.curdir)
    except OSError as error:
        raise output_error(error, target) from error
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, staging, ignore_errors=True)
        _free([*outputs, new_index], options)
        listing = None
        if options.manifest is not None:
            sources = [shard.source for shard in shards] + [outcome.source for outcome in plan.empty]
            listing = stack.enter_context(manifest_output(options, [index_path, *sources, new_index, *outputs]))
        lists = None if listing is None else stack.enter_context(tempfile.TemporaryDirectory(prefix="safeload-"))

        def one(number: int, given: Options) -> Conversion:
            shard = shards[number]
            part = None if lists is None else os.path.join(lists, f"{number}.json")
            own = replace(given, force=False, rename=shard.options.rename, manifest=part)
            return run(shard.source, os.path.join(staging, shard.name), own)

        made = run_all(one, range(len(shards)), options, jobs)
        weight_map = joined(
            dict.fromkeys(_checked(plan.index, shard.file, done, options), shard.name)
            for shard, done in zip(shards, made, strict=True)
        )
        text = index_text(weight_map, sum(done.nbytes for done in made), {})
        if listing is not None and lists is not None:
            parts = [read_manifest(lists, number, path) for number, path in enumerate(outputs)]
            document = of_shards(
                parts, options, source=index_path, source_size=plan.index.size, source_sha256=plan.index.sha256,
                output=new_index, output_raw=text.encode("utf-8"), empty=plan.lost,
            )  # fmt: skip
            _fill(listing, written(document), options)
        _publish(staging, target, listing, (new_index, text), options)
    shown = None if listing is None else listing.shown
    outcomes = tuple(
        Outcome(shard.source, path, replace(_moved(done, target), manifest=None))
        for shard, path, done in zip(shards, outputs, made, strict=True)
    )
    return FolderConversion(folder, target, outcomes, new_index, plan.empty, shown)


def show_manifest(listing: Output, document: Mapping[str, object], options: Options) -> None:
    """Write a manifest, and give it its name."""
    _fill(listing, written(document), options)
    listing.publish(sync=options.sync)


def _free(paths: list[str], options: Options) -> None:
    for path in paths:
        if os.path.lexists(path) and not options.force:
            raise OutputExists(errno.EEXIST, "exists already: --force replaces it", path)


def _checked(index: Index, file: str, done: Conversion, options: Options) -> list[str]:
    """The tensors of one converted shard. Raises Malformed when the old index says that it holds another."""
    stored = tensor_names(done.output)
    known = {*stored, *done.ties}
    # What could not be taken out of the file is listed under its old name.
    lost = {item.name for item in done.dropped if item.what == "tensor"} | {item.place for item in done.dropped}
    for name, where in index.weight_map.items():
        if where == file and name not in lost:
            new = new_key(name, options)
            if new is not None and new not in known:
                raise Malformed(f"the index says that {file!a} holds {name[:200]!a}, which it does not")
    return stored


def _publish(staging: str, target: str, listing: Output | None, index: tuple[str, str], options: Options) -> None:
    """Give the finished files their names, then the manifest, then the index; take back what is new when one fails."""
    given: list[str] = []
    try:
        for name in sorted(os.listdir(staging)):
            path = os.path.join(target, name)
            new = not os.path.lexists(path)
            if not options.force and not new:
                raise FileExistsError(errno.EEXIST, "exists already: it was made meanwhile", path)
            system.replace(os.path.join(staging, name), path)
            given += [path] if new else []
        if listing is not None:
            new = not os.path.lexists(listing.path)
            listing.publish(sync=options.sync)
            given += [listing.path] if new else []
        write_text(*index, options)
    except BaseException as error:
        for path in given:
            with suppress(OSError):
                os.unlink(path)
        if isinstance(error, OSError):
            raise output_error(error, target) from error
        raise


def _moved(done: Conversion, target: str) -> Conversion:
    sidecar = None if done.sidecar is None else os.path.join(target, os.path.basename(done.sidecar))
    return replace(done, output=os.path.join(target, os.path.basename(done.output)), sidecar=sidecar)


def make_folder(path: str) -> None:
    """Make a folder, and those it lies in, where there is none. Raises OutputError."""
    try:
        os.makedirs(path or os.curdir, exist_ok=True)
    except OSError as error:
        raise output_error(error, path) from error


def write_text(path: str, text: str, options: Options) -> None:
    """Write a small file whole or not at all."""
    data = text.encode("utf-8")
    with Output(path, force=options.force, needs=len(data)) as output:
        _fill(output, data, options)
        output.publish(sync=options.sync)


def _fill(output: Output, data: bytes, options: Options) -> None:
    try:
        system.write_at(output.fd, data, 0)
    except OSError as error:
        raise output_error(error, output.shown) from error
    if options.sync:
        output.flush()


def verify_shards(index_path: str, dst: str, options: dict[str, Any]) -> Verification:
    """Compare a converted sharded checkpoint, shard by shard, and its index. Raises as `verify` does."""
    index = read(index_path)
    new_index = dst if dst.endswith(INDEX) else os.path.join(dst, new_name(os.path.basename(index_path)))
    written_index = read(new_index)
    paths = regular_inside(os.path.dirname(new_index), written_index.files)
    outputs = dict(zip(written_index.files, paths, strict=True))
    sources = dict(zip(index.files, regular_inside(os.path.dirname(index_path), index.files), strict=True))
    expected = _expected(index, sources, _recorded(paths), options)
    if sorted(expected.values()) != sorted(written_index.files):
        raise NotEqual("the new index names other shards than the old one gives")
    held: dict[str, str] = {}
    found = []
    for file, name in expected.items():
        found.append(compare(sources[file], outputs[name], **options))
        held |= dict.fromkeys(tensor_names(outputs[name]), name)
    if held != dict(written_index.weight_map):
        raise NotEqual("the index and the shards do not agree on which tensor is where")
    digests = {name: digest for one in found for name, digest in one.digests.items()}
    total = sum(one.nbytes for one in found)
    said = None if any(one.recorded is None for one in found) else dict(found[0].recorded or {})
    return Verification(sum(one.tensors for one in found), total, found[0].library, digests, said)


def _recorded(paths: Sequence[str]) -> dict[str, Any]:
    """The options by which all shards say that they were made. Raises NotEqual when they do not say the same."""
    found = [dict(recorded_options(file_metadata(path)) or {}) for path in paths]
    # Each shard was given the new names of its own tensors.
    renamed = {old: new for options in found for old, new in options.pop("rename", {}).items()}
    if any(options != found[0] for options in found):
        raise NotEqual("the shards do not say that they were converted by the same options")
    return {**found[0], "rename": renamed}


def _expected(
    index: Index, sources: Mapping[str, str], recorded: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, str]:
    """Shard of the old index -> the name of its output, for those that give something. See `planned_shards`."""
    kept = list(index.files)
    known = {name: options[name] for name in ("policy", "limits") if options.get(name) is not None}
    given = Options(**known, **recorded)
    if given.selects or given.disarm:
        kept = [name for name in index.files if gives(_offer(sources[name], given), given)]
    new = renumbered([new_name(name) for name in index.files], {new_name(name) for name in kept})
    return {name: new[new_name(name)] for name in kept}
