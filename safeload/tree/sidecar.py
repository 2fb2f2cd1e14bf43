"""Where the text of a tree is: in the metadata of its safetensors file, or in a file of its own beside it.

The name of that file follows from the name of the safetensors file and from nothing in it; its bytes are bound by a
digest in the metadata.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from safeload.errors import InputError, LimitExceeded, Malformed
from safeload.inputs import FileSource
from safeload.limits import Limits
from safeload.source import Source
from safeload.tree.interface import DIGEST_KEY, KEY, SIDECAR


class Unbound(Exception):
    """A tree that lies beside its file is missing, or is not the one that the file names. Never leaves safeload."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Found(NamedTuple):
    """The text of a tree, and the place to report for it: the metadata key or the name of the file."""

    text: str
    place: str


def sidecar_path(path: Path) -> Path:
    """Where the tree of the safetensors file at `path` lies when it does not fit into the header."""
    return path.with_suffix(SIDECAR)


def binding(data: bytes) -> str:
    """The value of DIGEST_KEY for a tree of these bytes (UTF-8)."""
    return f"{hashlib.sha256(data).hexdigest()} {len(data)}"


def found(source: Source, metadata: Mapping[str, str], limits: Limits) -> Found | None:
    """The tree that `metadata` holds or names; None when it speaks of none.

    Raises Malformed, LimitExceeded, or Unbound for a tree beside the file that cannot be had.
    """
    bound = metadata.get(DIGEST_KEY)
    if KEY in metadata:
        if bound is not None:
            raise Malformed("the metadata holds a tree and names another")
        return Found(_bounded(metadata[KEY], limits), KEY)
    return None if bound is None else _beside(source, bound, limits)


def _bounded(text: str, limits: Limits) -> str:
    if len(text) > limits.tree_bytes:
        raise LimitExceeded(f"a tree of {len(text)} bytes", limit="tree_bytes")
    return text


def _beside(source: Source, bound: str, limits: Limits) -> Found:
    if re.fullmatch(r"[0-9a-f]{64} [0-9]{1,15}", bound) is None:
        raise Malformed("the metadata names a tree by no digest and length")
    if not isinstance(source, FileSource):
        raise Unbound("its tree lies in a file beside it, and only a file given by its path has one")
    path = sidecar_path(Path(source.path))
    length = int(bound.partition(" ")[2])
    if length > limits.tree_bytes:
        raise LimitExceeded(f"a tree of {length} bytes", limit="tree_bytes")
    try:
        beside = FileSource(path)
        try:
            if beside.size != length:
                raise Unbound(f"the file {path.name} beside it has {beside.size} bytes, and its tree has {length}")
            data = beside.read(0, length)
        finally:
            beside.close()
    except InputError as error:
        raise Unbound(f"its tree in {path.name} cannot be read ({error.strerror})") from error
    if binding(data) != bound:
        raise Unbound(f"the file {path.name} beside it is not the tree that it names: their digests differ")
    try:
        return Found(data.decode("utf-8"), path.name)
    except UnicodeDecodeError as error:
        raise Malformed("the tree is no UTF-8", offset=error.start) from error
