"""Does the output hold what the source holds? Answered by reading both again, with no code of the writer's.

The safetensors library says which names, types and shapes the file has; our own reader of the format says where their
bytes are; every byte is then compared with the source, in pieces of a fixed size. Elements that lie apart in the source
are gathered, and casts are not computed again: each result is held against its two neighbours instead.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from safeload.containers.interface import Layout
from safeload.containers.safetensors_file import Safetensors
from safeload.converting.encoding import CODES
from safeload.converting.gathered import Boxes
from safeload.converting.interface import Stored, Verification
from safeload.converting.nearest import nearest
from safeload.converting.portions import Crew, hands, portions
from safeload.converting.reread import Bytes, laid_open, whole
from safeload.errors import LimitExceeded, Malformed, MissingExtra, NotEqual
from safeload.findings import Finding
from safeload.limits import Limits
from safeload.source import Source

Array = npt.NDArray[Any]
Told = Callable[[int], None]

_CHUNK = 512 << 10
_GAP = 4 << 10


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
    alone: bool = False,
) -> Verification:
    """Compare every tensor of `output`, a safetensors file, with its source. Raises NotEqual for a difference.

    path     where the library can open the output
    folder   for compressed storages, laid open
    told     called with bytes done
    alone    the source cannot be read by several threads
    """
    crew = Crew()
    comparison = Comparison(tensors, output, path, folder, limits=limits, told=crew.told(told), digests=digests)
    try:
        workers = [comparison.hand().compare for _ in range(hands(alone=alone))]
        crew.share(portions(comparison.sizes), workers)
        return comparison.result()
    finally:
        comparison.close()


class Comparison:
    """The comparison of one output with its source, with a `Hand` for each thread. `close` it.

    Made when the output has its header; a tensor may be compared once it is written.

    sizes   bytes of each tensor, in the order of the file
    told    called with bytes more
    """

    def __init__(
        self,
        tensors: Mapping[str, Stored],
        output: Source,
        path: str,
        folder: str,
        *,
        limits: Limits,
        told: Told,
        digests: bool = False,
    ) -> None:
        self._library = library_says(path, tensors)
        storages = declared(output, limits).storages
        if set(storages) != set(tensors):
            raise NotEqual("the output holds other tensors than it should")
        # Of tensors that begin at one place, empty ones come first, as their bytes do.
        order = sorted(tensors.values(), key=lambda stored: (storages[stored.name].offset, stored.nbytes))
        self.places = [(stored, storages[stored.name].offset) for stored in order]
        for stored in order:
            if storages[stored.name].size != stored.nbytes:
                raise NotEqual(
                    f"{stored.name[:200]!a} has {storages[stored.name].size} bytes and should have {stored.nbytes}"
                )
        self.sizes = [stored.nbytes for stored in order]
        self.told = told
        self.digests: dict[str, str] | None = {} if digests else None
        self._done = bytearray(len(order))
        self._folder = folder
        self._stack = ExitStack()
        self._opening = threading.Lock()
        self._storages: dict[tuple[int, int], Bytes] = {}
        self.output = whole(output)

    def close(self) -> None:
        """Remove what was laid open."""
        self._stack.close()

    def hand(self) -> Hand:
        """What one thread compares with."""
        return Hand(self)

    def source(self, stored: Stored) -> tuple[Bytes, int]:
        """The bytes that hold a tensor's storage, and where it begins in them."""
        document, extent = stored.piece.document, stored.piece.extent
        key = (id(document), -1 if extent.stored else extent.offset)
        found = self._storages.get(key)
        if found is None:
            with self._opening:
                found = self._storages.get(key)
                if found is None:
                    found = self._storages[key] = (
                        whole(document.source)
                        if extent.stored
                        else laid_open(document.source, extent, self._folder, self._stack)
                    )
        return found, extent.offset if extent.stored else 0

    def done(self, part: range) -> None:
        """Those tensors were found equal."""
        self._done[part.start : part.stop] = b"\1" * len(part)

    def result(self) -> Verification:
        """What was compared. Raises NotEqual unless it was every tensor."""
        if not all(self._done):
            raise NotEqual("not every tensor of the output was compared")
        digests = self.digests or {}
        found = {stored.name: digests[stored.name] for stored, _ in self.places} if digests else {}
        return Verification(len(self.places), sum(self.sizes), self._library, found)


