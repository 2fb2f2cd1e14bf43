"""Every row of the list of malformed inputs that torch 2.13 was found to accept or to fail on, as bytes.

Each row names what must come of it: ("", value) for a load, or (verdict, rules) for an UnsafeCheckpoint.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

from samples.assemble import (
    BUILD,
    MARK,
    ONES,
    ORDERED_DICT,
    POP,
    PROTO2,
    STOP,
    Code,
    build,
    call,
    floats,
    get,
    longs,
    name,
    new,
    old_storage,
    persistent,
    pickle,
    put,
    storage,
    tensor,
    value,
)  # fmt: skip
from samples.files_of_torch import deflated, legacy, zip_around, zip_of
from samples.memory import PARAMETER, STATE, UTILS, VALUES, doubled, indices, sparse
from tests.containers.zip_builder import Archive, Member


@dataclass(frozen=True)
class Row:
    """One hostile file.

    verdict, rules   what the report of the refusal says
    value            what a load gives instead, where the file is harmless to us
    path             its name when it has to be a file
    """

    name: str
    data: bytes
    verdict: str = ""
    rules: tuple[str, ...] = ()
    value: str = ""
    path: str = "x.pt"
    options: dict[str, Any] = field(default_factory=dict)


def refused(name: str, data: bytes, verdict: str, *rules: str, **more: Any) -> Row:
    return Row(name, data, verdict, tuple(sorted(rules)), **more)


def loaded(name: str, data: bytes, value: str, **more: Any) -> Row:
    return Row(name, data, value=value, **more)


def zipped(item: object, storages: dict[str, bytes] | None = None) -> bytes:
    return zip_of(item, {"0": ONES} if storages is None else storages).build()


def w(item: object, storages: dict[str, bytes] | None = None) -> bytes:
    return zipped({"w": item}, storages)


BOUNDS = ("dangerous", "tensor-bounds")
SHAPE = ("dangerous", "argument-shape")
ID = ("dangerous", "argument-shape", "persistent-id")
LIMIT = ("unjudged", "limit-reached")

GEOMETRY = (
    refused("size-beyond", w(tensor(size=(5,))), *BOUNDS),
    refused("stride-beyond", w(tensor(size=(2, 2), stride=(3, 2))), *BOUNDS),
    refused("offset-beyond", w(tensor(size=(1,), offset=4)), *BOUNDS),
    refused("size-negative", w(tensor(size=(-1,))), *BOUNDS),
    refused("stride-negative", w(tensor(stride=(-1,))), *BOUNDS),
    refused("offset-negative", w(tensor(offset=-1)), *BOUNDS),
    refused("size-overflow", w(tensor(size=(1 << 32, 1 << 32), stride=(0, 0))), *BOUNDS),
    refused("stride-overflow", w(tensor(size=(3,), stride=(1 << 63,))), *BOUNDS),
    refused("offset-overflow", w(tensor(size=(1,), offset=1 << 63)), *BOUNDS),
    refused("offset-wraps", w(tensor(size=(2,), stride=(1 << 61,), offset=1 << 61)), *BOUNDS),
    refused("rank-mismatch", w(tensor(size=(1, 4))), *BOUNDS),
    refused("rank-1000", w(tensor(size=(1,) * 1000, stride=(1,) * 1000)), "unjudged", "argument-shape"),
    refused("empty-far-away", w(tensor(size=(0,), offset=1 << 40)), *BOUNDS),
    refused("bool-as-size", w(tensor(size=(True,))), *BOUNDS),
    refused("size-as-list", w(tensor(size=[4])), *SHAPE),
    refused("expanded-2-40", w(tensor(size=(1 << 40,), stride=(0,))), "unjudged", "tensor-expansion"),
    refused("expanded-and-cast", w(call(name(UTILS, "_rebuild_device_tensor_from_cpu_tensor"),
            tensor(size=(1 << 29,), stride=(0,)), name("torch", "float64"), "cpu", False)),
            "unjudged", "argument-shape", "tensor-expansion"),
    refused("small-cast", w(call(name(UTILS, "_rebuild_device_tensor_from_cpu_tensor"), tensor(),
            name("torch", "float64"), "cpu", False)), "unjudged", "argument-shape"),
)  # fmt: skip

STORAGES = (
    refused("numel-too-large", w(tensor(storage(count=5))), *ID),
    refused("numel-too-large-mapped", w(tensor(storage(count=5))), *ID, options={"mmap": True}),
    refused("numel-2-61-mapped", w(tensor(storage(count=1 << 61))), *ID, options={"mmap": True}),
    refused("numel-too-small", w(tensor(storage(count=3), (3,))), *ID),
    refused("numel-negative", w(tensor(storage(count=-4))), *ID),
    loaded("deflated-mapped", deflated(zip_of({"w": tensor()}, {"0": floats(1, 2, 3, 4)})).build(),
           "{'w': cpu float32 (4,) [1.0, 2.0, 3.0, 4.0]}", options={"mmap": True}),
    refused("legacy-without-keys", legacy({"w": tensor(old_storage())}, {}), "dangerous", "storage-keys"),
    refused("legacy-without-keys-grown", legacy({"w": tensor(old_storage(), (1 << 30,))}, {}),
            "dangerous", "storage-keys", "tensor-bounds"),
    refused("state-on-storage", w(tensor(build(storage(), {"dtype": name("torch", "float64")}))),
            "dangerous", "foreign-state"),
    refused("state-exchanges-storage", w(tensor(build(storage(), {"_untyped_storage": 1}))),
            "dangerous", "foreign-state"),
    loaded("location-meta", w(tensor(storage(location="meta"))), "{'w': cpu float32 (4,) [1.0, 1.0, 1.0, 1.0]}"),
    loaded("location-cuda", w(tensor(storage(location="cuda:0"))), "{'w': cpu float32 (4,) [1.0, 1.0, 1.0, 1.0]}",
           options={"map_location": "cpu"}),
    refused("location-unknown", w(tensor(storage(location="disk:/etc/passwd"))),
            "unjudged", "argument-shape", "persistent-id"),
    refused("two-dtypes", w([tensor(), tensor(storage("0", 2, "DoubleStorage"), (2,))]), *ID),
    refused("key-with-nul", w(tensor(storage("0\0x"))), *ID),
    refused("key-as-int", w(tensor(persistent(("storage", name("torch", "FloatStorage"), 0, "cpu", 4)))), *ID),
    refused("key-dots", w(tensor(storage("../0"))), *ID),
    refused("key-missing", w(tensor(storage("7"))), *ID),
)  # fmt: skip


def layouts() -> tuple[Row, ...]:
    rows, columns = longs(0, 1, 2), longs(0, 9)
    good = {"0": rows, "1": floats(1, 1), "2": columns}
    made = [refused("sparse-coo", w(sparse("sparse_coo", indices("0", 1, 2), VALUES, (4,)),
                                    {"0": longs(0, 1 << 40), "1": floats(1, 1)}), *BOUNDS)]  # fmt: skip
    for kind in ("csr", "csc"):
        item = sparse(f"sparse_{kind}", indices("0", 3), indices("2", 2), VALUES, (2, 2))
        made.append(refused(f"sparse-{kind}", w(item, good), *BOUNDS))
    for kind in ("bsr", "bsc"):
        blocks = tensor(storage("1", 2), (2, 1, 1), (1, 1, 1))
        item = sparse(f"sparse_{kind}", indices("0", 3), indices("2", 2), blocks, (2, 2))
        made.append(refused(f"sparse-{kind}", w(item, good), *BOUNDS))
    return tuple(made)


def codec(kind: str) -> Row:
    return refused(f"codec-{kind}", pickle(call(name("_codecs", "encode"), "a" * 100_000, kind)), *SHAPE)


def allocation(label: str, function: Code, *args: object) -> Row:
    return refused(f"allocate-{label}", pickle(call(function, *args)), *SHAPE)


BYTES = Code(b"B" + struct.pack("<I", 1 << 20) + bytes(1 << 20))
CALLS = (
    *(codec(kind) for kind in ("punycode", "idna", "zlib", "rot13", "utf-8", "hex")),
    allocation("storage", name("torch.storage", "UntypedStorage"), 1 << 33),
    allocation("typed-storage", name("torch", "FloatStorage"), 1 << 33),
    allocation("tensor", name("torch", "Tensor"), 1 << 30),
    allocation("bytearray", name("builtins", "bytearray"), 1 << 33),
    allocation("bytes", name("builtins", "bytes"), 1 << 33),
    allocation("set", name("builtins", "set"), call(name("builtins", "bytearray"), BYTES)),
    allocation("counter", name("collections", "Counter"), call(name("builtins", "bytearray"), BYTES)),
    allocation("size", name("torch", "Size"), call(name("builtins", "bytearray"), BYTES)),
    allocation("set-of-range", name("builtins", "set"), call(name("builtins", "range"), 0, 1 << 40, 1)),
    allocation("list-of-range", name("builtins", "list"), call(name("builtins", "range"), 0, 1 << 40, 1)),
    refused("sizes-many", pickle(call(name("torch", "Size"), (1,) * 1000)), "unjudged", "argument-shape"),
    refused("shard-without-state",
            pickle(new(name("torch.distributed.tensor.placement_types", "Shard"), 0)), "unvetted", "known-class"),
)  # fmt: skip

KEYS = (
    refused("key-tuple-200000-deep", PROTO2 + b"})" + b"\x85" * 200_000 + b"Ns.", *LIMIT),
    refused("key-tuple-doubled", PROTO2 + b"}" + doubled(27, tuples=True) + value(1) + b"s.", *LIMIT),
    refused("deep-lists", PROTO2 + b"]" * 200_000 + b"a" * 199_999 + b".", *LIMIT),
    refused("deep-tuples", PROTO2 + b")" + b"\x85" * 200_000 + b".", *LIMIT),
)


class Zeros(Member):
    """A member of 2 GiB of zeros, in 2 MB of deflate."""

    @property
    def packed(self) -> bytes:
        deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        block = deflater.compress(bytes(1 << 20)) + deflater.flush(zlib.Z_FULL_FLUSH)
        return block * (1 << 11) + deflater.flush()


def bomb() -> bytes:
    held = tensor(storage("0", 1 << 31, "ByteStorage"), (1 << 31,))
    size = {"crc": 0, "size": 1 << 31}
    zeros = Zeros(b"archive/data/0", method=8, flags=0, central=size, local={"size": 1 << 31})
    others = zip_of({"w": held}, {}).members
    return Archive((*others, zeros), zip64=False).build()


STATES = (
    refused("state-sets-data", w(call(STATE, tensor(), True, ORDERED_DICT, {"data": 1})), *SHAPE),
    refused("state-sets-class", w(call(STATE, tensor(), True, ORDERED_DICT, {"__class__": name("torch", "Tensor")})),
            *SHAPE),
    refused("state-sets-numel", w(call(STATE, tensor(), True, ORDERED_DICT, {"numel": name("builtins", "set")})),
            *SHAPE),
    refused("slots-set-numel", w(call(STATE, tensor(), True, ORDERED_DICT, (None, {"numel": 1}))), *SHAPE),
    refused("type-state-sets-data", w(call(name("torch._tensor", "_rebuild_from_type_v2"),
            name(UTILS, "_rebuild_tensor_v2"), name("torch", "Tensor"),
            (storage(), 0, (4,), (1,), False, ORDERED_DICT), {"_backward_hooks": 1})), *SHAPE),
    refused("ordered-dict-state", pickle(build(ORDERED_DICT, {"keys": 1, "copy": 1})),
            "dangerous", "reaches-attributes"),
    refused("hooks-list", w(tensor(hooks=value([]))), *SHAPE),
    refused("hooks-callable", w(tensor(hooks=value({1: name("builtins", "set")}))), *SHAPE),
    refused("hooks-filled", w(tensor(hooks=Code(ORDERED_DICT + value(1) + name("builtins", "set") + b"s"))), *SHAPE),
    refused("hooks-filled-later",
            zipped([Code(put(ORDERED_DICT, 1) + POP + tensor(hooks=get(1))), Code(get(1) + b"K\x01K\x02s")]), *SHAPE),
    refused("nested-outside", w(call(name(UTILS, "_rebuild_nested_tensor"), tensor(), indices("1", 2, 1),
            indices("2", 2, 1), indices("3", 2)),
            {"0": ONES, "1": longs(2, 9), "2": longs(1, 1), "3": longs(0, 2)}), *BOUNDS),
    refused("parameter-state", w(build(new(PARAMETER), {"data": 1})), *SHAPE),
)  # fmt: skip


def channels(scales: bytes, zeros: bytes, count: int = 2, axis: object = 0, **geometry: Any) -> bytes:
    held = storage("0", 4, "QInt8Storage")
    shape, stride = geometry.get("size", (2, 2)), geometry.get("stride", (2, 1))
    parts = (name("torch", "per_channel_affine"), tensor(storage("1", count, "DoubleStorage"), (count,)),
             indices("2", count), axis)  # fmt: skip
    item = call(name(UTILS, "_rebuild_qtensor"), held, 0, shape, stride, parts, False, ORDERED_DICT)
    return w(item, {"0": b"\1\2\3\4", "1": scales, "2": zeros})


def listed(scales: list[object], zeros: list[object]) -> bytes:
    held = storage("0", 4, "QInt8Storage")
    parts = (name("torch", "per_channel_affine"), scales, zeros, 0)
    return w(call(name(UTILS, "_rebuild_qtensor"), held, 0, (2, 2), (2, 1), parts, False, ORDERED_DICT),
             {"0": b"\1\2\3\4"})  # fmt: skip


HALF, NONE = struct.pack("<2d", 0.5, 0.5), longs(0, 0)
QUANTIZED = (
    refused("quantized-stride", channels(HALF, NONE, stride=(1 << 40, 1)), *BOUNDS),
    refused("quantized-axis", channels(HALF, NONE, axis=2), *BOUNDS),
    refused("quantized-axis-negative", channels(HALF, NONE, axis=-1), *BOUNDS),
    refused("quantized-scales-few", channels(struct.pack("<d", 0.5), longs(0), 1), *BOUNDS),
    refused("quantized-scale-nan", channels(struct.pack("<2d", 0.5, float("nan")), NONE), *SHAPE),
    refused("quantized-scale-zero", channels(struct.pack("<2d", 0.5, 0.0), NONE), *SHAPE),
    refused("quantized-point", channels(HALF, longs(0, 1 << 40)), *SHAPE),
    refused("quantized-listed-point", listed([0.5, 0.5], [0, 200]), *SHAPE),
    refused("quantized-listed-float-point", listed([0.5, 0.5], [300.0, 1e300]), *SHAPE),
    refused("quantized-listed-mixed-point", listed([0.5, 0.5], [0, 1e300]), *SHAPE),
    refused("quantized-listed-huge", listed([1 << 1020, 1 << 1030], [0, 0]), *SHAPE),
)

# What leaves torch.load(weights_only=True) as an IndexError, KeyError, EOFError, struct.error, TypeError, ValueError,
# AttributeError, AssertionError, UnicodeDecodeError or RuntimeError.
MALFORMED = ("unjudged", "malformed-pickle")
LEAKS = (
    refused("no-bytes", b"", "unjudged", "empty-file"),
    refused("no-stop", PROTO2 + b"N", *MALFORMED),
    refused("stack-empty", PROTO2 + b".", *MALFORMED),
    refused("memo-missing", PROTO2 + b"h\x05.", *MALFORMED),
    refused("short-literal", PROTO2 + b"X\xff\x00\x00\x00ab.", *MALFORMED),
    refused("short-float", PROTO2 + b"G\x00\x00", *MALFORMED),
    refused("text-not-utf-8", PROTO2 + b"X\x01\x00\x00\x00\xff.", *MALFORMED),
    refused("unhashable-key", PROTO2 + b"}]Ns.", *MALFORMED),
    refused("odd-items", PROTO2 + b"}(Nu.", *MALFORMED),
    refused("persistent-number", zip_around(PROTO2 + b"K\x01Q.").build(), "dangerous", "persistent-id"),
    refused("persistent-empty", zip_around(PROTO2 + b")Q.").build(), "dangerous", "persistent-id"),
    refused("append-to-number", PROTO2 + b"K\x01Na.", "dangerous", "foreign-state"),
    refused("mark-only", PROTO2 + MARK + STOP, *MALFORMED),
    refused("build-number", PROTO2 + b"K\x01N" + BUILD + STOP, "dangerous", "foreign-state"),
    refused("dtype-as-function", pickle(call(name("torch", "float32"), 1)), *SHAPE),
    refused("device-odd", pickle(call(name("torch", "device"), "../x")), "unjudged", "argument-shape"),
    refused("first-pickle-runs", pickle(call(name("builtins", "eval"), "1")) + b"rest",
            "dangerous", "runs-code", "trailing-bytes"),
)  # fmt: skip

ROWS = (*GEOMETRY, *STORAGES, *layouts(), *CALLS, *KEYS, *STATES, *QUANTIZED, *LEAKS)
