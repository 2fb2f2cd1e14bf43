"""Files that aim at memory: tensors outside their storage, sizes that lie, small files that unfold without end.

Nothing here names a function that a benign checkpoint does not name.
"""

from __future__ import annotations

import struct

from samples.assemble import (
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
    pickle,
    put,
    storage,
    tensor,
    value,
)
from samples.deflate import unrolled
from samples.files_of_torch import deflated, legacy, npy, zip_around, zip_of
from samples.sample import Sample, dangerous, unjudged

UTILS = "torch._utils"
PARAMETER = name("torch.nn.parameter", "Parameter")


def zipped(path: str, what: str, item: object, storages: dict[str, bytes] | None = None, *rules: str) -> Sample:
    """A dangerous torch zip."""
    return dangerous(path, what, zip_of(item, {"0": ONES} if storages is None else storages).build(), *rules)


def sparse(layout: str, *parts: object) -> Code:
    """A sparse tensor."""
    kind = call(name("torch.serialization", "_get_layout"), f"torch.{layout}")
    return call(name(UTILS, "_rebuild_sparse_tensor"), kind, parts)


def quantized(quantizer: tuple[object, ...]) -> Code:
    """A quantized tensor of four elements, in storage 0."""
    held = storage("0", 4, "QInt8Storage")
    return call(name(UTILS, "_rebuild_qtensor"), held, 0, (4,), (1,), quantizer, False, ORDERED_DICT)


def indices(key: str, *size: int) -> Code:
    """An int64 tensor over the whole storage `key`."""
    strides, count = [], 1
    for n in reversed(size):
        strides.append(count)
        count *= n
    return tensor(storage(key, count, "LongStorage"), size, tuple(reversed(strides)))


def doubled(levels: int, tuples: bool) -> bytes:
    """A value that holds the one before it twice, `levels` times over: 2 ** levels paths in a few bytes a level."""
    body = put((), 0) if tuples else put([], 0)
    for level in range(levels):
        pair = get(level) + get(level)
        step = pair + b"\x86" if tuples else b"](" + pair + b"e"
        body += POP + step + b"r" + struct.pack("<I", level + 1)
    return body


HOLE = b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}}'
VALUES = tensor(storage("1", 2), (2,))
STATE = name(UTILS, "_rebuild_parameter_with_state")

