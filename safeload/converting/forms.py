"""Which form of conversion is meant: a file, a file in shards, a sharded checkpoint, a folder of checkpoints.

Each form has a file of its own; this one only chooses between them, and names outputs that the caller did not.
"""

from __future__ import annotations

import os
from typing import Any

from safeload.converting.engine import compare, run
from safeload.converting.folder import (
    FolderConversion,
    convert_shards,
    find_index,
    is_index,
    make_folder,
    new_name,
    verify_shards,
)
from safeload.converting.interface import Conversion, Options, Verification
from safeload.converting.recursive import convert_each
from safeload.converting.sharded import compare_sharded, convert_sharded
from safeload.converting.shards import INDEX, parse_size
from safeload.errors import UsageError

_ONE = ("pytorch_model.bin", "diffusion_pytorch_model.bin")
"""What a folder without an index holds when it is one unsharded model."""


def convert_any(
    src: Any,
    dst: str | os.PathLike[str] | None,
    options: Options,
    *,
    max_shard_size: int | str | None = None,
    recursive: bool = False,
    jobs: int = 1,
) -> Conversion | FolderConversion:
    """See `safeload.converting.convert`."""
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
        target = os.path.join(os.path.dirname(path), new_name(os.path.basename(path)))
    elif os.path.isdir(target) or target.endswith((os.sep, "/")):
        if path is None:
            raise UsageError(f"{target!r} is a folder: name a file in it")
        make_folder(target)
        target = os.path.join(target, new_name(os.path.basename(path)))
    return run(src, target, options) if most is None else convert_sharded(src, target, options, most)


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
    return convert_any(single, os.path.dirname(single) if dst is None else dst, options, max_shard_size=most)


def _single(folder: str) -> str | None:
    """The one file of an unsharded model in `folder`."""
    if not os.path.isdir(folder) or find_index(folder) is not None:
        return None
    return next((path for name in _ONE if os.path.isfile(path := os.path.join(folder, name))), None)


def verify_any(src: Any, dst: str | os.PathLike[str], options: dict[str, Any]) -> Verification:
    """See `safeload.converting.verify`."""
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
