"""What benign checkpoints hold, by name: each a function that makes one object to be saved.

TENSORS is what torch's own weights_only list admits; VALUES is what it refuses although it is benign; PLAIN can be
saved without torch.
"""

from __future__ import annotations

import argparse
import collections
import copy
import datetime
import decimal
import fractions
import io
import pathlib
import random
import types
import uuid
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.vetted.spelled import BY_VALUE


def ramp(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """0, 1, 2, ... of any shape."""
    return torch.arange(torch.Size(shape).numel()).reshape(shape).to(dtype)


def _module() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(3, 2))


def state_dict() -> Any:
    return _module().state_dict()


def kept_parameters() -> Any:
    return _module().state_dict(keep_vars=True)


def attributes() -> Any:
    p = nn.Parameter(ramp(3), requires_grad=False)
    p.note = {"a": [1, ramp(2)]}  # type: ignore[attr-defined]
    t = ramp(2)
    t.tag = "x"  # type: ignore[attr-defined]
    return [p, t, p]


def tied() -> Any:
    p = nn.Parameter(ramp(4, 4))
    whole = ramp(6, 6)
    q = nn.Parameter(whole[1:3])
    return collections.OrderedDict(a=p, b=p, c=p.data, view=whole[2:, ::2], t=whole.t(), q=q, flat=whole.view(-1)[3:9])


def bits() -> Any:
    c = torch.tensor([1 + 2j, 3 - 4j])
    return [c, c.conj(), torch._neg_view(ramp(3)), c.clone().conj().imag, torch.real(c.clone().conj())]