SAMPLES = (
    zipped("memory/tensor-too-long.pt", "a tensor of more elements than its storage holds",
           {"w": tensor(size=(5,))}, None, "tensor-bounds"),
    zipped("memory/tensor-offset.pt", "a tensor that starts behind its storage",
           {"w": tensor(size=(1,), offset=4)}, None, "tensor-bounds"),
    zipped("memory/tensor-stride.pt", "few elements, and strides that leave the storage",
           {"w": tensor(size=(2, 2), stride=(1 << 40, 1))}, None, "tensor-bounds"),
    zipped("memory/negative-stride.pt", "a negative stride walks out in front of the storage",
           {"w": tensor(stride=(-1,))}, None, "tensor-bounds"),
    zipped("memory/negative-offset.pt", "a negative offset", {"w": tensor(offset=-4)}, None, "tensor-bounds"),
    zipped("memory/size-overflows.pt", "sizes whose product is 0 in 64 bits",
           {"w": tensor(size=(1 << 32, 1 << 32), stride=(0, 0))}, None, "tensor-bounds"),
    zipped("memory/rank-mismatch.pt", "three sizes and one stride",
           {"w": tensor(size=(1, 1, 4), stride=(1,))}, None, "tensor-bounds"),
    zipped("memory/size-as-float.pt", "a size that is no int", {"w": tensor(size=(4.0,))}, None, "tensor-bounds"),
    unjudged("memory/expansion-bomb.pt", "stride 0: one element in the file, a terabyte in a copy",
             zip_of({"w": tensor(size=(1 << 38,), stride=(0,))}).build(), "tensor-expansion"),
    zipped("memory/storage-too-long.pt", "a storage that is declared longer than its member",
           {"w": tensor(storage("0", 1 << 61))}, None, "argument-shape", "persistent-id"),
    zipped("memory/storage-missing.pt", "a storage that no member holds",
           {"w": tensor(storage("7", 4))}, None, "argument-shape", "persistent-id"),
    zipped("memory/storage-count-negative.pt", "a storage of a negative number of elements",
           {"w": tensor(storage("0", -4))}, None, "argument-shape", "persistent-id"),
    zipped("memory/storage-key-odd.pt", "a storage key that leads out of its folder",
           {"w": tensor(storage("../0", 4))}, None, "argument-shape", "persistent-id"),
    zipped("memory/two-types-for-one-key.pt", "one storage key with two types: torch believes the first only",
           {"a": tensor(), "b": tensor(storage("0", 2, "DoubleStorage"), (2,))}, None,
           "argument-shape", "persistent-id"),
    zipped("memory/sparse-indices-outside.pt", "a sparse tensor with an index outside its size crashes its user",
           {"w": sparse("sparse_coo", indices("0", 1, 2), VALUES, (4,))},
           {"0": longs(0, 1 << 40), "1": floats(1, 1)}, "tensor-bounds"),
    zipped("memory/sparse-csr-descends.pt", "a compressed sparse tensor whose row pointers go down",
           {"w": sparse("sparse_csr", indices("0", 4), indices("2", 2), VALUES, (3, 3))},
           {"0": longs(0, 5, 1, 2), "1": floats(1, 1), "2": longs(0, 1)}, "tensor-bounds"),
    zipped("memory/sparse-claims-coalesced.pt", "a sparse tensor that claims that no index stands twice",
           {"w": sparse("sparse_coo", indices("0", 1, 2), VALUES, (4,), True)},
           {"0": longs(3, 3), "1": floats(1, 1)}, "tensor-bounds"),
    zipped("memory/zero-point.pt", "a quantized tensor whose zero point lies outside its type",
           {"w": quantized((name("torch", "per_tensor_affine"), 0.5, 1000))}, {"0": b"\1\2\3\4"}, "argument-shape"),
    zipped("memory/zero-points-of-channels.pt", "zero points of channels outside their type, which kernels index by",
           {"w": quantized((name("torch", "per_channel_affine"),
                            tensor(storage("1", 4, "DoubleStorage")), indices("2", 4), 0))},
           {"0": b"\1\2\3\4", "1": struct.pack("<4d", 1, 1, 1, 1), "2": longs(0, 1, 2, 1 << 40)}, "argument-shape"),
    zipped("memory/nested-outside-buffer.pt", "a piece of a nested tensor lies outside its buffer",
           {"w": call(name(UTILS, "_rebuild_nested_tensor"), tensor(), indices("1", 2, 1), indices("2", 2, 1),
                      indices("3", 2))},
           {"0": ONES, "1": longs(2, 9), "2": longs(1, 1), "3": longs(0, 2)}, "tensor-bounds"),
    dangerous("memory/legacy-without-keys.pt", "a legacy file that stores none of its storages: torch shows its heap",
              legacy({"w": tensor(old_storage())}, {}), "storage-keys"),
    dangerous("memory/legacy-view-outside.pt", "a legacy view of a storage that reaches behind it",
              legacy({"w": tensor(old_storage(view=("1", 2, 9)))}, {"0": (4, ONES)}),
              "argument-shape", "tensor-bounds"),
    zipped("memory/hooks-filled-later.pt", "hooks that are empty when the tensor is made, and filled afterwards",
           [Code(put(ORDERED_DICT, 1) + POP + tensor(hooks=get(1))), Code(get(1) + value(1) + value(2) + b"s")],
           None, "argument-shape"),
    unjudged("memory/sizes-changed-later.pkl", "a list that is changed after the call that read it",
             pickle([Code(put([4], 1) + POP + call(name("torch", "Size"), get(1))), Code(get(1) + value(5) + b"a")]),
             "argument-shape"),
    zipped("memory/state-sets-data.pt", "the state of a Parameter replaces its data",
           {"w": call(STATE, tensor(), True, ORDERED_DICT, {"data": 1})}, None, "argument-shape"),
    zipped("memory/state-sets-class.pt", "the state of a Parameter replaces its class",
           {"w": call(STATE, tensor(), True, ORDERED_DICT, {"__class__": name("torch", "Tensor")})},
           None, "argument-shape"),
    zipped("memory/parameter-of-number.pt", "a Parameter around something that is no tensor",
           {"w": call(name(UTILS, "_rebuild_parameter"), 7, True, ORDERED_DICT)}, None, "argument-shape"),
    zipped("memory/state-on-storage.pt", "BUILD on a storage exchanges its type",
           {"w": build(storage(), {"dtype": name("torch", "float64")})}, None, "foreign-state"),
    unjudged("memory/doubling-key.pkl", "a tuple that holds one twice, at forty levels, as a key: its hash never ends",
             PROTO2 + b"}" + doubled(40, tuples=True) + value(1) + b"s" + STOP, "limit-reached"),
    unjudged("memory/deep-nesting.pkl", "a thousand lists in each other", PROTO2 + b"](" * 1000 + b"e" * 1000 + STOP,
             "limit-reached"),
    unjudged("memory/literal-too-long.pkl", "a bytes literal that announces 2^62 bytes",
             b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"x.", "limit-reached"),
    unjudged("memory/digits.pkl", "a text integer of five thousand digits", b"L" + b"7" * 5000 + b"L\n.",
             "limit-reached"),
    unjudged("memory/million-opcodes.pt", "two million opcodes in thirteen kilobytes of deflate",
             deflated(zip_around(unrolled(b"N0", 8100)), "archive/data.pkl").build(), "zip-limit"),
    unjudged("memory/marks-without-end.pkl", "a hundred thousand opened and never closed marks",
             PROTO2 + MARK * 10000, "malformed-pickle"),
    unjudged("memory/array-too-long.npy", "an array of 2^60 elements in a file of a few bytes",
             npy("<f8", (1 << 60,), ONES), "malformed"),
    unjudged("memory/safetensors-hole.safetensors", "a safetensors header whose tensors leave bytes uncovered",
             struct.pack("<Q", len(HOLE)) + HOLE + bytes(16), "safetensors-offsets"),
    zipped("memory/new-storage.pt", "a storage class called instead of named by an id",
           {"w": call(name("torch", "FloatStorage"), 1 << 40)}, None, "argument-shape"),
    zipped("memory/new-parameter-state.pt", "a Parameter whose state is not what torch writes",
           {"w": build(new(PARAMETER), {"data": 1})}, None, "argument-shape"),
)  # fmt: skip