class Hand:
    """Compares tensors, for one thread."""

    def __init__(self, comparison: Comparison) -> None:
        self._comparison = comparison
        self._output = comparison.output
        self._mine, self._theirs = bytearray(_CHUNK), bytearray(_CHUNK)
        self._left, self._right = memoryview(self._mine), memoryview(self._theirs)
        self._gap = memoryview(bytearray(_GAP))

    def compare(self, part: range) -> None:
        """Compare neighbours, by their indices in the order of the file."""
        comparison = self._comparison
        near: list[_Same] = []
        for index in part:
            stored, offset = comparison.places[index]
            if not stored.nbytes:
                if comparison.digests is not None:
                    comparison.digests[stored.name] = hashlib.sha256().hexdigest()
                continue
            source, base = comparison.source(stored)
            piece = stored.piece
            if piece.unit != 1 or stored.source is not None or stored.negated or not _in_a_row(stored):
                self._gathered(stored, source, base, offset)
                continue
            same = _Same(stored.name, source, base + piece.start, offset, stored.nbytes)
            if near and not _near(near, same):
                self._all_same(near)
                near = []
            near.append(same)
        self._all_same(near)
        comparison.done(part)

    def _gathered(self, stored: Stored, source: Bytes, base: int, offset: int) -> None:
        comparison = self._comparison
        for start, mine, theirs in Boxes(stored, source, base, self._output, offset):
            if not _agree(stored, mine, theirs):
                raise _differs(stored.name, start)
        if comparison.digests is not None:
            digest = hashlib.sha256()
            for start in range(0, stored.nbytes, _CHUNK):
                digest.update(self._output.read(offset + start, min(_CHUNK, stored.nbytes - start)))
            comparison.digests[stored.name] = digest.hexdigest()
        comparison.told(stored.nbytes)

    def _all_same(self, near: list[_Same]) -> None:
        """Compare what `_near` put together: one reading of each file for all of them."""
        if len(near) < 2:
            for same in near:
                self._same(same)
            return
        parts: list[memoryview] = []
        size, end = 0, near[0].start
        for same in near:
            if same.start > end:
                parts.append(self._gap[: same.start - end])
            parts.append(self._left[size : size + same.length])
            size, end = size + same.length, same.start + same.length
        near[0].source.scatter(near[0].start, parts)
        self._output.fill(near[0].offset, self._right[:size])
        if self._mine != self._theirs:
            at = self._first(size)
            for same in near:
                if at < same.length:
                    raise _differs(same.name, at)
                at -= same.length
        if self._comparison.digests is not None:
            size = 0
            for same in near:
                digest = hashlib.sha256(self._right[size : size + same.length])
                self._comparison.digests[same.name] = digest.hexdigest()
                size += same.length
        self._comparison.told(size)

    def _same(self, same: _Same) -> None:
        digest = hashlib.sha256() if self._comparison.digests is not None else None
        for done in range(0, same.length, _CHUNK):
            size = min(_CHUNK, same.length - done)
            same.source.fill(same.start + done, self._left[:size])
            self._output.fill(same.offset + done, self._right[:size])
            if self._mine != self._theirs:
                raise _differs(same.name, done + self._first(size))
            if digest is not None:
                digest.update(self._right[:size])
            self._comparison.told(size)
        if digest is not None and self._comparison.digests is not None:
            self._comparison.digests[same.name] = digest.hexdigest()

    def _first(self, size: int) -> int:
        """Where the two buffers, of which `size` bytes count, first differ.

        Both are always compared whole: behind `size` stands what was found equal before.
        """
        return next(at for at in range(size) if self._mine[at] != self._theirs[at])


class _Same(NamedTuple):
    """A tensor whose bytes stand in the output as they do in the source."""

    name: str
    source: Bytes
    start: int
    offset: int
    length: int


def _near(before: list[_Same], same: _Same) -> bool:
    """Whether `same` lies right behind `before` in both files, and all of them fit into the buffers."""
    first, last = before[0], before[-1]
    return (
        same.source is last.source
        and same.offset == last.offset + last.length
        and 0 <= same.start - last.start - last.length <= _GAP
        and same.offset + same.length - first.offset <= _CHUNK
    )


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
