"""Which of our zip readers take a file, by the names in its directory. Peeks only, and never raises.

Several loaders may take one archive: it then gets one reading for each. A name is compared as the loader compares it:
torch's reader ignores case and looks below the folder of the first entry; `zipfile` compares exactly, from the root.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import partial

from safeload.containers.zip.end import CENTRAL, LOCAL, find_end, read_end
from safeload.containers.zip.pieces import pieces
from safeload.containers.zip.rules import Notes
from safeload.errors import InputError, Malformed
from safeload.source import Source

TORCH, SCRIPT, PACKAGE, PT2 = "torch-zip", "torchscript", "torch-package", "pt2"
PT2_OLD, MAR, KERAS, SKOPS, SB3, NPZ, SEQUENCE, OTHER = (
    "pt2-before-2.9", "mar", "keras", "skops", "stable-baselines3", "npz", "zip-sequence", "zip",
)  # fmt: skip
FLAVOURS = frozenset({TORCH, SCRIPT, PACKAGE, PT2, PT2_OLD, MAR, KERAS, SKOPS, SB3, NPZ, SEQUENCE, OTHER})

# Bytes of a directory that are looked at. In a larger one the first members decide.
_MOST = 256 << 20
_LENGTHS = struct.Struct("<HHH")

# Flavour -> groups of names below the archive's folder, in lower case. An archive that has all names of one group is of
# that flavour.
_BELOW: tuple[tuple[str, tuple[tuple[bytes, ...], ...]], ...] = (
    (PACKAGE, ((b".data/extern_modules",), (b".data/python_version",))),
    # The loader of AOTInductor asks for no more than the beginning of a name.
    (PT2, ((b"archive_format",), (b"archive_version",), (b"data/aotinductor/",))),
)
_SCRIPT = (b"constants.pkl", b"bytecode.pkl")
# The same for names as `zipfile` finds them.
_AT_ROOT: tuple[tuple[str, tuple[tuple[bytes, ...], ...]], ...] = (
    (PT2_OLD, ((b"serialized_exported_program.json",),)),
    (KERAS, ((b"config.json", b"metadata.json"), (b"config.json", b"model.weights.h5"),
             (b"config.json", b"model.weights.npz"))),
    (SKOPS, ((b"schema.json",),)),
    (SB3, ((b"_stable_baselines3_version",), (b"data", b"policy.pth"))),
)  # fmt: skip


def flavours(source: Source) -> tuple[str, ...]:
    """The names of the containers that read `source`, the one that torch would take first. () when it is no zip.

    torch and numpy recognise a zip by its start, `zipfile` by its end. So a file that is a zip by its end only is read
    as one too, whatever else it is.
    """
    try:
        starts = source.peek(0, 4) == LOCAL
        if not starts and find_end(source) is None:
            return ()
        if starts and pieces(source):
            return (SEQUENCE,)
        try:
            end = read_end(source, Notes(), partial(_peek_all, source))
            directory = source.peek(end.directory, min(end.size, _MOST))
        except Malformed:
            # The reader will say what is wrong with the file; this only has to pick one.
            return (TORCH if starts and b"data" in source.peek(0, 512) else OTHER,)
        return _by_names(directory)
    except InputError:
        return ()


def _peek_all(source: Source, offset: int, length: int) -> bytes:
    """Exactly `length` bytes, without counting them as judged. Raises Malformed for a range outside the input."""
    data = source.peek(offset, length) if length >= 0 else b""
    if len(data) != length:
        raise Malformed("a range lies outside the input", offset=offset)
    return data


def _by_names(directory: bytes) -> tuple[str, ...]:
    """The flavours of an archive with this central directory."""
    # A search in the bytes of the directory is fast. Only where it finds the text are the names walked.
    lowered = directory.lower()
    folder, slash, _ = next(_names(directory), b"").lower().partition(b"/")

    def below(name: bytes) -> bool:
        name = folder + b"/" + name
        # A name that ends with a slash is the beginning of others.
        fits = bytes.startswith if name.endswith(b"/") else bytes.__eq__
        return bool(slash) and name in lowered and any(fits(other.lower(), name) for other in _names(directory))

    def at_root(name: bytes) -> bool:
        return name in directory and any(other == name for other in _names(directory))

    found: list[str] = []
    # torch.load first asks for constants.pkl, and never reads an archive with one as a checkpoint.
    if any(map(below, _SCRIPT)) or (below(b"model.json") and folder + b"/code/" in lowered):
        found.append(SCRIPT)
    elif below(b"data.pkl"):
        found.append(TORCH)
    found.extend(name for name, groups in _BELOW if any(all(map(below, group)) for group in groups))
    if b"mar-inf/" in lowered and any(name.lower().startswith(b"mar-inf/") for name in _names(directory)):
        found.append(MAR)
    found.extend(
        name for name, groups in _AT_ROOT if name not in found and any(all(map(at_root, group)) for group in groups)
    )
    # Keras builds the model from config.json before it misses any other member. A .mar is excepted: it is unpacked, and
    # judged as a folder.
    if found and not {MAR, KERAS} & set(found) and at_root(b"config.json"):
        found.append(KERAS)
    names = _names(directory)
    if not found and next(names, b"").lower().endswith(b".npy") and all(n.lower().endswith(b".npy") for n in names):
        found.append(NPZ)
    return tuple(found) or (OTHER,)


def _names(directory: bytes) -> Iterator[bytes]:
    """The names in a central directory, as bytes."""
    at, unpack = 0, _LENGTHS.unpack_from
    while directory.startswith(CENTRAL, at) and at + 46 <= len(directory):
        names, extra, note = unpack(directory, at + 28)
        yield directory[at + 46 : at + 46 + names]
        at += 46 + names + extra + note