def strides() -> Any:
    return {
        "expanded": torch.ones(1).expand(5, 3),
        "channels_last": ramp(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "empty": torch.empty(0, 3),
        "empty_view": ramp(3)[3:],
        "zero_dim": torch.tensor(2.5),
        "odd_stride": torch.as_strided(ramp(9), (2, 2), (3, 2), 1),
        "high_rank": ramp(1).reshape((1,) * 20),
    }


# The torch that these objects are made of has all that they name; an older one lacks some types, or does not save them.
OLD = tuple(map(int, torch.__version__.split(".")[:2])) < (2, 8)


def saves(name: str) -> bool:
    """Whether this torch has a dtype of that name, and writes its tensors."""
    if not OLD:
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.save(torch.empty(0, dtype=getattr(torch, name)), io.BytesIO())
        except (AttributeError, KeyError):
            return False
    return True


DTYPES = tuple(
    getattr(torch, name)
    for name in (
        "float64", "float32", "float16", "bfloat16", "complex128", "complex64", "complex32", "int64", "int32", "int16",
        "int8", "uint64", "uint32", "uint16", "uint8", "bool", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz",
        "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "bits8", "bits16", "bits1x8", "bits2x4", "bits4x2",
    )
    if saves(name)
)  # fmt: skip
"""Every dtype whose tensors torch.save takes."""


def of_dtype(dtype: torch.dtype) -> torch.Tensor:
    """Sixteen different bytes, as many elements as they make (bools are 0 or 1)."""
    raw = torch.arange(16, dtype=torch.uint8)
    return (raw % 2).bool() if dtype == torch.bool else raw.view(dtype)


def dtypes() -> Any:
    return {str(d): of_dtype(d) for d in DTYPES}


def gradients() -> Any:
    return [torch.ones(2, dtype=d, requires_grad=True) for d in (torch.float16, torch.bfloat16, torch.complex64)]


def quantized() -> Any:
    x = ramp(2, 3)
    scales, points = torch.tensor([0.5, 2.0], dtype=torch.float64), torch.tensor([0, 3])
    return [
        torch.quantize_per_tensor(x, 0.5, 3, torch.qint8),
        torch.quantize_per_tensor(x, 0.25, 0, torch.quint8)[:, 1:],
        torch.quantize_per_tensor(x, 1e-3, -7, torch.qint32).t(),
        torch.quantize_per_channel(x, scales, points, 0, torch.quint8),
        torch.quantize_per_channel(x, scales.float(), torch.tensor([0.5, 1.5]), 0, torch.quint8),
    ]


def sparse() -> Any:
    d = torch.tensor([[0.0, 2, 0, 1], [3, 0, 0, 0], [0, 0, 0, 4], [0, 5, 0, 0]])
    return [
        d.to_sparse(),
        torch.sparse_coo_tensor([[1, 0, 1], [2, 0, 2]], [1.0, 2, 3], (2, 3), check_invariants=True),
        torch.sparse_coo_tensor([[0, 1]], torch.ones(2, 3), (2, 3), check_invariants=True),
        torch.sparse_coo_tensor(torch.zeros(2, 0, dtype=torch.int64), [], (2, 3), check_invariants=True),
        d.to_sparse_csr(),
        d.to_sparse_csc(),
        d.to_sparse_bsr((2, 2)),
        d.to_sparse_bsc((2, 1)),
        torch.stack([d, d]).to_sparse_csr(),
        torch.sparse_csr_tensor(
            torch.tensor([0, 1, 2], dtype=torch.int32), torch.tensor([0, 1], dtype=torch.int32), torch.ones(2), (2, 2),
            check_invariants=True,
        ),
    ]  # fmt: skip


def nested() -> Any:
    return torch.nested.nested_tensor([ramp(2, 3), ramp(1, 5), ramp(0, 2)])


def meta() -> Any:
    return [torch.empty(3, 4, device="meta"), torch.empty_strided((2, 3), (1, 2), dtype=torch.int8, device="meta")]


def storages() -> Any:
    t = ramp(4, dtype=torch.uint8)
    typed = torch.storage.TypedStorage([1, 2, 3], dtype=torch.int16, device="cpu")
    return [t, t.untyped_storage(), typed, torch.UntypedStorage(0), typed]


def small() -> Any:
    return [
        torch.Size([1, 2]), torch.device("cpu"), torch.device("cuda", 1), torch.float16, torch.strided,
        torch.sparse_csr, torch.per_tensor_affine, torch.per_channel_affine, *([] if OLD else [torch.int1]),
        torch.get_rng_state(),
    ]  # fmt: skip


def containers() -> Any:
    shared: list[Any] = [1]
    loop: list[Any] = [shared, shared]
    loop.append(loop)
    ring: dict[Any, Any] = {"a": loop}
    ring["ring"] = (ring, [ring])
    held = collections.OrderedDict(x=ramp(2))
    held["self"] = held
    return [loop, ring, held, (), ((),), {}, [], {1: "a", 2.5: "b", None: "c", (1, "x"): "d", b"k": 0, False: 1}]


def optimizer() -> Any:
    module = _module()
    adam = torch.optim.Adam(module.parameters(), amsgrad=True)
    sgd = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9)
    plans = [
        torch.optim.lr_scheduler.MultiStepLR(sgd, [2, 2, 5]),
        torch.optim.lr_scheduler.LambdaLR(adam, lambda epoch: 0.9**epoch),
        torch.optim.lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=9),
        torch.optim.lr_scheduler.ReduceLROnPlateau(adam),
        torch.optim.lr_scheduler.CosineAnnealingLR(adam, 5),
    ]
    for p in module.parameters():
        p.grad = torch.ones_like(p)
    adam.step(), sgd.step()
    scaler = torch.amp.GradScaler("cpu")
    return {
        "adam": adam.state_dict(), "sgd": sgd.state_dict(), "plans": [p.state_dict() for p in plans],
        "scaler": scaler.state_dict(), "rng": torch.get_rng_state(), "python": random.Random(3).getstate(),
        "swa": torch.optim.swa_utils.AveragedModel(_module()).state_dict(),
    }  # fmt: skip


TENSORS: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        state_dict, kept_parameters, attributes, tied, bits, strides, dtypes, gradients, quantized, sparse, nested,
        meta, storages, small, containers, optimizer,
    )
}  # fmt: skip


def lazy() -> Any:
    return nn.LazyBatchNorm1d().state_dict(keep_vars=True)


def _random_state() -> Any:
    made = np.random.RandomState(5)
    made.standard_normal()
    return made


def _generator(bits: Any) -> Any:
    made = np.random.Generator(bits(np.random.SeedSequence(7, spawn_key=(1, 2))))
    made.integers(9, dtype=np.int32)
    return made


def numpy_arrays() -> Any:
    shared = np.arange(6).reshape(2, 3)
    structured = np.zeros(2, dtype=[("a", "<i4"), ("b", "<f8", (2,)), ("c", "S3")])
    return [
        shared, shared, np.asfortranarray(shared), np.array(["ab", "c"]), np.array([b"x"]),
        np.array(7), np.empty((0, 3)), np.array([True]), np.array(["2020-01-01"], "M8[D]"), np.array([1], "m8[25us]"),
        structured, np.array([1, "a", None, [shared]], dtype=object), np.array([1 + 2j], "c8"), np.arange(24.0)[::2],
        np.array([[1, 2], [3, 4]], dtype=object, order="F"), np.arange(24).reshape(2, 3, 4).transpose(2, 0, 1),
    ]  # fmt: skip


