"""Document -> safetensors: the bytes of a vetted checkpoint moved into a file that needs no unpickler. No torch.

`gate.py` decides what may be converted, `plan.py` what lies where, `writer.py` moves bytes, `verify.py` compares them
by code of its own, `output.py` shows the finished file under its name, `engine.py` is the order of it all. A further form of
output (shards, folders) is built from `opened` and `staged` of `engine.py`.
"""

from __future__ import annotations

import os
from typing import Any

from safeload.converting.interface import Conversion, Options, Verification

__all__ = ["Conversion", "Options", "Verification", "convert", "verify"]


def convert(src: Any, dst: str | os.PathLike[str], **options: Any) -> Conversion:
    """Convert the checkpoint `src` into the safetensors file `dst`, and verify it, without running anything in it.

    src      a path, the bytes themselves or a binary file object
    dst      path of the output; refused when it exists (unless `force`) or is the source
    options  the fields of `Options`

    Raises UnsafeCheckpoint (with `.report`) when the verdict does not allow it, NotConvertible for what the format
    cannot hold (name collisions, keys that are no text, a header over 100 MB), OutputError (OutputExists) when the
    output cannot be written, InputError when the source cannot be read or changed meanwhile, NotEqual when verification
    found a difference, MissingExtra without numpy and safetensors, UsageError for options without a meaning. Whatever
    is raised, no new file is left behind and an old one is as it was.
    """
    from safeload.converting.engine import run

    return run(src, dst, Options(**options))


def verify(src: Any, dst: str | os.PathLike[str], **options: Any) -> Verification:
    """Compare the safetensors file `dst` with the checkpoint `src` it was made from, from the two files alone.

    The source is judged and planned again by what `dst` records of its conversion; then every name, type, shape,
    metadata entry and byte is compared. `options`: `policy`, `limits`, `progress`, and `digests=True` for sha256s.

    Raises as `convert` does: NotEqual for any difference.
    """
    from safeload.converting.engine import compare

    return compare(src, dst, **options)
