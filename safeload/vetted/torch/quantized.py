"""Quantized tensors. Semantics: torch/_utils.py `_rebuild_qtensor`, torch 2.13, and the ranges that FBGEMM assumes."""

from __future__ import annotations

import math
from typing import Literal

from safeload.document.document import QuantizedSpec, Symbol, TensorSpec, resolve
from safeload.document.dtypes import QUANTIZED
from safeload.machine.program import Call
from safeload.vetted.consumption import elements
from safeload.vetted.interface import Constructor, Context, ShapeError, positional
from safeload.vetted.torch.geometry import check_geometry, outside, sizes
from safeload.vetted.torch.tensors import no_hooks, storage_argument

_CODES: dict[str, Literal["d", "f", "q", "i"]] = {"float64": "d", "float32": "f", "int64": "q", "int32": "i"}
_PER_CHANNEL = ("torch.per_channel_affine", "torch.per_channel_affine_float_qparams")


def rebuild_qtensor(call: Call, ctx: Context) -> QuantizedSpec:
    """`_rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks)`."""
    storage, offset, size, stride, quantizer, grad, hooks = positional(call, 7)
    if type(quantizer) is not tuple or type(grad) is not bool:
        raise ShapeError("takes (storage, offset, size, stride, quantizer, requires_grad, hooks)")
    spec = storage_argument(storage)
    if spec.dtype not in QUANTIZED:
        raise ShapeError("the storage of a quantized tensor must hold a quantized type")
    if grad:
        raise ShapeError("a quantized tensor cannot require gradients")
    no_hooks(hooks, call, ctx)
    shape, step = sizes(size, "size"), sizes(stride, "stride")
    data = TensorSpec(spec, spec.dtype, shape, step, check_geometry(spec, spec.dtype, shape, step, offset, ctx))
    scheme = resolve(quantizer[0]) if quantizer else None
    if type(scheme) is Symbol and scheme.name == "torch.per_tensor_affine" and len(quantizer) == 3:
        _, scale, zero = quantizer
        if type(scale) is not float or not (math.isfinite(scale) and scale > 0):
            raise ShapeError("the scale of a quantized tensor must be a positive finite float")
        low, high = QUANTIZED[spec.dtype]
        if type(zero) is not int or not low <= zero <= high:
            raise ShapeError("the zero point of a quantized tensor lies outside its type")
        return QuantizedSpec(data, scheme.name, scale, zero)
    if type(scheme) is Symbol and scheme.name in _PER_CHANNEL and len(quantizer) == 4:
        return _per_channel(call, data, scheme.name, quantizer, ctx)
    raise ShapeError("the quantizer of a quantized tensor is not one that torch writes")


def _per_channel(
    call: Call, data: TensorSpec, scheme: str, quantizer: tuple[object, ...], ctx: Context
) -> QuantizedSpec:
    _, scales, zeros, axis = quantizer
    if type(axis) is not int or not 0 <= axis < len(data.shape):
        raise ShapeError("the axis of a quantized tensor is none of its dimensions", rule="tensor-bounds")
    count = data.shape[axis]
    parts = []
    for part, what in ((scales, "scales"), (zeros, "zero points")):
        leaf = resolve(part)
        outside(leaf)
        if (
            type(leaf) is TensorSpec
            and leaf.storage is not None
            and leaf.dtype in ("float64", "float32", "int64", "int32")
        ):
            if leaf.shape != (count,):
                raise ShapeError(f"a quantized tensor has not one of its {what} per channel", rule="tensor-bounds")
        elif type(leaf) is list and len(leaf) == count:
            leaf = elements(ctx, leaf, part, call.offset)
            if any(type(x) not in (int, float) for x in leaf):
                raise ShapeError(f"the {what} of a quantized tensor must be numbers")
        else:
            raise ShapeError(f"the {what} of a quantized tensor must be a flat tensor or list, one per channel")
        parts.append(leaf)
    spec = QuantizedSpec(data, scheme, parts[0], parts[1], axis)
    ctx.deferred.append((call, lambda: _check(spec, ctx)))
    return spec


def _check(spec: QuantizedSpec, ctx: Context) -> QuantizedSpec:
    """Check that scales are finite and positive, and zero points fit the type: kernels index by them unchecked.

    SECURITY: the checked numbers replace the tensors in the spec, so the loader never reads the file for them again.
    """
    scales, zeros = _numbers(spec.scale, ctx), _numbers(spec.zero_point, ctx)
    if not all(_modest(x) and x > 0 for x in scales):
        raise ShapeError("the scales of a quantized tensor must be positive and finite")
    # torch writes "per_channel_affine" for both schemes. Only the type of the zero points says which it is.
    given = spec.zero_point
    floating = spec.scheme.endswith("float_qparams") if type(given) is list else given.dtype.startswith("float")
    low, high = QUANTIZED[spec.data.dtype]
    if not floating and not all(type(x) is int and low <= x <= high for x in zeros):
        raise ShapeError("the zero points of a quantized tensor lie outside its type")
    if not all(map(_modest, zeros)):
        raise ShapeError("the zero points of a quantized tensor must be finite")
    return spec.but(scheme=_PER_CHANNEL[floating], scale=scales, zero_point=zeros)


def _modest(number: int | float) -> bool:
    """Whether a number is finite, and small enough for any type that torch keeps it in."""
    return abs(number) < 1 << 63 if type(number) is int else math.isfinite(number)


def _numbers(part: object, ctx: Context) -> list[int | float]:
    if isinstance(part, TensorSpec):
        return list(memoryview(ctx.values(part)).cast(_CODES[part.dtype]))
    return list(part) if isinstance(part, list) else []


CONSTRUCTORS = (Constructor("torch-quantized", rebuild_qtensor),)
