"""Shows that a file is hostile: opens it in a child process as an ordinary program would, and sees what happens.

`Opener.TORCH` is torch.load as it was before weights_only; `Opener.ANY` unpacks what is packed and hands every piece
to pickle, numpy or joblib. Both look their loaders up when they are called, so that a tool that guards them stands
between.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from payloads import MARK
from process import Outcome, run

PACKED: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x1f\x8b", gzip.decompress),
    (b"BZh", bz2.decompress),
    (b"\xfd7zXZ", lzma.decompress),
    (b"\x5d\0\0", lzma.decompress),
    (b"x", zlib.decompress),
)
SAID = "safeload-sample"
CLEARLY_TORCH = (".pt", ".pth", ".ckpt", ".bin", ".t7", ".tar")


class Opener(StrEnum):
    """How a file is opened."""

    TORCH = "torch"
    ANY = "any"


def by_torch(path: Path) -> object:
    """As every program did until 2024."""
    import torch

    return torch.load(path, map_location="cpu", weights_only=False)


def streams(data: bytes) -> list[object]:
    """Every pickle in a row."""
    file, found = io.BytesIO(data), []
    while file.tell() < len(data):
        found.append(pickle.load(file))
    return found


def by_numpy(data: bytes) -> object:
    """One .npy, or all arrays of an .npz."""
    import numpy

    held = numpy.load(io.BytesIO(data), allow_pickle=True)
    return [held[key] for key in held] if hasattr(held, "files") else held


def members(data: bytes) -> Iterable[bytes]:
    """What an archive holds: nothing if it is none."""
    with suppress(Exception), zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [archive.read(entry) for entry in archive.infolist()]
    with suppress(Exception), tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return [held.read() for entry in archive if (held := archive.extractfile(entry))]
    return []


def anyhow(data: bytes, depth: int = 0) -> object:
    """Unpack and load; what cannot be read does not keep the next piece from being read."""
    for magic, unpack in PACKED:
        if data.startswith(magic):
            return anyhow(unpack(data), depth + 1)
    if data.startswith(b"\x93NUMPY"):
        return by_numpy(data)
    pieces = list(members(data)) if depth < 6 else []
    if pieces:
        found = []
        for piece in pieces:
            with suppress(Exception):
                found.append(anyhow(piece, depth + 1))
        return found
    return streams(data)


def opened(path: Path, opener: Opener) -> object:
    """The object, as that program gets it."""
    if opener is Opener.TORCH:
        return by_torch(path)
    if path.suffix == ".joblib":
        import joblib

        return joblib.load(path)
    if path.suffix in (".npy", ".npz"):
        return by_numpy(path.read_bytes())
    return anyhow(path.read_bytes())


def fired(outcome: Outcome) -> bool:
    """Whether the payload ran."""
    return SAID in outcome.printed or any(name.startswith((MARK, f"{SAID}-ran")) for name in outcome.left)


def openers(path: Path) -> tuple[Opener, ...]:
    """Both, the likelier first."""
    both = (Opener.TORCH, Opener.ANY)
    return both if path.suffix.lower() in CLEARLY_TORCH else both[::-1]


def proven(path: Path) -> Opener | None:
    """The way in which opening the file runs its payload, if there is one."""
    for opener in openers(path):
        if fired(run(lambda opener=opener: type(opened(path, opener)).__name__)):
            return opener
    return None
