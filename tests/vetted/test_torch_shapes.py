"""Vetted names of torch with arguments that their shapes must refuse: each with its literal verdict and rule.

Every case stands in a torch zip with the storages that its honest form needs; the honest forms themselves are clean.
"""

from __future__ import annotations

import struct

import pytest

from samples.assemble import (
    ONES,
    ORDERED_DICT,
    POP,
    Code,
    build,
    call,
    get,
    longs,
    name,
    new,
    new_ex,
    obj,
    put,
    storage,
    tensor,
    value,
)
from samples.files_of_torch import zip_of
from tests.vetted.torch_saving import scanned

UTILS = "torch._utils"
V2, V3 = name(UTILS, "_rebuild_tensor_v2"), name(UTILS, "_rebuild_tensor_v3")
WITH_STATE = name(UTILS, "_rebuild_parameter_with_state")
FROM_TYPE = name("torch._tensor", "_rebuild_from_type_v2")
ON_DEVICE = name(UTILS, "_rebuild_device_tensor_from_cpu_tensor")
META = name(UTILS, "_rebuild_meta_tensor_no_storage")
QTENSOR, SPARSE = name(UTILS, "_rebuild_qtensor"), name(UTILS, "_rebuild_sparse_tensor")
NESTED = name(UTILS, "_rebuild_nested_tensor")
FLOAT = name("torch", "float32")
UNTYPED = storage("0", 16, "torch.storage.UntypedStorage")
HERE = {"0": ONES}


def layout(word: str) -> Code:
    return call(name("torch.serialization", "_get_layout"), f"torch.{word}")


def ints(key: str, *size: int) -> Code:
    """A contiguous int64 tensor over storage `key`."""
    strides, count = [], 1
    for n in reversed(size):
        strides.append(count)
        count *= n
    return tensor(storage(key, count, "LongStorage"), size, tuple(reversed(strides)))


def quantized(*quantizer: object, kind: str = "QInt8Storage", grad: bool = False) -> Code:
    return call(QTENSOR, storage("0", 4, kind), 0, (4,), (1,), quantizer, grad, ORDERED_DICT)


def coo(*size: int, dims: int = 1, coalesced: object = False) -> Code:
    """Two entries of float32 in storage 1, their indices in storage 0."""
    return call(SPARSE, layout("sparse_coo"), (ints("0", dims, 2), tensor(storage("1", 2), (2,)), size, coalesced))


def csr(kind: str = "sparse_csr", size: tuple[int, ...] = (2, 3), values: Code | None = None) -> Code:
    held = tensor(storage("1", 2), (2,)) if values is None else values
    return call(SPARSE, layout(kind), (ints("0", 3), ints("2", 2), held, size))


def nested() -> Code:
    return call(NESTED, tensor(), ints("1", 2, 1), ints("2", 2, 1), ints("3", 2))


AFFINE, CHANNEL = name("torch", "per_tensor_affine"), name("torch", "per_channel_affine")
BYTES = {"0": b"\1\2\3\4"}
TWO = struct.pack("<2f", 1, 1)
PAIR = {"1": TWO}
SCALES = tensor(storage("1", 4, "DoubleStorage"))
FOUR = struct.pack("<4d", 1, 1, 1, 1)
CHANNELS = {"0": b"\1\2\3\4", "1": FOUR, "2": longs(0, 0, 0, 0)}

HONEST: dict[str, tuple[object, dict[str, bytes]]] = {
    "v2": (tensor(), HERE),
    "v3": (call(V3, UNTYPED, 0, (2,), (1,), False, ORDERED_DICT, name("torch", "float64")), HERE),
    "state": (call(WITH_STATE, tensor(), True, ORDERED_DICT, {"tag": 1}), HERE),
    "from type": (
        call(FROM_TYPE, V2, name("torch", "Tensor"), (storage(), 0, (4,), (1,), False, ORDERED_DICT), {}),
        HERE,
    ),
    "device": (call(ON_DEVICE, tensor(), FLOAT, "xla:0", False), HERE),
    "meta": (call(META, FLOAT, (1 << 40,), (1,), False), {}),
    "by tensor": (quantized(AFFINE, 0.5, 127), BYTES),
    "by channel": (quantized(CHANNEL, SCALES, ints("2", 4), 0), CHANNELS),
    "coo": (coo(4), {"0": longs(0, 3), **PAIR}),
    "csr": (csr(), {"0": longs(0, 1, 2), "2": longs(2, 0), **PAIR}),
    "nested": (nested(), {**HERE, "1": longs(2, 2), "2": longs(1, 1), "3": longs(0, 2)}),
    "zero size behind the end": (tensor(size=(0,), offset=4), HERE),
}

