"""Which form of conversion is meant: a file, a file in shards, a sharded checkpoint, a folder of checkpoints.

Here are the public `convert` and `verify`. Each form has a file of its own; this one only chooses between them, and
names outputs that the caller did not.
"""

from __future__ import annotations

import os
from typing import Any

from safeload.converting.interface import Conversion, Options, Verification
from safeload.converting.many.folder import (
    FolderConversion,
    convert_shards,
    find_index,
    is_index,
    make_folder,
    new_name,
    verify_shards,
)
from safeload.converting.many.recursive import convert_each
from safeload.converting.many.sharded import compare_sharded, convert_sharded
from safeload.converting.many.shards import INDEX, parse_size
from safeload.converting.single import compare, run
from safeload.errors import UsageError

_ONE = ("pytorch_model.bin", "diffusion_pytorch_model.bin")
"""What a folder without an index holds when it is one unsharded model."""


def convert(
    src: Any,
    dst: str | os.PathLike[str] | None = None,
    *,
    max_shard_size: int | str | None = None,
    recursive: bool = False,
    jobs: int = 1,
    **options: Any,
) -> Conversion | FolderConversion:
    """Convert the checkpoint `src` into safetensors, and verify the result, without running anything in it. No torch.

    Whatever is raised, no new file is left behind, and an old one is as it was.

    Args:
        src: A path, the bytes themselves, or a binary file object; or the path of a folder (or index) of a sharded
            checkpoint; or with `recursive` a folder of checkpoints. The index of safetensors shards is one checkpoint:
            the output is one file, or split anew.
        dst: The path of the output. It is refused when it exists (unless `force`) or is the source. None: beside the
            source, under its name with the suffix .safetensors. For a folder, a folder.
        max_shard_size: Bytes, or a text as "5GB": an output that is larger is split into shards and an index.
        recursive: `src` is a folder of checkpoints: convert each.
        jobs: How many files of a folder are converted at a time.
        options: The fields of `safeload.converting.interface.Options`, as `force`, `dtype`, `keys`, `policy`, `limits`.

    Returns:
        A `Conversion`. For the shards of a folder and with `recursive` a `FolderConversion`, whose outcomes hold the
        errors of single files.

    Raises:
        UnsafeCheckpoint: The verdict does not allow it (with `.report`).
        NotConvertible: The format cannot hold it: name collisions, keys that are no text, a header over 100 MB.
        OutputError: The output cannot be written (an OSError); OutputExists when it is there already.
        InputError: The source cannot be read, or changed meanwhile (an OSError).
        NotEqual: Verification found a difference.
        MissingExtra: numpy or safetensors is not installed.
        UsageError: An option has no meaning.

    Example:
        >>> safeload.convert("model.pt", "model.safetensors").output
        'model.safetensors'
    """
    return _convert(src, dst, Options(**options), max_shard_size, recursive, jobs)


def _convert(
    src: Any,
    dst: str | os.PathLike[str] | None,
    options: Options,
    max_shard_size: int | str | None,
    recursive: bool,
    jobs: int,
) -> Conversion | FolderConversion:
    most = None if max_shard_size is None else parse_size(max_shard_size)
    path = os.fspath(src) if isinstance(src, str | os.PathLike) else None
    target = None if dst is None else os.fspath(dst)
    if path is not None and (os.path.isdir(path) or is_index(path)):
        return _folder(path, target, options, most, recursive, jobs)
    if recursive:
        raise UsageError("recursive takes a folder")
    if target is None:
        if path is None:
            raise UsageError("a destination is needed: the input has no name of its own")
        target = os.path.join(os.path.dirname(path), _named(path))
    elif os.path.isdir(target) or target.endswith((os.sep, "/")):
        if path is None:
            raise UsageError(f"{target!r} is a folder: name a file in it")
        make_folder(target)
        target = os.path.join(target, _named(path))
    return run(src, target, options) if most is None else convert_sharded(src, target, options, most)


def _named(path: str) -> str:
    """The name of the output for `path`; what an index leads to becomes one file."""
    return new_name(os.path.basename(path).removesuffix(INDEX))


def _folder(
    path: str, dst: str | None, options: Options, most: int | None, recursive: bool, jobs: int
) -> Conversion | FolderConversion:
    if most is not None and not _single(path):
        raise UsageError("the shards of a folder keep their sizes: max_shard_size is for a single file")
    if dst is not None and os.path.lexists(dst) and not os.path.isdir(dst) and not _single(path):
        raise UsageError(f"{dst!r} is a file, and a folder is converted into a folder")
    if recursive and os.path.isdir(path):
        return convert_each(path, dst, options, jobs)
    index = path if is_index(path) else find_index(path)
    if index is not None:
        return convert_shards(index, dst, options, jobs)
    single = _single(path)
    if single is None:
        raise UsageError(
            f"the folder {path!r} holds no index of shards (pytorch_model.bin.index.json) and no pytorch_model.bin: "
            "--recursive converts every checkpoint below it"
        )
    if dst is not None:
        make_folder(dst)
    return _convert(single, os.path.dirname(single) if dst is None else dst, options, most, False, 1)


def _single(folder: str) -> str | None:
    """The one file of an unsharded model in `folder`."""
    if not os.path.isdir(folder) or find_index(folder) is not None:
        return None
    return next((path for name in _ONE if os.path.isfile(path := os.path.join(folder, name))), None)


def verify(src: Any, dst: str | os.PathLike[str], **options: Any) -> Verification:
    """Compare the safetensors file `dst` with the checkpoint `src` it was made from, from the two files alone.

    The source is judged and planned again by what `dst` records of its conversion. Then every name, type, shape,
    metadata entry and byte is compared.

    Args:
        src: The source, as for `convert`.
        dst: The path of the output, or of the index of its shards; `src` is then the file or index they were made from.
        options: `policy`, `limits`, `progress`, and for a single file `digests=True` for the sha256 of each tensor.

    Returns:
        A `Verification`: what was compared.

    Raises:
        NotEqual: Anything differs. What else is raised is as for `convert`.

    Example:
        >>> done = safeload.convert("model.pt", "model.safetensors")
        >>> safeload.verify("model.pt", "model.safetensors").tensors
        1
    """
    return _verify(src, dst, options)


def _verify(src: Any, dst: str | os.PathLike[str], options: dict[str, Any]) -> Verification:
    path = os.fspath(src) if isinstance(src, str | os.PathLike) else None
    target = os.fspath(dst)
    if path is not None and (os.path.isdir(path) or is_index(path)):
        index = path if is_index(path) else find_index(path)
        if index is not None:
            return verify_shards(index, target, options)
        single = _single(path)
        if single is None:
            raise UsageError(f"the folder {path!r} holds no sharded checkpoint: name a file")
        src, path = single, single
    if os.path.isdir(target) and path is not None:
        target = os.path.join(target, new_name(os.path.basename(path)))
        if not os.path.lexists(target) and os.path.lexists(target + INDEX):
            target += INDEX
    if target.endswith(INDEX):
        return compare_sharded(src, target, options)
    return compare(src, target, **options)
