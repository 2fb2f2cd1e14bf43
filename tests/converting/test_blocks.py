"""Strided tensors in bounded memory: every shape and stride gives what numpy gives, read in small pieces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safeload.converting.interface import Piece, Stored
from safeload.converting.verify import gathered
from safeload.converting.verify.gathered import Boxes
from safeload.converting.verify.reread import whole
from safeload.converting.write import blocks
from safeload.document.document import Document, Extent
from safeload.inputs import MemorySource


def laid_out(raw: bytes, start: int, shape: tuple[int, ...], stride: tuple[int, ...], width: int) -> bytes:
    data = np.frombuffer(raw, np.uint8)[start:]
    strides = [step * width for step in stride]
    return np.lib.stride_tricks.as_strided(data, (*shape, width), (*strides, 1)).tobytes()


class Out:
    """Memory in place of an output, which counts what was written where."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.written = 0
        self.calls = 0

    def write(self, at: int, part: np.ndarray[Any, Any]) -> None:
        self.data[at : at + len(part)] = part.tobytes()
        self.written += len(part)
        self.calls += 1


def through_blocks(raw: bytes, start: int, shape: tuple[int, ...], stride: tuple[int, ...], width: int) -> Out:
    out = Out(int(np.prod(shape)) * width)
    dims = blocks.dimensions(shape, stride, width)
    largest = 0

    def read(at: int, length: int) -> bytes:
        nonlocal largest
        largest = max(largest, length)
        assert at >= 0
        assert at + length <= len(raw)
        return raw[at : at + length]

    for starts, sizes in blocks.blocks(dims, width):
        block = blocks.read_block(dims, starts, sizes, start, width, read)
        assert block.size <= blocks.BLOCK
        blocks.write_block(dims, starts, sizes, block.reshape(-1), width, out.write)
    assert largest <= max(blocks.BLOCK, 4096)
    assert out.written == len(out.data)
    return out


def cases() -> list[tuple[int, tuple[int, ...], tuple[int, ...], int]]:
    random = np.random.default_rng(5)
    found: list[tuple[int, tuple[int, ...], tuple[int, ...], int]] = []
    for _ in range(150):
        rank = int(random.integers(0, 5))
        shape = tuple(int(n) for n in random.integers(1, 12, rank))
        kind = random.integers(0, 3)
        if kind == 0:
            stride = tuple(int(n) for n in random.integers(0, 40, rank))
        else:
            order = random.permutation(rank)
            steps = [0] * rank
            step = int(random.integers(1, 3))
            for index in order:
                steps[index] = step
                step *= shape[index] + (int(random.integers(0, 3)) if kind == 2 else 0)
            stride = tuple(steps)
        found.append((int(random.integers(0, 9)), shape, stride, int(random.choice([1, 2, 4, 8, 16]))))
    return found


@pytest.mark.parametrize("limit", [64, 4096, 4 << 20])
def test_any_shape_and_stride(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", limit)
    monkeypatch.setattr(blocks, "_RUN", max(limit // 8, 16))
    monkeypatch.setattr(gathered, "_BOX", limit)
    for start, shape, stride, width in cases():
        last = sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
        raw = np.random.default_rng(1).bytes(start + (last + 1) * width)
        wanted = laid_out(raw, start, shape, stride, width)
        assert through_blocks(raw, start, shape, stride, width).data == wanted
        compare(raw, wanted, start, shape, stride, width)


def compare(raw: bytes, out: bytes, start: int, shape: tuple[int, ...], stride: tuple[int, ...], width: int) -> None:
    home = Document(None, MemorySource(raw))
    piece = Piece(home, Extent(0, len(raw), len(raw)), start, shape, stride, width)
    stored = Stored("x", "uint8", shape, len(out), piece)
    count = 0
    for _, mine, theirs in Boxes(stored, whole(MemorySource(b"???" + raw)), 3, whole(MemorySource(b"??" + out)), 2):
        assert np.array_equal(mine, theirs)
        count += len(mine)
    assert count * width == len(out)


@pytest.mark.parametrize(
    ("shape", "stride"),
    [
        ((3000, 2500), (1, 3000)),
        ((7, 600_000), (1, 7)),
        ((600_000, 7), (1, 600_000)),
        ((64, 32, 30, 30), (28800, 1, 960, 32)),
    ],
)
def test_large_transposed_tensors_take_few_calls(shape: tuple[int, ...], stride: tuple[int, ...]) -> None:
    raw = np.random.default_rng(2).bytes(4 * int(np.prod(shape)))
    out = through_blocks(raw, 0, shape, stride, 4)
    assert out.data == laid_out(raw, 0, shape, stride, 4)
    assert out.calls < len(raw) / 1000
