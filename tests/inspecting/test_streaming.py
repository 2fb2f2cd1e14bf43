"""Elements in boxes, against torch: any strides, any width, memory of a fixed size."""

from __future__ import annotations

import random
import tracemalloc
from typing import Any

import pytest
import torch

from safeload.document.document import Document, StorageSpec, TensorSpec
from safeload.inputs import MemorySource
from safeload.inspecting import streaming
from safeload.inspecting.streaming import boxes, gathered
from safeload.inspecting.tensors import facts

WIDTHS = {torch.uint8: "uint8", torch.float16: "float16", torch.float32: "float32", torch.float64: "float64",
          torch.complex128: "complex128"}  # fmt: skip


def content(tensor: torch.Tensor) -> bytes:
    """All bytes of a tensor's storage."""
    return torch.empty(0, dtype=torch.uint8).set_(tensor.untyped_storage()).numpy().tobytes()


def piece(tensor: torch.Tensor) -> tuple[Any, Any]:
    """The Piece of a tensor, and what reads its storage."""
    raw = content(tensor)
    spec = TensorSpec(
        StorageSpec("0", WIDTHS[tensor.dtype], len(raw)),
        WIDTHS[tensor.dtype],
        tuple(tensor.shape),
        tensor.stride(),
        tensor.storage_offset(),
    )
    return facts(spec, Document(None, MemorySource(b""))).pieces[0], lambda offset, length: raw[
        offset : offset + length
    ]


def odd_view(made: random.Random, dtype: torch.dtype) -> torch.Tensor:
    """A tensor that is permuted, narrowed, stepped or expanded."""
    sizes = [made.randint(1, 9) for _ in range(made.randint(1, 4))]
    tensor = torch.randint(0, 250, sizes).to(dtype)
    order = list(range(len(sizes)))
    made.shuffle(order)
    tensor = tensor.permute(order)
    for axis in range(tensor.dim()):
        start = made.randint(0, tensor.shape[axis] - 1)
        tensor = tensor[(slice(None),) * axis + (slice(start, None, made.randint(1, 3)),)]
    if made.random() < 0.3:
        tensor = tensor.unsqueeze(0).expand(made.randint(1, 4), *tensor.shape)
    return tensor


@pytest.mark.parametrize("box", [16, 64, 1 << 20])
def test_strides_against_torch(monkeypatch: pytest.MonkeyPatch, box: int) -> None:
    monkeypatch.setattr(streaming, "BOX", box)
    torch.manual_seed(7)
    made = random.Random(7)
    for turn in range(200):
        tensor = odd_view(made, list(WIDTHS)[turn % len(WIDTHS)])
        plain = tensor.clone(memory_format=torch.contiguous_format)
        mine, theirs = piece(tensor), piece(plain)
        seen = 0
        for one, two in boxes(mine[0], theirs[0], mine[1], theirs[1]):
            assert one == two
            assert len(one) <= max(box, tensor.element_size())
            seen += len(one)
        assert seen == tensor.numel() * tensor.element_size()
        # In C order of the first, the bytes are those that torch would write.
        raw = gathered(
            mine[1], tensor.storage_offset(), list(tensor.shape), list(tensor.stride()), tensor.element_size()
        )
        assert raw == content(plain)[: len(raw)]


def test_a_difference_is_seen_in_any_place() -> None:
    base = torch.arange(24.0).reshape(2, 3, 4)
    for index in range(24):
        other = base.clone()
        other.view(-1)[index] = -1
        mine, theirs = piece(base.permute(2, 0, 1)), piece(other.permute(2, 0, 1).contiguous())
        assert any(one != two for one, two in boxes(mine[0], theirs[0], mine[1], theirs[1]))


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "BOX", 128 << 10)
    size = 6 << 20
    rows_of, columns_of = 1024, size // 4 // 1024
    shape = (rows_of, columns_of)
    reads: list[int] = []

    def zeros(offset: int, length: int) -> bytes:
        reads.append(length)
        return bytes(length)

    home = Document(None, MemorySource(b""))
    storage = StorageSpec("0", "float32", size)
    rows = facts(TensorSpec(storage, "float32", shape, (columns_of, 1)), home).pieces[0]
    columns = facts(TensorSpec(storage, "float32", shape, (1, rows_of)), home).pieces[0]
    tracemalloc.start()
    try:
        total = sum(len(one) for one, _ in boxes(rows, columns, zeros, zeros))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == size
    assert peak < 2 << 20
    # Nearly every byte is read once a side, though one of them is transposed.
    assert sum(reads) < 3 * size
