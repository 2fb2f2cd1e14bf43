"""Document -> safetensors: the bytes of a vetted checkpoint moved into a file that needs no unpickler. No torch.

`gate.py` decides what may be converted, `plan.py` what lies where, `writer.py` moves bytes, `verify.py` compares them
by code of its own, `output.py` shows the finished file under its name, `engine.py` is the order of it all. Further
forms (`sharded.py`, `folder.py`, `recursive.py`) are made of its parts, and `forms.py` chooses between them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from safeload.converting.interface import Conversion, Options, Verification

if TYPE_CHECKING:
    from safeload.converting.folder import FolderConversion

__all__ = ["Conversion", "Options", "Verification", "convert", "verify"]


def convert(
    src: Any,
    dst: str | os.PathLike[str] | None = None,
    *,
    max_shard_size: int | str | None = None,
    recursive: bool = False,
    jobs: int = 1,
    **options: Any,
) -> Conversion | FolderConversion:
    """Convert the checkpoint `src` into the safetensors file `dst`, and verify it, without running anything in it.

    src      a path, the bytes themselves or a binary file object; or the path of a folder (or index) of a sharded
             checkpoint; or with `recursive` a folder of checkpoints
    dst      path of the output; refused when it exists (unless `force`) or is the source. None: beside the source,
             under its name with the suffix .safetensors. For a folder, a folder
    options  the fields of `Options`
    max_shard_size  bytes, or as "5GB": split the output, when it is larger, into shards and an index
    jobs     files of a folder that are converted at a time

    Gives a Conversion, and a FolderConversion for shards of a folder and with `recursive`, where the errors of single
    files are in its outcomes. Otherwise raises UnsafeCheckpoint (with `.report`) when the verdict does not allow it,
    NotConvertible for what the format cannot hold (name collisions, keys that are no text, a header over 100 MB),
    OutputError (OutputExists) when the output cannot be written, InputError when the source cannot be read or changed
    meanwhile, NotEqual when verification found a difference, MissingExtra without numpy and safetensors, UsageError for
    options without a meaning. Whatever is raised, no new file is left behind and an old one is as it was.
    """
    from safeload.converting.forms import convert_any

    return convert_any(src, dst, Options(**options), max_shard_size=max_shard_size, recursive=recursive, jobs=jobs)


def verify(src: Any, dst: str | os.PathLike[str], **options: Any) -> Verification:
    """Compare the safetensors file `dst` with the checkpoint `src` it was made from, from the two files alone.

    The source is judged and planned again by what `dst` records of its conversion; then every name, type, shape,
    metadata entry and byte is compared. `dst` may be the index of shards, `src` then the file or index they were made
    from. `options`: `policy`, `limits`, `progress`, and for a single file `digests=True` for sha256s.

    Raises as `convert` does: NotEqual for any difference.
    """
    from safeload.converting.forms import verify_any

    return verify_any(src, dst, options)
