"""The elements of a strided tensor out of the bytes of its storage: contiguous, little-endian, without numpy.

Knows the Document only.
"""

from __future__ import annotations

from safeload.document.document import TensorSpec
from safeload.document.dtypes import COMPLEX, itemsize


def is_contiguous(spec: TensorSpec) -> bool:
    """Whether the elements lie in C order without gaps (dimensions of size 1 have any stride)."""
    expected = 1
    for size, stride in zip(reversed(spec.shape), reversed(spec.stride), strict=True):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def numel(shape: tuple[int, ...]) -> int:
    """Number of elements of `shape`."""
    count = 1
    for size in shape:
        count *= size
    return count


def spec_bytes(spec: TensorSpec) -> int:
    """Bytes of the elements of `spec` once contiguous."""
    return numel(spec.shape) * itemsize(spec.dtype)


def elements(spec: TensorSpec, storage: bytes, *, big_endian: bool = False) -> bytes:
    """The elements of `spec` in C order. `storage` holds the whole storage; bounds were checked when it was denoted."""
    width = itemsize(spec.dtype)
    count = numel(spec.shape)
    if spec.storage is not None and spec.storage.view is not None:
        storage = storage[spec.storage.view[0] :]
    if count == 0:
        return b""
    if is_contiguous(spec):
        data = storage[spec.offset * width : (spec.offset + count) * width]
    else:
        data = _gathered(spec, storage, width)
    return byteswapped(data, spec.dtype) if big_endian else data


def _gathered(spec: TensorSpec, storage: bytes, width: int) -> bytes:
    offsets = [spec.offset]
    for size, stride in zip(spec.shape, spec.stride, strict=True):
        offsets = [start + i * stride for start in offsets for i in range(size)]
    return b"".join([storage[at * width : (at + 1) * width] for at in offsets])


def byteswapped(data: bytes, dtype: str) -> bytes:
    """`data` with the byte order of each element (each half of a complex one) reversed."""
    width = itemsize(dtype) // (2 if dtype in COMPLEX else 1)
    if width == 1:
        return data
    out = bytearray(len(data))
    for index in range(width):
        out[index::width] = data[width - 1 - index :: width]
    return bytes(out)
