"""The leaves of the Document for tensors that a container declares itself, outside any pickle."""

from __future__ import annotations

from safeload.containers.interface import Tensor
from safeload.document.document import StorageSpec, StorageValue, TensorSpec, resolve
from safeload.document.dtypes import BITS, itemsize
from safeload.errors import Malformed


def declared(part: Tensor) -> TensorSpec:
    """The leaf for a tensor that a container declares itself. Raises Malformed for a dtype that is none."""
    if part.dtype not in BITS:
        raise Malformed(f"no dtype {part.dtype!r}")
    nbytes = itemsize(part.dtype)
    for size in part.shape:
        nbytes *= size
    stride = part.stride
    if stride is None:
        strides, step = [], 1
        for size in part.shape if part.fortran else reversed(part.shape):
            strides.append(step)
            step *= max(size, 1)
        stride = tuple(strides if part.fortran else reversed(strides))
    return TensorSpec(StorageSpec(part.storage, part.dtype, nbytes), part.dtype, part.shape, stride, part.offset)


def named_object(item: object) -> object:
    """The leaf for an object that an earlier stream of a tar file made."""
    if isinstance(item, StorageSpec):
        return StorageValue(item, item.dtype is not None)
    return declared(item) if isinstance(item, Tensor) else resolve(item)
