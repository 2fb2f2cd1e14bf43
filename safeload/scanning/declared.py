"""Tensors that a container declares itself, outside any pickle, as leaves of the Document."""

from __future__ import annotations

from safeload.containers.interface import Tensor
from safeload.document.document import StorageSpec, StorageValue, TensorSpec, resolve
from safeload.document.dtypes import BITS, itemsize
from safeload.errors import Malformed


def declared(part: Tensor) -> object:
    """The leaf for a tensor that a container declares itself."""
    if part.dtype not in BITS:
        raise Malformed(f"no dtype {part.dtype!r}")
    nbytes = itemsize(part.dtype)
    for size in part.shape:
        nbytes *= size
    return _strided(part, nbytes)


def _strided(part: Tensor, nbytes: int) -> TensorSpec:
    stride = part.stride
    if stride is None:
        steps, step = [], 1
        for size in reversed(part.shape) if not part.fortran else part.shape:
            steps.append(step)
            step *= max(size, 1)
        stride = tuple(steps if part.fortran else reversed(steps))
    return TensorSpec(StorageSpec(part.storage, part.dtype, nbytes), part.dtype, part.shape, stride, part.offset)


def named_object(item: object) -> object:
    """The leaf for what a tar file's earlier streams made."""
    if isinstance(item, StorageSpec):
        return StorageValue(item, item.dtype is not None)
    return declared(item) if isinstance(item, Tensor) else resolve(item)