def numpy_values() -> Any:
    return [
        np.float64(2.5), np.float32(1), np.int64(3), np.bool_(True), np.str_("ab"), np.datetime64("2020-01-01"),
        np.dtype("<f4"), np.dtype(">i8"), np.dtype([("a", "f4"), ("b", "i2")], align=True), np.dtype("U7"),
        np.dtype(("f4", (2, 3))), np.dtype("M8[ns]"), np.dtype("O"), np.float16, np.ndarray, np.complex64(1j),
    ]  # fmt: skip


def numpy_random() -> Any:
    kinds = (np.random.MT19937, np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)
    return [_random_state(), _random_state().get_state(), np.random.get_state(), *map(_generator, kinds)]


def namespaces() -> Any:
    n = argparse.Namespace(lr=0.1, betas=(0.9, 0.99), inner=types.SimpleNamespace(a=1))
    n.self = n
    return [n, copy.copy(n)]


def collected() -> Any:
    d: Any = collections.defaultdict(list, a=[1], b=[2])
    return [
        d, collections.defaultdict(None, x=1), collections.defaultdict(int), collections.Counter("hello"),
        collections.deque([1, [2]], maxlen=3), collections.deque([d]), collections.ChainMap({"a": 1}, {"b": 2}),
        {1, 2, "x", (1, 2)}, frozenset({1, "a", frozenset({2})}), set(), frozenset(), collections.OrderedDict(b=1, a=2),
    ]  # fmt: skip


def times() -> Any:
    zone = datetime.timezone(datetime.timedelta(hours=-3, minutes=30), "X")
    return [
        datetime.datetime(2020, 2, 29, 12, 30, 1, 5, tzinfo=zone), datetime.datetime(1, 1, 1),
        datetime.date(9999, 12, 31),
        datetime.time(23, 59, 59, 999999, fold=1), datetime.timedelta(-1, 5, 7), datetime.UTC, zone,
        datetime.datetime(2020, 10, 25, 2, 30, fold=1, tzinfo=datetime.UTC), datetime.time(1, tzinfo=zone),
    ]  # fmt: skip


def identifiers() -> Any:
    return [
        pathlib.Path("runs") / "a", pathlib.PurePosixPath("/x/../y"), pathlib.PureWindowsPath("C:/x"), pathlib.Path(),
        uuid.UUID(int=5), uuid.uuid1(node=1, clock_seq=2).__class__(int=9), *([uuid.SafeUUID.safe] if BY_VALUE else []),
    ]  # fmt: skip


def numbers() -> Any:
    return [
        decimal.Decimal("1.50"), decimal.Decimal("-Infinity"), decimal.Decimal("NaN"), decimal.Decimal("1E+400"),
        fractions.Fraction(-3, 4), complex(-0.0, float("inf")), 1 << 3000, -(1 << 3000), 0, -1, 255, 256, 1 << 31,
        -(1 << 63), float("nan"), -0.0, 5e-324, b"", b"\x00\xff", bytearray(b"ab"), bytearray(), "", "\u20ac\U0001f600",
        "\ud800", True, None,
    ]  # fmt: skip


def constants() -> Any:
    return [
        ..., NotImplemented, slice(1, None, 2), range(0, 10, 3), int, list, dict, str, type(None), type(...),
        collections.OrderedDict, object, complex, bytes,
    ]  # fmt: skip


def files() -> Any:
    b, s = io.BytesIO(b"abcdef"), io.StringIO("x\ny\n")
    b.seek(4), s.seek(2)
    return [b, s, io.BytesIO(), io.StringIO(newline="")]


def generator() -> Any:
    made = random.Random(9)
    made.gauss(0, 1)
    return made


VALUES: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        lazy, numpy_arrays, numpy_values, numpy_random, namespaces, collected, times, identifiers, numbers, constants,
        files, generator,
    )
}  # fmt: skip

PLAIN: dict[str, Callable[[], Any]] = {
    f.__name__: f
    for f in (
        numpy_arrays, numpy_values, numpy_random, namespaces, collected, times, identifiers, numbers, constants, files,
        generator, containers, tied, state_dict, bits, strides,
    )
}  # fmt: skip
