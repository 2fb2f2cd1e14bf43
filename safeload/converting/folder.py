"""A folder with a sharded checkpoint: every shard converted, then one new index over the results.

Shards are converted and verified in a hidden folder beside their destination and take their names together, the index
last: a reader that goes by the index never sees half of a model. Whatever fails, that folder goes away again.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from safeload.converting import system
from safeload.converting.engine import run
from safeload.converting.interface import Conversion, Options, Verification
from safeload.converting.output import Output, output_error
from safeload.converting.parallel import run_all
from safeload.converting.shards import INDEX, SUFFIX, Index, index_text, joined, read_index
from safeload.errors import InputError, InputNotFound, Malformed, NotConvertible, NotEqual, OutputExists, UsageError
from safeload.inputs.walk import walk

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
    """What became of the files of a folder. `index`: of a sharded checkpoint, the path of the new index."""

    source: str
    output: str
    outcomes: tuple[Outcome, ...]
    index: str | None = None

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


def convert_shards(index_path: str, dst: str | None, options: Options, jobs: int) -> FolderConversion:
    """Convert every shard that the index at `index_path` names, into the folder `dst` (its own when None).

    Raises what converting a single file raises, Malformed for an index that names what is not there.
    """
    folder = os.path.dirname(index_path)
    target = folder if dst is None else dst
    if options.keys or options.rename or options.manifest is not None:
        raise UsageError("--keys, --rename and --manifest are for single files: convert the shards one by one")
    index = read(index_path)
    sources = regular_inside(folder, index.files)
    names = [new_name(name) for name in index.files]
    if len(set(map(os.path.normcase, names))) < len(names):
        raise NotConvertible("two shards of the index would have one name as safetensors files: rename one of them")
    new_index = os.path.join(target, new_name(os.path.basename(index_path)))
    make_folder(target)
    try:
        staging = tempfile.mkdtemp(prefix=".safeload-", suffix=".part", dir=target or os.curdir)
    except OSError as error:
        raise output_error(error, target) from error
    try:
        _free([*(os.path.join(target, name) for name in names), new_index], options)

        def one(job: tuple[str, str], given: Options) -> Conversion:
            return run(job[0], os.path.join(staging, job[1]), given)

        pairs = list(zip(sources, names, strict=True))
        made = run_all(one, pairs, replace(options, force=False), jobs)
        weight_map = joined(
            dict.fromkeys(_checked(index, file, done, options), name)
            for file, name, done in zip(index.files, names, made, strict=True)
        )
        text = index_text(weight_map, sum(done.nbytes for done in made), {})
        _publish(staging, target, options)
        write_text(new_index, text, options)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    outcomes = tuple(
        Outcome(source, os.path.join(target, name), _moved(done, target))
        for (source, name), done in zip(pairs, made, strict=True)
    )
    return FolderConversion(folder, target, outcomes, new_index)


def read(path: str) -> Index:
    """See `read_index`; raises InputError too."""
    try:
        return read_index(path)
    except FileNotFoundError as error:
        raise InputNotFound(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
    except OSError as error:
        raise InputError(error.errno, error.strerror, path) from error


def regular_inside(folder: str, names: tuple[str, ...]) -> list[str]:
    """The path of each shard. SECURITY: by the rules of a scan of the folder, which follows no link that leads out."""
    top = folder or os.curdir
    found = {target.path: target for target in walk([top])}
    paths = []
    for name in names:
        target = found.get(os.path.join(top, name))
        if target is None:
            raise InputNotFound(errno.ENOENT, "is named by the index and is not there", os.path.join(folder, name))
        if target.problem is not None or target.skip:
            reason = target.skip or (target.problem.message if target.problem is not None else "")
            raise Malformed(f"the shard {name!a} is not read: {reason}")
        paths.append(os.path.join(folder, name))
    return paths


def _free(paths: list[str], options: Options) -> None:
    for path in paths:
        if os.path.lexists(path) and not options.force:
            raise OutputExists(errno.EEXIST, "exists already: --force replaces it", path)


def _checked(index: Index, file: str, done: Conversion, options: Options) -> list[str]:
    """The tensors of one converted shard. Raises Malformed when the old index says that it holds another."""
    stored = tensor_names(done.output)
    known = {*stored, *done.ties}
    prefix = options.strip_prefix
    for name, where in index.weight_map.items():
        if where == file and name.removeprefix(prefix) not in known:
            raise Malformed(f"the index says that {file!a} holds {name[:200]!a}, which it does not")
    return stored


def tensor_names(path: str) -> list[str]:
    """The names in a safetensors file, as the library reads them."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return list(file.keys())


def _publish(staging: str, target: str, options: Options) -> None:
    """Give the finished files their names, taking back those given when one cannot be."""
    given: list[str] = []
    try:
        for name in sorted(os.listdir(staging)):
            path = os.path.join(target, name)
            if not options.force and os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, "exists already: it was made meanwhile", path)
            system.replace(os.path.join(staging, name), path)
            given.append(path)
    except OSError as error:
        for path in given:
            with suppress(OSError):
                os.unlink(path)
        raise output_error(error, target) from error


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
        try:
            system.write_at(output.fd, data, 0)
        except OSError as error:
            raise output_error(error, path) from error
        if options.sync:
            output.flush()
        output.publish(sync=options.sync)


def verify_shards(index_path: str, dst: str, options: dict[str, Any]) -> Verification:
    """Compare a converted sharded checkpoint, shard by shard, and its index. Raises as `verify` does."""
    from safeload.converting.engine import compare

    index = read(index_path)
    new_index = dst if dst.endswith(INDEX) else os.path.join(dst, new_name(os.path.basename(index_path)))
    written = read(new_index)
    expected = [new_name(name) for name in index.files]
    if sorted(expected) != sorted(written.files):
        raise NotEqual("the new index names other shards than the old one gives")
    sources = regular_inside(os.path.dirname(index_path), index.files)
    outputs = dict(zip(written.files, regular_inside(os.path.dirname(new_index), written.files), strict=True))
    held: dict[str, str] = {}
    found = []
    for source, name in zip(sources, expected, strict=True):
        found.append(compare(source, outputs[name], **options))
        held |= dict.fromkeys(tensor_names(outputs[name]), name)
    if held != dict(written.weight_map):
        raise NotEqual("the index and the shards do not agree on which tensor is where")
    digests = {name: digest for one in found for name, digest in one.digests.items()}
    return Verification(sum(one.tensors for one in found), sum(one.nbytes for one in found), found[0].library, digests)