BOUNDS, SHAPE, PID = "tensor-bounds", "argument-shape", "persistent-id"
CASES: dict[str, tuple[object, dict[str, bytes], str, str]] = {
    # Geometry.
    "size beyond": (tensor(size=(5,)), HERE, "dangerous", BOUNDS),
    "stride beyond": (tensor(size=(2,), stride=(4,)), HERE, "dangerous", BOUNDS),
    "offset beyond": (tensor(size=(2,), offset=3), HERE, "dangerous", BOUNDS),
    "empty beyond": (tensor(size=(0,), offset=5), HERE, "dangerous", BOUNDS),
    "negative size": (tensor(size=(-1,)), HERE, "dangerous", BOUNDS),
    "negative stride": (tensor(stride=(-1,)), HERE, "dangerous", BOUNDS),
    "product of 2^64": (tensor(size=(1 << 32, 1 << 32), stride=(0, 0)), HERE, "dangerous", BOUNDS),
    "size of 2^62": (tensor(size=(1 << 62,), stride=(0,)), HERE, "dangerous", BOUNDS),
    "rank": (tensor(size=(2, 2)), HERE, "dangerous", BOUNDS),
    "bool as size": (tensor(size=(True,)), HERE, "dangerous", BOUNDS),
    "list as size": (tensor(size=[4]), HERE, "dangerous", SHAPE),
    "bool as offset": (tensor(size=(1,), offset=True), HERE, "dangerous", BOUNDS),
    "sixty-five dimensions": (tensor(size=(1,) * 65, stride=(1,) * 65), HERE, "unjudged", SHAPE),
    "terabyte from one element": (tensor(size=(1 << 40,), stride=(0,)), HERE, "unjudged", "tensor-expansion"),
    "storage no multiple of the type": (
        call(V3, storage("0", 15, "torch.storage.UntypedStorage"), 0, (1,), (1,), False, ORDERED_DICT, FLOAT),
        {"0": ONES[:15]}, "dangerous", BOUNDS),
    "untyped storage without a type": (tensor(UNTYPED), HERE, "dangerous", SHAPE),
    # Counts and kinds of arguments.
    "too few": (call(V2, storage(), 0, (4,), (1,)), HERE, "dangerous", SHAPE),
    "too many": (call(V2, storage(), 0, (4,), (1,), False, ORDERED_DICT, None, None), HERE, "dangerous", SHAPE),
    "no storage": (call(V2, 7, 0, (4,), (1,), False, ORDERED_DICT), HERE, "dangerous", SHAPE),
    "by obj": (obj(V2, storage(), 0, (4,), (1,), False, ORDERED_DICT), HERE, "dangerous", SHAPE),
    "by newobj": (new(V2, storage(), 0, (4,), (1,), False, ORDERED_DICT), HERE, "dangerous", SHAPE),
    "by newobj_ex": (new_ex(V2, (storage(), 0, (4,), (1,), False, ORDERED_DICT), {}), HERE, "dangerous", SHAPE),
    "gradient of integers": (tensor(storage("0", 2, "LongStorage"), (2,), grad=True), HERE, "unjudged", SHAPE),
    "int as requires_grad": (tensor(grad=1), HERE, "dangerous", SHAPE),
    "state on a tensor": (build(tensor(), {"x": 1}), HERE, "dangerous", SHAPE),
    "dtype of another kind": (
        call(V3, UNTYPED, 0, (1,), (1,), False, ORDERED_DICT, name("torch", "strided")), HERE, "dangerous", SHAPE),
    # Hooks and metadata.
    "hooks in a list": (tensor(hooks=value([1])), HERE, "dangerous", SHAPE),
    "hooks in a dict": (tensor(hooks=value({1: 2})), HERE, "dangerous", SHAPE),
    "hooks filled first": (tensor(hooks=Code(ORDERED_DICT + b"K\1K\2s")), HERE, "dangerous", SHAPE),
    "hooks filled later": (
        [Code(put(ORDERED_DICT, 9) + POP + tensor(hooks=get(9))), Code(get(9) + b"K\1K\2s")], HERE, "dangerous", SHAPE),
    "unknown metadata": (
        call(V2, storage(), 0, (4,), (1,), False, ORDERED_DICT, {"x": True}), HERE, "dangerous", SHAPE),
    "conjugate of reals": (
        call(V2, storage(), 0, (4,), (1,), False, ORDERED_DICT, {"conj": True}), HERE, "dangerous", SHAPE),
    # Storages.
    "storage too long": (tensor(storage("0", 5)), HERE, "dangerous", PID),
    "storage of 2^61": (tensor(storage("0", 1 << 61)), HERE, "dangerous", PID),
    "storage too short": (tensor(storage("0", 3), (3,)), HERE, "dangerous", PID),
    "storage missing": (tensor(storage("1")), HERE, "dangerous", PID),
    "key with a slash": (tensor(storage("0/0")), HERE, "dangerous", PID),
    "key with a NUL": (tensor(storage("0\0x")), HERE, "dangerous", PID),
    "two types for a key": (
        [tensor(), tensor(storage("0", 2, "DoubleStorage"), (2,))], HERE, "dangerous", PID),
    "two devices for a key": ([tensor(), tensor(storage("0", location="cuda:0"))], HERE, "dangerous", PID),
    "odd device": (tensor(storage("0", location="../x")), HERE, "unjudged", PID),
    "no storage class": (tensor(storage("0", kind="Tensor")), HERE, "dangerous", PID),
    "storage class called": (call(name("torch", "FloatStorage"), 4), HERE, "dangerous", SHAPE),
    "tensor class with a size": (call(name("torch", "FloatTensor"), 4), HERE, "dangerous", SHAPE),
    "size of a bytearray": (call(name("torch", "Size"), b"abc"), HERE, "dangerous", SHAPE),
    "unknown layout": (call(name("torch.serialization", "_get_layout"), "torch.load"), HERE, "dangerous", SHAPE),
    "unknown device": (call(name("torch", "device"), "a b"), HERE, "unjudged", SHAPE),
    # Parameters and attributes.
    "state sets data": (call(WITH_STATE, tensor(), True, ORDERED_DICT, {"data": 1}), HERE, "dangerous", SHAPE),
    "state sets a method": (call(WITH_STATE, tensor(), True, ORDERED_DICT, {"numel": 1}), HERE, "dangerous", SHAPE),
    "state sets the class": (
        call(WITH_STATE, tensor(), True, ORDERED_DICT, {"__class__": FLOAT}), HERE, "dangerous", SHAPE),
    "slots set the class": (
        call(WITH_STATE, tensor(), True, ORDERED_DICT, (None, {"__class__": 1})), HERE, "dangerous", SHAPE),
    "state is a list": (call(WITH_STATE, tensor(), True, ORDERED_DICT, [1]), HERE, "dangerous", SHAPE),
    "state changed later": (
        [Code(put({}, 9) + POP + call(WITH_STATE, tensor(), True, ORDERED_DICT, get(9))),
         Code(get(9) + value("data") + value(1) + b"s")], HERE, "unjudged", SHAPE),
    "parameter of a number": (call(name(UTILS, "_rebuild_parameter"), 1, True, ORDERED_DICT), HERE, "dangerous", SHAPE),
    "function that is no rebuild": (
        call(FROM_TYPE, name("torch", "device"), name("torch", "Tensor"), ("cpu",), {}), HERE, "dangerous", SHAPE),
    "class that is no tensor": (
        call(FROM_TYPE, V2, name("torch", "Size"), (storage(), 0, (4,), (1,), False, ORDERED_DICT), {}),
        HERE, "unvetted", SHAPE),
    "arguments inside": (
        call(FROM_TYPE, V2, name("torch", "Tensor"), (storage(), 0, (9,), (1,), False, ORDERED_DICT), {}),
        HERE, "dangerous", BOUNDS),
    "other type on a device": (
        call(ON_DEVICE, tensor(), name("torch", "float64"), "xla:0", False), HERE, "unjudged", SHAPE),
    "meta of 2^59": (call(META, FLOAT, (1 << 59,), (1,), False), {}, "dangerous", BOUNDS),
    # Quantized.
    "zero point": (quantized(AFFINE, 0.5, 128), BYTES, "dangerous", SHAPE),
    "scale of zero": (quantized(AFFINE, 0.0, 0), BYTES, "dangerous", SHAPE),
    "scale of nan": (quantized(AFFINE, float("nan"), 0), BYTES, "dangerous", SHAPE),
    "scale as int": (quantized(AFFINE, 1, 0), BYTES, "dangerous", SHAPE),
    "quantized floats": (quantized(AFFINE, 0.5, 0, kind="FloatStorage"), HERE, "dangerous", SHAPE),
    "quantized gradient": (quantized(AFFINE, 0.5, 0, grad=True), BYTES, "dangerous", SHAPE),
    "axis": (quantized(CHANNEL, SCALES, ints("2", 4), 1), CHANNELS, "dangerous", BOUNDS),
    "count of channels": (quantized(CHANNEL, SCALES, ints("2", 3), 0),
                          {**CHANNELS, "2": longs(0, 0, 0)}, "dangerous", BOUNDS),
    "zero points of channels": (quantized(CHANNEL, SCALES, ints("2", 4), 0),
                                {**CHANNELS, "2": longs(0, 0, 0, 1 << 40)}, "dangerous", SHAPE),
    "scales of channels": (quantized(CHANNEL, SCALES, ints("2", 4), 0),
                           {**CHANNELS, "1": struct.pack("<4d", 1, 1, 1, -1)}, "dangerous", SHAPE),
    # Sparse.
    "index too large": (coo(4), {"0": longs(0, 4), **PAIR}, "dangerous", BOUNDS),
    "index negative": (coo(4), {"0": longs(0, -1), **PAIR}, "dangerous", BOUNDS),
    "index in a dimension of zero": (coo(0), {"0": longs(0, 0), **PAIR}, "dangerous", BOUNDS),
    "dimensions": (coo(4, dims=2), {"0": longs(0, 0, 0, 0), **PAIR}, "dangerous", BOUNDS),
    "falsely coalesced": (coo(4, coalesced=True), {"0": longs(2, 1), **PAIR}, "dangerous", BOUNDS),
    "coalesced as int": (coo(4, coalesced=1), {"0": longs(0, 1), **PAIR}, "dangerous", SHAPE),
    "rows go down": (csr(), {"0": longs(0, 2, 1), "2": longs(0, 1), **PAIR}, "dangerous", BOUNDS),
    "rows end early": (csr(), {"0": longs(0, 1, 1), "2": longs(0, 1), **PAIR}, "dangerous", BOUNDS),
    "column too large": (csr(), {"0": longs(0, 1, 2), "2": longs(0, 3), **PAIR}, "dangerous", BOUNDS),
    "columns not sorted": (csr(), {"0": longs(0, 2, 2), "2": longs(1, 0), **PAIR}, "dangerous", BOUNDS),
    "wrong rows": (csr(size=(3, 3)), {"0": longs(0, 1, 2), "2": longs(0, 1), **PAIR}, "dangerous", BOUNDS),
    "blocks without blocks": (csr("sparse_bsr"), {"0": longs(0, 1, 2), "2": longs(0, 1), **PAIR}, "dangerous", BOUNDS),
    "strided layout": (csr("strided"), {"0": longs(0, 1, 2), "2": longs(0, 1), **PAIR}, "dangerous", SHAPE),
    # Nested.
    "piece outside": (nested(), {**HERE, "1": longs(2, 3), "2": longs(1, 1), "3": longs(0, 2)}, "dangerous", BOUNDS),
    "piece before": (nested(), {**HERE, "1": longs(2, 2), "2": longs(1, 1), "3": longs(0, -2)}, "dangerous", BOUNDS),
    "stride of a piece": (
        nested(), {**HERE, "1": longs(2, 2), "2": longs(9, 1), "3": longs(0, 2)}, "dangerous", BOUNDS),
    "product in 64 bits": (
        nested(), {**HERE, "1": longs(2, 1 << 62), "2": longs(1, 4), "3": longs(0, 2)}, "dangerous", BOUNDS),
}  # fmt: skip


@pytest.mark.parametrize("case", HONEST)
def test_the_honest_form_is_clean(case: str) -> None:
    item, storages = HONEST[case]
    report = scanned(zip_of({"x": item}, storages).build()).report
    assert [(f.rule, f.message) for f in report.findings] == []
    assert report.verdict.value == "clean"


@pytest.mark.parametrize("case", CASES)
def test_the_hostile_form_is_refused(case: str) -> None:
    item, storages, verdict, rule = CASES[case]
    report = scanned(zip_of({"x": item}, storages).build()).report
    assert report.verdict.value == verdict
    assert (report.findings[0].rule, report.findings[0].verdict.value) == (rule, verdict)
    assert report.findings[0].member == "archive/data.pkl"
    assert report.findings[0].offset is not None


def test_a_refused_storage_is_not_reported_as_worse_than_it_is() -> None:
    report = scanned(zip_of({"x": tensor(storage("0", location="newdevice:0"))}).build()).report
    assert [(f.rule, f.verdict.value) for f in report.findings] == [
        ("persistent-id", "unjudged"),
        ("argument-shape", "unvetted"),
    ]
