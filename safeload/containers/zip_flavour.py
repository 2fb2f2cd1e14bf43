"""Which of the five zip readers takes a file, by the names in its directory. Peeks only, and never raises.

One function decides for all five, so that a file has exactly one of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from safeload.containers.zip_end import CENTRAL, LOCAL, find_end, read_end
from safeload.containers.zip_pieces import pieces
from safeload.containers.zip_rules import Notes
from safeload.errors import InputError, Malformed
from safeload.source import Source

TORCH, SCRIPT, NPZ, SEQUENCE, OTHER = "torch-zip", "torchscript", "npz", "zip-sequence", "zip"
FLAVOURS = frozenset({TORCH, SCRIPT, NPZ, SEQUENCE, OTHER})

# A directory is looked at up to here; a file with a larger one is read by what its first members are.
_MOST = 256 << 20
_LENGTHS = struct.Struct("<HHH")


class _Peeking:
    """A Source whose reads are not remembered as judged."""

    __slots__ = ("source",)

    def __init__(self, source: Source) -> None:
        self.source = source

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def size(self) -> int:
        return self.source.size

    def read(self, offset: int, length: int) -> bytes:
        data = self.source.peek(offset, length) if 0 <= offset <= self.size and length >= 0 else b""
        if len(data) != length:
            raise Malformed("a range lies outside the input", offset=offset)
        return data

    def peek(self, offset: int, length: int) -> bytes:
        return self.source.peek(offset, length)

    def judged_sha256(self) -> str:
        return self.source.judged_sha256()

    def close(self) -> None:
        """Nothing of its own to close."""


def flavour(source: Source) -> str | None:
    """The name of the container that reads `source`, None when it is no zip.

    A file is a zip when it starts like one (torch, numpy) or ends like one (`zipfile`): a file that is one by its end
    only is read as a zip too, whatever else it is.
    """
    try:
        starts = source.peek(0, 4) == LOCAL
        if not starts and find_end(source) is None:
            return None
        if starts and pieces(source):
            return SEQUENCE
        try:
            end = read_end(_Peeking(source), Notes())
            directory = source.peek(end.directory, min(end.size, _MOST))
        except Malformed:
            # Its reader will say what is wrong with it.
            return TORCH if starts and b"data" in source.peek(0, 512) else OTHER
        return _by_names(directory)
    except InputError:
        return None


def _by_names(directory: bytes) -> str:
    """The flavour of an archive with this central directory."""
    # Looking for the text first spares walking through the names of a large directory.
    lowered = directory.lower()
    folder, slash, _ = next(_names(directory), b"").partition(b"/")

    def holds(name: bytes) -> bool:
        name = folder + b"/" + name
        return bool(slash) and name in lowered and any(other == name for other in _names(directory))

    if holds(b"constants.pkl") or (holds(b"model.json") and folder + b"/code/" in lowered):
        return SCRIPT
    if holds(b"data.pkl"):
        return TORCH
    names = _names(directory)
    if next(names, b"").endswith(b".npy") and all(name.endswith(b".npy") for name in names):
        return NPZ
    return OTHER


def _names(directory: bytes) -> Iterator[bytes]:
    """The names in a directory, in lower case: torch compares them without regard to case."""
    at, unpack = 0, _LENGTHS.unpack_from
    while directory.startswith(CENTRAL, at) and at + 46 <= len(directory):
        names, extra, note = unpack(directory, at + 28)
        yield directory[at + 46 : at + 46 + names].lower()
        at += 46 + names + extra + note
