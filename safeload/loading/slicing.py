"""Computes the geometry of `tensor[...]`: takes a spec and an index, gives the spec of the view. Reads no element.

Semantics: torch's basic indexing, by whole numbers, slices of positive step and one ellipsis.
"""

from __future__ import annotations

from operator import index as whole_number
from typing import Any

from safeload.document.document import TensorSpec
from safeload.errors import UsageError


def narrowed(spec: TensorSpec, index: Any) -> TensorSpec:
    """The view `tensor[index]`. Raises UsageError for an index that is out of range, or not a basic one."""
    parts = list(index) if isinstance(index, tuple) else [index]
    gaps = [at for at, part in enumerate(parts) if part is Ellipsis]
    if len(gaps) > 1:
        raise UsageError("an index takes one ellipsis")
    missing = len(spec.shape) - (len(parts) - len(gaps))
    if missing < 0:
        raise UsageError(f"too many indices: the tensor has {len(spec.shape)} dimensions")
    at = gaps[0] if gaps else len(parts)
    parts[at : at + len(gaps)] = [slice(None)] * missing
    offset = spec.offset
    shape, strides = [], []
    for part, size, stride in zip(parts, spec.shape, spec.stride, strict=True):
        if isinstance(part, slice):
            start, count, step = _range(part, size)
            offset += start * stride if count else 0
            shape.append(count)
            strides.append(step * stride)
        else:
            offset += _position(part, size) * stride
    return TensorSpec(
        spec.storage, spec.dtype, tuple(shape), tuple(strides), offset, spec.requires_grad, spec.conj, spec.neg
    )


def span(spec: TensorSpec) -> tuple[int, int]:
    """(first, count): the run of elements in the storage from the first to the last one that the tensor shows."""
    if 0 in spec.shape:
        return 0, 0
    return spec.offset, 1 + sum((size - 1) * stride for size, stride in zip(spec.shape, spec.stride, strict=True))


def _range(part: slice, size: int) -> tuple[int, int, int]:
    try:
        start, stop, step = part.indices(size)
    except (TypeError, ValueError) as error:
        raise UsageError(f"no slice of a tensor: {part}") from error
    if step < 1:
        raise UsageError("the step of a slice must be positive")
    # A step that leads behind the end shows one element, so it may be cut: torch's strides have 64 bits.
    return start, len(range(start, stop, step)), min(step, max(size, 1))


def _is_array(part: Any) -> bool:
    return bool(getattr(part, "shape", None))


def _position(part: Any, size: int) -> int:
    try:
        # Refused: to torch a bool is a mask, and a tensor with one element is an index that keeps the dimension.
        number = None if isinstance(part, bool) or _is_array(part) else whole_number(part)
    except TypeError:
        number = None
    if number is None:
        raise UsageError(f"a slice takes whole numbers, slices and an ellipsis, not {type(part).__name__}")
    if not -size <= number < size:
        raise UsageError(f"index {number} is out of range for a dimension of {size}")
    return number % size
