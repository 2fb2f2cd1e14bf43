"""The calls by which the tree spells what torch makes: every tensor that is not just a strided one, and small values.

See `recipes`. Knows no torch; what lies where is the plan's answer, given as a Placed.
"""

from __future__ import annotations

from collections.abc import Callable

from safeload.document.document import (
    Built,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    Symbol,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.errors import Malformed
from safeload.tree.interface import Placed
from safeload.tree.recipes import Recipe, mapping, sequence

_LEGACY = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16", "int64": "Long", "int32": "Int",
    "int16": "Short", "int8": "Char", "uint8": "Byte", "bool": "Bool",
}  # fmt: skip

Place = Callable[[TensorSpec], Placed]


class Bytes:
    """All bytes of a tensor of the file, as a storage: {"storage": name}, or the bytes themselves: {"bytes_of": name}.

    A tag and a name, for the writer; never shared.
    """

    __slots__ = ("name", "tag")

    def __init__(self, tag: str, name: str) -> None:
        self.tag = tag
        self.name = name


class Table:
    """int64 tables of a nested tensor: a tensor of the file with the shape it has there."""

    __slots__ = ("part",)

    def __init__(self, part: str) -> None:
        self.part = part


def steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of C order, as torch counts them."""
    found, step = [], 1
    for size in reversed(shape):
        found.append(step)
        step *= max(size, 1)
    return tuple(reversed(found))


def geometry(spec: TensorSpec, placed: Placed) -> tuple[object, object, object, object]:
    """(storage, offset, size, stride), the first arguments of all that rebuild tensors."""
    shape = spec.shape if placed.shape is None else placed.shape
    stride = steps(shape) if placed.stride is None else placed.stride
    return Bytes("storage", placed.name), placed.offset, sequence(*shape), sequence(*stride)


def meta(spec: TensorSpec) -> Recipe:
    """A tensor without data."""
    args = (Symbol(f"torch.{spec.dtype}"), sequence(*spec.shape), sequence(*spec.stride), spec.requires_grad)
    return Recipe("torch._utils._rebuild_meta_tensor_no_storage", args)


def strided(spec: TensorSpec, place: Place) -> Recipe:
    """A strided tensor as a call: where the short form {"tensor": name} cannot stand."""
    if spec.storage is None:
        return meta(spec)
    placed = place(spec)
    args: tuple[object, ...] = (*geometry(spec, placed), spec.requires_grad, None)
    if placed.dtype is not None:
        args = (*args, Symbol(f"torch.{placed.dtype}"))
    if spec.conj or spec.neg:
        args = (*args, mapping({"conj": spec.conj, "neg": spec.neg}))
    return Recipe(f"torch._utils._rebuild_tensor_v{2 if placed.dtype is None else 3}", args)


def quantized(spec: QuantizedSpec, place: Place) -> Recipe:
    """`_rebuild_qtensor(storage, offset, size, stride, quantizer, requires_grad, hooks)`."""
    quantizer: tuple[object, ...] = (Symbol(spec.scheme), spec.scale, spec.zero_point)
    if spec.axis is not None:
        quantizer = (*quantizer, spec.axis)
    args = (*geometry(spec.data, place(spec.data)), sequence(*quantizer), False, None)
    return Recipe("torch._utils._rebuild_qtensor", args)


def sparse(spec: SparseSpec) -> Recipe:
    """`_rebuild_sparse_tensor(layout, data)`."""
    parts = (*spec.indices, spec.values, sequence(*spec.shape))
    if spec.coalesced is not None:
        parts = (*parts, spec.coalesced)
    return Recipe("torch._utils._rebuild_sparse_tensor", (Symbol(spec.layout), sequence(*parts)))


def nested(spec: NestedTensorSpec) -> Recipe:
    """`_rebuild_nested_tensor(buffer, sizes, strides, offsets)`."""
    args = (spec.buffer, Table("sizes"), Table("strides"), Table("offsets"))
    return Recipe("torch._utils._rebuild_nested_tensor", args)


def wrapped(spec: WrappedTensor, place: Place) -> Recipe:
    """A Parameter, a Buffer, a tensor with attributes, or one that has no data yet."""
    inner = resolve(spec.data)
    state = mapping(spec.state) if isinstance(spec.state, dict) else None
    if isinstance(inner, Built):
        if spec.kind != "Parameter":
            return Recipe(f"torch.nn.parameter.{spec.kind}", (spec.requires_grad,))
        change = sequence(spec.requires_grad, None, None)
        return Recipe("torch.nn.parameter.Parameter", (), () if spec.requires_grad else (("build", change),))
    if spec.kind == "Parameter":
        start = (spec.data, spec.requires_grad, None)
        if state is None:
            return Recipe("torch._utils._rebuild_parameter", start)
        return Recipe("torch._utils._rebuild_parameter_with_state", (*start, state))
    kind = {"Tensor": "torch.Tensor"}.get(spec.kind, f"torch.nn.parameter.{spec.kind}")
    call = _inner(inner, place)
    args = (Symbol(call.name), Symbol(kind), sequence(*call.args), state)
    return Recipe("torch._tensor._rebuild_from_type_v2", args)


def _inner(leaf: object, place: Place) -> Recipe:
    if isinstance(leaf, TensorSpec):
        return strided(leaf, place)
    if isinstance(leaf, SparseSpec):
        return sparse(leaf)
    if isinstance(leaf, NestedTensorSpec):
        return nested(leaf)
    if isinstance(leaf, WrappedTensor):
        return wrapped(leaf, place)
    raise Malformed(f"a tensor with attributes holds a {type(leaf).__name__}")


def _tensor(built: Built) -> Recipe:
    return Recipe(f"torch.{_LEGACY[built.args[0]]}Tensor")


def _from_numpy(built: Built) -> Recipe:
    array, dtype, grad = built.args
    name = "torch._utils._rebuild_device_tensor_from_numpy"
    return Recipe(name, (array, Symbol(f"torch.{dtype}"), "cpu", grad))


def _size(built: Built) -> Recipe:
    return Recipe("torch.Size", (sequence(*built.args[0]),))


def _direct(built: Built) -> Recipe:
    return Recipe(built.kind, tuple(built.args))


BUILT: dict[str, Callable[[Built], Recipe]] = {
    "torch.Size": _size,
    "torch.Tensor": _tensor,
    "torch.device": _direct,
    "torch.from_numpy": _from_numpy,
    "torch.torch_version.TorchVersion": _direct,
}
"""Kind of Built -> its call."""
