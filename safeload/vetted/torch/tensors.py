"""Strided tensors, parameters and tensors with attributes, as torch's own pickles spell them.

Semantics: torch/_utils.py `_rebuild_*`, torch/_tensor.py `_rebuild_from_type_v2` and `Tensor.__setstate__`, torch 2.13;
the forms of torch 0.1 to 0.4 (class call and state) as `torch._tensor` still reads them.
"""

from __future__ import annotations

from safeload.document.cell import UNSET, Cell
from safeload.document.document import (
    ArraySpec,
    Built,
    Enclosed,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageSpec,
    StorageValue,
    Symbol,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.dtypes import BITS, COMPLEX, FLOATING
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import unchanged
from safeload.vetted.interface import Constructor, Context, ShapeError, arguments, positional
from safeload.vetted.torch.attributes import TENSOR_ATTRIBUTES
from safeload.vetted.torch.geometry import check_geometry, outside, sizes
from safeload.vetted.torch.sparse import rebuild_nested, rebuild_sparse

TENSOR_LIKE = (TensorSpec, WrappedTensor, QuantizedSpec, SparseSpec, NestedTensorSpec)
# How often a tensor may be wrapped. torch writes three wrappers: a parameter, of a quantized tensor, with attributes.
WRAPS = 8


def storage_argument(value: object) -> StorageSpec:
    """The storage that an argument denotes. Raises ShapeError when it denotes none."""
    if isinstance(value, Cell):
        value = value.value
    if type(value) is StorageValue:
        return value.storage
    value = resolve(value)
    if type(value) is Enclosed:
        # A plain pickle of a tensor holds each storage as bytes, which are a whole file in the legacy format.
        inner = resolve(value.document.root)
        if type(inner) is StorageValue:
            return inner.storage.but(home=inner.storage.home or value.document)
        if inner is None or inner is UNSET:
            raise ShapeError("takes its storage from bytes that were not understood", Verdict.UNJUDGED)
    outside(value)
    raise ShapeError("the first argument must be a storage")


def dtype_argument(value: object) -> str:
    """The name of the dtype that an argument denotes. Raises ShapeError when it denotes none."""
    value = resolve(value)
    outside(value)
    if type(value) is not Symbol or not value.name.startswith("torch.") or value.name[6:] not in BITS:
        raise ShapeError("a dtype was expected")
    return value.name[6:]


def no_hooks(value: object, call: Call, ctx: Context) -> None:
    """Raise ShapeError for backward hooks: functions that torch runs on backward().

    SECURITY: torch keeps a reference to the hooks object. So it has to be empty, *and* no later opcode may fill it.
    """
    hooks = resolve(value)
    if hooks is None:
        return
    if type(hooks) is not Built or hooks.kind != "collections.OrderedDict" or hooks.items or hooks.state:
        raise ShapeError("backward hooks must be an empty OrderedDict")
    if ctx.touched and isinstance(value, Cell) and ctx.touched.get(id(value), -1) > call.offset:
        raise ShapeError("backward hooks are filled after the tensor was made")


def flag(value: object, dtype: str) -> bool:
    """A requires_grad argument. Raises ShapeError when torch would not accept it for `dtype`."""
    if type(value) is not bool:
        raise ShapeError("requires_grad must be a bool")
    if value and dtype not in FLOATING:
        raise ShapeError(f"a tensor of {dtype} cannot require gradients", Verdict.UNJUDGED)
    return value


def _bits(metadata: object, dtype: str, call: Call, ctx: Context) -> tuple[bool, bool]:
    """(conj, neg) of a metadata argument."""
    if metadata is None:
        return False, False
    if type(metadata) is not dict or len(metadata) > 2:
        raise ShapeError("tensor metadata must be a dict of the flags conj and neg")
    unchanged(ctx, call.offset, metadata)
    if any(key not in ("conj", "neg") or type(value) is not bool for key, value in metadata.items()):
        raise ShapeError("tensor metadata holds only the flags conj and neg")
    conj, neg = metadata.get("conj", False), metadata.get("neg", False)
    if conj and dtype not in COMPLEX:
        raise ShapeError(f"a tensor of {dtype} has no conjugate")
    return conj, neg


def rebuild_tensor(call: Call, ctx: Context) -> TensorSpec:
    """`_rebuild_tensor(storage, offset, size, stride)`: torch before 0.4."""
    storage, offset, size, stride = positional(call, 4)
    return _strided(storage, offset, size, stride, ctx)


def _strided(storage: object, offset: object, size: object, stride: object, ctx: Context) -> TensorSpec:
    spec = storage_argument(storage)
    if spec.dtype is None:
        raise ShapeError("a tensor of an untyped storage needs a dtype")
    shape, step = sizes(size, "size"), sizes(stride, "stride")
    return TensorSpec(spec, spec.dtype, shape, step, check_geometry(spec, spec.dtype, shape, step, offset, ctx))


def rebuild_tensor_v2(call: Call, ctx: Context) -> TensorSpec:
    """`_rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata])`."""
    args = positional(call, 6, 7)
    spec = storage_argument(args[0])
    dtype = spec.dtype
    if dtype is None:
        raise ShapeError("a tensor of an untyped storage needs a dtype")
    shape, stride = sizes(args[2], "size"), sizes(args[3], "stride")
    offset = check_geometry(spec, dtype, shape, stride, args[1], ctx)
    grad = flag(args[4], dtype)
    no_hooks(args[5], call, ctx)
    if len(args) == 7:
        conj, neg = _bits(args[6], dtype, call, ctx)
        return TensorSpec(spec, dtype, shape, stride, offset, grad, conj, neg)
    return TensorSpec(spec, dtype, shape, stride, offset, grad)


def rebuild_tensor_v3(call: Call, ctx: Context) -> TensorSpec:
    """`_rebuild_tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype[, metadata])`, untyped storage."""
    args = positional(call, 7, 8)
    spec = storage_argument(args[0])
    dtype = dtype_argument(args[6])
    shape, stride = sizes(args[2], "size"), sizes(args[3], "stride")
    offset = check_geometry(spec, dtype, shape, stride, args[1], ctx)
    no_hooks(args[5], call, ctx)
    conj, neg = _bits(args[7] if len(args) == 8 else None, dtype, call, ctx)
    return TensorSpec(spec, dtype, shape, stride, offset, flag(args[4], dtype), conj, neg)


def rebuild_meta(call: Call, ctx: Context) -> TensorSpec:
    """`_rebuild_meta_tensor_no_storage(dtype, size, stride, requires_grad)`: a shape without data."""
    args = arguments(call, object, object, object, bool)
    dtype = dtype_argument(args[0])
    shape, stride = sizes(args[1], "size"), sizes(args[2], "stride")
    if len(shape) != len(stride):
        raise ShapeError("size and stride have different ranks", rule="tensor-bounds")
    numel = 1
    for n in shape:
        numel *= n
    if numel >= 1 << 59:
        raise ShapeError("a meta tensor of more than 2^59 elements", rule="tensor-bounds")
    return TensorSpec(None, dtype, shape, stride, 0, flag(args[3], dtype))


def tensor_argument(value: object, offset: int, ctx: Context) -> object:
    """The Cell of a tensor-like argument: two users of one Cell share the tensor. Raises ShapeError for no tensor."""
    leaf = resolve(value)
    outside(leaf)
    if not isinstance(leaf, TENSOR_LIKE) and not (type(leaf) is Built and leaf.kind == "torch.from_numpy"):
        raise ShapeError("the first argument must be a tensor")
    unchanged(ctx, offset, value)
    return value


def dtype_of(value: object) -> str:
    """The element type of a tensor-like value. Raises ShapeError when it is wrapped more than WRAPS times."""
    leaf = resolve(value)
    wraps = 0
    while isinstance(leaf, WrappedTensor | QuantizedSpec | SparseSpec | NestedTensorSpec):
        inner = leaf.values if isinstance(leaf, SparseSpec) else (
            leaf.buffer if isinstance(leaf, NestedTensorSpec) else leaf.data
        )  # fmt: skip
        leaf = resolve(inner)
        wraps += 1
        if wraps > WRAPS:
            # SECURITY: each wrapper of a chain walks all below it, in quadratic time; a circle would never end.
            raise ShapeError("wraps a tensor more often than is read", Verdict.UNJUDGED)
    if isinstance(leaf, Built) and leaf.kind == "torch.from_numpy":
        # (array, dtype, requires_grad)
        return str(leaf.args[1])
    return leaf.dtype if isinstance(leaf, TensorSpec) else "float32"


def rebuild_parameter(call: Call, ctx: Context) -> WrappedTensor:
    """`_rebuild_parameter(data, requires_grad, hooks)`."""
    data, grad, hooks = positional(call, 3)
    no_hooks(hooks, call, ctx)
    return WrappedTensor(tensor_argument(data, call.offset, ctx), "Parameter", flag(grad, dtype_of(data)))


def rebuild_parameter_with_state(call: Call, ctx: Context) -> WrappedTensor:
    """`_rebuild_parameter_with_state(data, requires_grad, hooks, state)`."""
    data, grad, hooks, state = positional(call, 4)
    no_hooks(hooks, call, ctx)
    attributes = tensor_state(state, call, ctx)
    return WrappedTensor(tensor_argument(data, call.offset, ctx), "Parameter", flag(grad, dtype_of(data)), attributes)


def tensor_state(state: object, call: Call, ctx: Context) -> dict[str, object] | None:
    """The attributes that a state sets on a tensor: identifiers, no dunder, and no attribute of Tensor.

    SECURITY: torch calls setattr with any name: with `data`, `__class__` and the names of methods, too.
    """
    parts = state if type(state) is tuple and len(state) == 2 else (state,)
    found: dict[str, object] = {}
    for part in parts:
        if part is None:
            continue
        if type(part) is not dict:
            raise ShapeError("the state of a tensor must be a dict of attributes")
        if ctx.touched.get(id(part), -1) > call.offset:
            raise ShapeError("the state of a tensor is changed after it was set", Verdict.UNJUDGED)
        for name, value in part.items():
            if type(name) is not str or not name.isidentifier() or name.startswith("__"):
                raise ShapeError("an attribute set on a tensor has no plain name")
            if name in TENSOR_ATTRIBUTES:
                raise ShapeError(f"the state of a tensor would replace Tensor.{name}")
            found[name] = value
    return found or None


_CLASSES = {
    "torch.Tensor": "Tensor",
    "torch.nn.parameter.Parameter": "Parameter",
    "torch.nn.parameter.Buffer": "Buffer",
}

_INNER = {
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3,
    "torch._utils._rebuild_meta_tensor_no_storage": rebuild_meta,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_sparse_tensor": rebuild_sparse,
    "torch._utils._rebuild_nested_tensor": rebuild_nested,
}


def rebuild_from_type(call: Call, ctx: Context) -> WrappedTensor:
    """`_rebuild_from_type_v2(func, type, args, state)`, and v1 without the slot state."""
    func, cls, args, state = positional(call, 4)
    inner, kind = resolve(func), resolve(cls)
    outside(inner)
    if type(inner) is not Symbol or inner.name not in _INNER:
        raise ShapeError("the function of a tensor with attributes must be one that rebuilds tensors")
    if type(kind) is not Symbol or kind.name not in _CLASSES:
        raise ShapeError("the class of a tensor with attributes must be torch's own", Verdict.UNVETTED)
    node = Call("reduce", func, args, None, call.offset)
    node.value = _INNER[inner.name](node, ctx)
    dtype_of(node)
    grad = node.value.requires_grad if isinstance(node.value, TensorSpec | WrappedTensor) else False
    return WrappedTensor(node, _CLASSES[kind.name], grad, tensor_state(state, call, ctx))


def rebuild_on_device(call: Call, ctx: Context) -> object:
    """`_rebuild_device_tensor_from_cpu_tensor(data, dtype, device, requires_grad)`: the same values on some device."""
    data, dtype, device, grad = positional(call, 4)
    if type(device) is not str:
        raise ShapeError("the device must be a str")
    leaf, name = resolve(data), dtype_argument(dtype)
    outside(leaf)
    if type(leaf) is not TensorSpec:
        raise ShapeError("the data of a device tensor must be a plain tensor")
    if name != leaf.dtype:
        raise ShapeError(f"a device tensor of {name} is made from {leaf.dtype}", Verdict.UNJUDGED)
    return leaf.but(requires_grad=flag(grad, name))


_NUMPY = {
    "<f8": "float64", "<f4": "float32", "<f2": "float16", "<i8": "int64", "<i4": "int32", "<i2": "int16",
    "|i1": "int8", "|u1": "uint8", "<u2": "uint16", "<u4": "uint32", "<u8": "uint64", "|b1": "bool",
    "<c8": "complex64", "<c16": "complex128",
}  # fmt: skip


def rebuild_from_numpy(call: Call, ctx: Context) -> Built:
    """`_rebuild_device_tensor_from_numpy(array, dtype, device, requires_grad)`, also `_rebuild_xla_tensor`."""
    data, dtype, device, grad = positional(call, 4)
    if type(device) is not str:
        raise ShapeError("the device must be a str")
    leaf, name = resolve(data), dtype_argument(dtype)
    outside(leaf)
    if type(leaf) is not ArraySpec or leaf.dtype not in _NUMPY:
        raise ShapeError("the data of a device tensor must be a plain numeric array")
    # SECURITY: a later BUILD could give the array another state. The call takes the array as it is now, we would build
    # the tensor from the array as it is at the end.
    unchanged(ctx, call.offset, data)
    if _NUMPY[leaf.dtype] != name:
        raise ShapeError(f"a device tensor of {name} is made from {_NUMPY[leaf.dtype]}", Verdict.UNJUDGED)
    return Built("torch.from_numpy", (data, name, flag(grad, name)))


def parameter(call: Call, ctx: Context) -> WrappedTensor:
    """`Parameter(tensor[, requires_grad])`: torch 0.4 and its predecessors."""
    if call.args == ():
        return WrappedTensor(Built("torch.Tensor", ("float32",)), "Parameter", True)
    arguments(call, object, optional=(bool,))
    args: tuple[object, ...] = call.args  # type: ignore[assignment]
    dtype = dtype_of(args[0])
    return WrappedTensor(
        tensor_argument(args[0], call.offset, ctx),
        "Parameter",
        flag(args[1] if len(args) == 2 else dtype in FLOATING, dtype),
    )


def parameter_state(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD on a Parameter: `Tensor.__setstate__`, (data, _, hooks, requires_grad, _) or (requires_grad, _, hooks)."""
    state = mutation.payload
    leaf = call.value
    if mutation.kind != "build" or type(state) is not tuple or not isinstance(leaf, WrappedTensor):
        raise ShapeError("a Parameter takes only the state that torch writes")
    if call.mutations and call.mutations[0] is not mutation:
        # SECURITY: values that hold this parameter were judged with its first state.
        raise ShapeError("a Parameter takes its state once", Verdict.UNJUDGED)
    if len(state) == 5:
        data, grad, hooks = state[0], state[3], state[2]
        if resolve(data) is leaf:
            raise ShapeError("a Parameter takes itself as its data", Verdict.UNJUDGED)
        no_hooks(hooks, call, ctx)
        call.value = WrappedTensor(tensor_argument(data, mutation.offset, ctx), "Parameter", flag(grad, dtype_of(data)))
    elif len(state) == 3:
        no_hooks(state[2], call, ctx)
        call.value = WrappedTensor(leaf.data, "Parameter", flag(state[0], dtype_of(leaf.data)))
    else:
        raise ShapeError("a Parameter takes only the state that torch writes")


def legacy_tensor(call: Call, ctx: Context) -> Built:
    """`torch.FloatTensor()` and its like: torch up to 0.3 makes an empty tensor, then sets its state.

    SECURITY: arguments are refused: `torch.FloatTensor(2**40)` allocates.
    """
    if call.args != () or call.kwargs:
        raise ShapeError("a tensor class is called with arguments; torch's writers never do that")
    name = resolve(call.func)
    dtype = _LEGACY[name.name.rpartition(".")[2]] if type(name) is Symbol else "float32"
    return Built("torch.Tensor", (dtype,))


_LEGACY = {
    "Tensor": "float32", "FloatTensor": "float32", "DoubleTensor": "float64", "HalfTensor": "float16",
    "BFloat16Tensor": "bfloat16", "LongTensor": "int64", "IntTensor": "int32", "ShortTensor": "int16",
    "CharTensor": "int8", "ByteTensor": "uint8", "BoolTensor": "bool",
}  # fmt: skip


def legacy_tensor_state(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD on a legacy tensor: `set_(storage, offset, size, stride)`."""
    state = mutation.payload
    if mutation.kind != "build" or type(state) is not tuple or len(state) != 4 or type(call.value) is not Built:
        raise ShapeError("a tensor takes only the state (storage, offset, size, stride), once")
    spec = _strided(*state, ctx)
    if spec.dtype != call.value.args[0]:
        raise ShapeError(f"a {call.value.args[0]} tensor is set to a storage of {spec.dtype}", rule="tensor-bounds")
    call.value = spec


def uninitialized(call: Call, ctx: Context) -> WrappedTensor:
    """`UninitializedParameter(requires_grad)` and `UninitializedBuffer(requires_grad)` of lazy modules."""
    (grad,) = arguments(call, bool)
    name = resolve(call.func)
    kind = name.name.rpartition(".")[2] if type(name) is Symbol else ""
    return WrappedTensor(Built("torch.Tensor", ("float32",)), kind, bool(grad))


CONSTRUCTORS = (
    Constructor("torch-tensor-v1", rebuild_tensor),
    Constructor("torch-tensor-v2", rebuild_tensor_v2),
    Constructor("torch-tensor-v3", rebuild_tensor_v3),
    Constructor("torch-meta-tensor", rebuild_meta),
    Constructor("torch-rebuild-parameter", rebuild_parameter),
    Constructor("torch-rebuild-parameter-with-state", rebuild_parameter_with_state),
    Constructor("torch-from-type", rebuild_from_type),
    Constructor("torch-device-tensor", rebuild_on_device),
    Constructor("torch-numpy-tensor", rebuild_from_numpy),
    Constructor("torch-parameter", parameter, parameter_state, frozenset({"reduce", "newobj"})),
    Constructor("torch-legacy-tensor", legacy_tensor, legacy_tensor_state, frozenset({"reduce", "newobj"})),
    Constructor("torch-uninitialized", uninitialized),
)
