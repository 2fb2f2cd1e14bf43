"""Does the output hold what the source holds? Answered by reading both again, with no code of the writer's.

The safetensors library says which names, types and shapes the file has; our own reader of the format says where their
bytes are; every byte is then compared with the source, in pieces of a fixed size. Elements that lie apart in the source
are gathered, and casts are not computed again: each result is held against its two neighbours instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from safeload.containers.interface import Layout
from safeload.containers.safetensors_file import Safetensors
from safeload.converting.encoding import CODES
from safeload.converting.gathered import Boxes
from safeload.converting.interface import Stored, Verification
from safeload.converting.nearest import nearest
from safeload.converting.reread import Bytes, bytes_of
from safeload.errors import LimitExceeded, Malformed, MissingExtra, NotEqual
from safeload.findings import Finding
from safeload.limits import Limits
from safeload.source import Source

Array = npt.NDArray[Any]
Told = Callable[[int], None]

_CHUNK = 128 << 10


def library_says(path: str, tensors: Mapping[str, Stored]) -> str:
    """The name of the safetensors library, after it opened the file and found just `tensors` in it."""
    try:
        import safetensors
    except ImportError as error:
        raise MissingExtra("conversion needs safetensors: pip install 'safeload[convert]'") from error
    opened: Any = safetensors.safe_open
    try:
        # Reads by position where the library can: its other way is a map of the file.
        try:
            file = opened(path, framework="numpy", backend="pread")
        except TypeError:
            file = opened(path, framework="numpy")
        with file as reader:
            names = set(reader.keys())
            if names != set(tensors):
                odd = sorted(names ^ set(tensors))[0]
                raise NotEqual(f"the safetensors library finds other names in the output, first {odd[:200]!a}")
            for name, stored in tensors.items():
                part = reader.get_slice(name)
                found = (part.get_dtype(), tuple(part.get_shape()))
                if found != (CODES[stored.dtype], stored.shape):
                    raise NotEqual(
                        f"{name[:200]!a} should be {CODES[stored.dtype]} {stored.shape} and is {found[0]} {found[1]}"
                    )
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise NotEqual(f"the safetensors library does not read the output: {error}") from error
    return f"safetensors {safetensors.__version__}"


def declared(source: Source, limits: Limits) -> Layout:
    """What the header of an output declares, by our own reader of the format. Raises NotEqual for what is wrong."""
    reading = Safetensors().read(source, limits)
    try:
        while True:
            part = next(reading)
            if isinstance(part, Finding):
                raise NotEqual(f"the header of the output is faulty: {part.message}")
    except StopIteration as stop:
        found: Layout = stop.value
        return found
    except (Malformed, LimitExceeded) as error:
        raise NotEqual(f"the header of the output cannot be read: {error.message}") from error


def compare(
    tensors: Mapping[str, Stored],
    output: Source,
    path: str,
    folder: str,
    *,
    limits: Limits,
    told: Told,
    digests: bool = False,
    ready: Callable[[int], None] = lambda index: None,
) -> Verification:
    """Compare every tensor of `output`, a safetensors file, with its source. Raises NotEqual for a difference.

    path     where the library can open the output
    folder   for compressed storages, laid open
    ready    waits until the tensor of that number, in the order of the file, may be read
    """
    library = library_says(path, tensors)
    storages = declared(output, limits).storages
    if set(storages) != set(tensors):
        raise NotEqual("the output holds other tensors than it should")
    done = 0
    found: dict[str, str] = {}
    with ExitStack() as stack:
        compared = _Comparison(output, folder, stack)
        # Of tensors that begin at one place, empty ones come first, as their bytes do.
        order = sorted(tensors.values(), key=lambda stored: (storages[stored.name].offset, stored.nbytes))
        for index, stored in enumerate(order):
            extent = storages[stored.name]
            if extent.size != stored.nbytes:
                raise NotEqual(f"{stored.name[:200]!a} has {extent.size} bytes and should have {stored.nbytes}")
            digest = hashlib.sha256() if digests else None
            ready(index)
            compared.tensor(stored, extent.offset, digest)
            if digest is not None:
                found[stored.name] = digest.hexdigest()
            done += stored.nbytes
            told(done)
    return Verification(len(tensors), done, library, found)


class _Comparison:
    """Compares tensors of one output."""

    def __init__(self, output: Source, folder: str, stack: ExitStack) -> None:
        self._output = bytes_of(output, None, folder, stack)
        self._folder = folder
        self._stack = stack
        self._storages: dict[tuple[int, int], Bytes] = {}
        self._mine, self._theirs = bytearray(_CHUNK), bytearray(_CHUNK)
        self._left, self._right = memoryview(self._mine), memoryview(self._theirs)

    def tensor(self, stored: Stored, offset: int, digest: Any) -> None:
        """Compare one tensor, whose bytes in the output begin at `offset`."""
        if not stored.nbytes:
            return
        piece = stored.piece
        key = (id(piece.document), piece.extent.offset)
        source = self._storages.get(key)
        if source is None:
            source = bytes_of(piece.document.source, piece.extent, self._folder, self._stack)
            if not piece.extent.stored:
                self._storages[key] = source
        if piece.unit == 1 and stored.source is None and not stored.negated and _in_a_row(stored):
            self._same(stored.name, source, piece.start, offset, stored.nbytes, digest)
            return
        for start, mine, theirs in Boxes(stored, source, self._output, offset):
            if not _agree(stored, mine, theirs):
                raise _differs(stored.name, start)
        if digest is not None:
            for start in range(0, stored.nbytes, _CHUNK):
                digest.update(self._output.read(offset + start, min(_CHUNK, stored.nbytes - start)))

    def _same(self, name: str, source: Bytes, start: int, offset: int, length: int, digest: Any) -> None:
        mine, theirs = self._mine, self._theirs
        left, right = self._left, self._right
        for done in range(0, length, _CHUNK):
            size = min(_CHUNK, length - done)
            source.fill(start + done, left[:size])
            self._output.fill(offset + done, right[:size])
            # Both are compared whole: behind `size` stands what was found equal before.
            if mine != theirs:
                raise _differs(name, done + next(at for at in range(size) if mine[at] != theirs[at]))
            if digest is not None:
                digest.update(right[:size])


def _in_a_row(stored: Stored) -> bool:
    """Whether the elements lie in C order without gaps."""
    step = 1
    for size, stride in zip(reversed(stored.piece.shape), reversed(stored.piece.stride), strict=True):
        if size > 1 and stride != step:
            return False
        step *= size
    return True


def _differs(name: str, at: int) -> NotEqual:
    return NotEqual(
        f"the output differs from the source in {name[:200]!a} near byte {at} of it: the source changed while it was "
        "read, or the disk is faulty"
    )


def _agree(stored: Stored, mine: Array, theirs: Array) -> bool:
    """Whether elements of the source (n x width bytes) gave those of the output."""
    unit = stored.piece.unit
    if unit > 1:
        mine = mine.reshape(-1, unit)[:, ::-1].reshape(mine.shape)
    if stored.negated:
        halves = mine.shape[1] // _halves(stored)
        mine = mine.copy().reshape(-1, halves)
        # The sign is the highest bit of the last byte of each float.
        every, first = (1, 0) if stored.negated == "neg" else (2, stored.negated != "conj-neg")
        mine[int(first) :: every, -1] ^= 0x80
        mine = mine.reshape(-1, theirs.shape[1] if stored.source is None else stored.piece.width)
    if stored.source is not None:
        return nearest(np.ascontiguousarray(mine), stored.source, np.ascontiguousarray(theirs), stored.dtype)
    return bool(np.array_equal(mine, theirs))


def _halves(stored: Stored) -> int:
    """Floats in one element: 2 for complex64 and for the types that stand as pairs of floats."""
    pair = stored.dtype == "complex64" or len(stored.shape) == len(stored.piece.shape) + 1
    return 2 if pair else 1
