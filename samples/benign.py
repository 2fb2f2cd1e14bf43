"""Files as honest programs write them: what every release must call clean, or unvetted with a reason.

Each torch file among those that weights_only accepts is loaded by torch itself in the tests.
"""

from __future__ import annotations

import struct

from samples.assemble import (
    BUILD,
    MARK,
    ONES,
    ORDERED_DICT,
    POP,
    PROTO2,
    STOP,
    Code,
    after,
    build,
    call,
    floats,
    get,
    inst,
    longs,
    name,
    new,
    old_storage,
    pickle,
    put,
    short,
    stack_name,
    storage,
    tensor,
    value,
)
from samples.containers import torchscript
from samples.deflate import gzip
from samples.files_of_torch import (
    SYSTEM,
    deflated,
    legacy,
    npy,
    plain_zip,
    resaved,
    tar,
    tar_storages,
    tar_tensors,
    zip_around,
    zip_of,
)
from samples.memory import PARAMETER, UTILS, doubled, indices, quantized, sparse
from samples.sample import Sample, clean, unvetted
from tests.containers.zip_builder import Member

PROTO4 = b"\x80\x04"
LATIN = name("_codecs", "encode")
ARRAY = name("numpy.core.multiarray", "_reconstruct")
NDARRAY = name("numpy", "ndarray")
OWN_CLASS = name("myproject.model", "Net")


def zipped(path: str, what: str, item: object, storages: dict[str, bytes] | None = None) -> Sample:
    """A clean torch zip."""
    return clean(f"benign/{path}", what, zip_of(item, {"0": ONES} if storages is None else storages).build())


def ordered(**items: object) -> Code:
    """An OrderedDict with items and the `_metadata` that state_dict() gives it."""
    pairs = b"".join(value(key) + value(item) for key, item in items.items())
    metadata = call(name("collections", "OrderedDict"))
    return Code(ORDERED_DICT + MARK + pairs + b"u" + value({"_metadata": metadata}) + BUILD)


def parameter(key: str = "0") -> Code:
    """A Parameter of four floats."""
    return call(name(UTILS, "_rebuild_parameter"), tensor(storage(key)), True, ORDERED_DICT)


def dtype(text: str, order: str = "<") -> Code:
    """A numpy dtype of numbers."""
    return build(call(name("numpy", "dtype"), text, False, True), (3, order, None, None, None, -1, -1, 0))


def array(numbers: bytes, shape: tuple[int, ...], kind: Code) -> Code:
    """A numpy array."""
    made = call(ARRAY, NDARRAY, (0,), call(LATIN, "b", "latin1"))
    return build(made, (1, shape, kind, False, call(LATIN, numbers.decode("latin1"), "latin1")))


def tar_file() -> bytes:
    """A checkpoint of torch 0.1.1."""
    held = value((1, "cpu", name("torch", "FloatStorage")))
    flat = (value((2, 1, name("torch", "FloatTensor"))), (4,), (1,), 0)
    return tar(
        {
            "sys_info": pickle(SYSTEM),
            "pickle": pickle({"w": Code(b"K\x02Q")}),
            "tensors": tar_tensors((flat,)),
            "storages": tar_storages(((held, 4, ONES),)),
        }
    )


def protocol4(item: bytes) -> bytes:
    """A framed stream."""
    body = item + STOP
    return PROTO4 + b"\x95" + struct.pack("<Q", len(body)) + body


def named4(module: str, attribute: str) -> Code:
    """A name as protocol 4 writes it."""
    return Code(short(module) + b"\x94" + short(attribute) + b"\x94\x93\x94")


def tensor4() -> Code:
    """{'w': a tensor} as torch.save(pickle_protocol=4) writes it."""
    pid = value(("storage", named4("torch", "FloatStorage"), short("0"), short("cpu"), 4))
    hooks = call(named4("collections", "OrderedDict"))
    made = call(named4("torch._utils", "_rebuild_tensor_v2"), Code(pid + b"Q"), 0, (4,), (1,), False, hooks)
    return Code(b"}\x94" + short("w") + b"\x94" + made + b"\x94s")


def safetensors() -> bytes:
    """One tensor of four floats."""
    header = b'{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + ONES


OPTIMIZER = {
    "state": {0: {"step": tensor(storage("1", 1), (), ()), "exp_avg": tensor(storage("2"))}},
    "param_groups": [{"lr": 0.001, "betas": (0.9, 0.999), "weight_decay": 0, "amsgrad": False, "params": [0]}],
}
TIED = [Code(put(parameter(), 1)), get(1), tensor(size=(2,), offset=2)]
OWN_LAYER = new(name("torch.nn.modules.linear", "Linear"))
DATES = [
    call(name("datetime", "date"), call(LATIN, "\x07\xe8\x02\x1d", "latin1")),
    call(name("datetime", "timedelta"), 1, 2, 3),
    call(name("fractions", "Fraction"), "3/4"),
    call(name("decimal", "Decimal"), "1.50"),
    call(name("builtins", "complex"), 1.0, -2.0),
    call(name("builtins", "set"), [1, 2, 3]),
    call(name("builtins", "range"), 0, 10, 2),
    call(name("pathlib", "PosixPath"), "runs", "a"),
]

SAMPLES = (
    zipped("state-dict.pt", "a state_dict as torch 2 saves it",
           ordered(weight=parameter("0"), bias=tensor(storage("1", 2), (2,))), {"0": ONES, "1": floats(0, 1)}),
    clean("benign/state-dict-1.6.pt", "the same by the first torch that wrote zips: fewer records, version in front",
          zip_around(pickle(ordered(weight=tensor()))).but(members=(
              Member(b"archive/version", b"3\n"),
              Member(b"archive/data.pkl", pickle(ordered(weight=tensor()))),
              Member(b"archive/data/0", ONES))).build()),
    clean("benign/legacy.pt", "a state_dict in the format of torch 1.5 and before",
          legacy(ordered(weight=tensor(old_storage())), {"0": (4, ONES)})),
    clean("benign/legacy-views.pt", "a legacy file with view metadata in its storage ids", legacy(
        {"w": tensor(old_storage(view=("1", 2, 2)), (2,))},
        {"0": (4, ONES)})),
    clean("benign/torch-0.1.tar", "a checkpoint of torch 0.1.1: a tar of pickles", tar_file()),
    clean("benign/torch-0.3-tensor.pt", "torch 0.3: a tensor class called without arguments, then its state",
          legacy({"w": build(new(name("torch", "FloatTensor")), (old_storage(), 0, (4,), (1,)))}, {"0": (4, ONES)})),
    zipped("checkpoint.pt", "model, optimizer, epoch and losses of a training run",
           {"model": ordered(w=tensor()), "optimizer": OPTIMIZER, "epoch": 3, "losses": [0.5, 0.25], "best": None},
           {"0": ONES, "1": floats(7), "2": floats(0, 0, 0, 1)}),
    zipped("tied-weights.pt", "one Parameter under two names, and a view of its storage", TIED),
    zipped("attributes.pt", "a Parameter with an attribute of its own",
           {"w": call(name(UTILS, "_rebuild_parameter_with_state"), tensor(), True, ORDERED_DICT, {"tag": "a"})}),
    zipped("random-state.pt", "random states of torch, Python and numpy", {
        "torch": tensor(storage("0", 16, "ByteStorage"), (16,)), "python": (3, tuple(range(625)), None),
        "numpy": ("MT19937", array(bytes(2496), (624,), dtype("u4")), 624, 0, 0.0)}),
    zipped("arguments.pt", "an argparse.Namespace beside the weights",
           {"args": build(new(name("argparse", "Namespace")), {"lr": 0.1, "name": "run"}), "w": tensor()}),
    zipped("sparse.pt", "a sparse tensor by coordinates",
           {"w": sparse("sparse_coo", indices("0", 1, 2), tensor(storage("1", 2), (2,)), (4,), True)},
           {"0": longs(0, 3), "1": floats(1, 2)}),
    zipped("sparse-csr.pt", "a compressed sparse tensor",
           {"w": sparse("sparse_csr", indices("0", 3), indices("2", 2), tensor(storage("1", 2), (2,)), (2, 3))},
           {"0": longs(0, 1, 2), "1": floats(1, 2), "2": longs(2, 0)}),
    zipped("quantized.pt", "a quantized tensor with one scale",
           {"w": quantized((name("torch", "per_tensor_affine"), 0.5, 3))}, {"0": b"\1\2\3\4"}),
    zipped("quantized-channels.pt", "a quantized tensor with a scale and zero point for each channel",
           {"w": quantized((name("torch", "per_channel_affine"), tensor(storage("1", 4, "DoubleStorage")),
                            indices("2", 4), 0))},
           {"0": b"\1\2\3\4", "1": struct.pack("<4d", 1, 1, 1, 1), "2": longs(0, 1, 2, 3)}),
    zipped("nested.pt", "a nested tensor of two pieces",
           {"w": call(name(UTILS, "_rebuild_nested_tensor"), tensor(), indices("1", 2, 1), indices("2", 2, 1),
                      indices("3", 2))},
           {"0": ONES, "1": longs(1, 3), "2": longs(1, 1), "3": longs(0, 1)}),
    zipped("float8.pt", "a tensor of an eight bit float", {
        "w": call(name(UTILS, "_rebuild_tensor_v3"), storage("0", 16, "torch.storage.UntypedStorage"), 0, (16,), (1,),
                  False, ORDERED_DICT, name("torch", "float8_e4m3fn"))}),
    zipped("bfloat16.pt", "a tensor of bfloat16", {"w": tensor(storage("0", 8, "BFloat16Storage"), (2, 4), (4, 1))}),
    zipped("conjugate.pt", "a tensor whose conjugate bit is set", {
        "w": call(name(UTILS, "_rebuild_tensor_v2"), storage("0", 2, "ComplexFloatStorage"), 0, (2,), (1,), False,
                  ORDERED_DICT, {"conj": True})}),
    zipped("meta.pt", "a tensor without data", {"w": call(
        name(UTILS, "_rebuild_meta_tensor_no_storage"), name("torch", "float32"), (2, 3), (3, 1), False)}, {}),
    zipped("empty-tensor.pt", "a tensor without elements", {"w": tensor(storage("0", 0), (0, 3), (3, 1))}, {"0": b""}),
    zipped("small-values.pt", "a size, a device, a dtype and a layout", {
        "size": call(name("torch", "Size"), (2, 3)), "device": call(name("torch", "device"), "cuda", 0),
        "dtype": name("torch", "float16"),
        "layout": call(name("torch.serialization", "_get_layout"), "torch.strided")}),
    clean("benign/protocol-4.pt", "torch.save with pickle_protocol=4", zip_around(protocol4(tensor4())).build()),
    clean("benign/resaved.pt", "a checkpoint written anew by Python's zipfile",
          resaved(zip_of({"w": tensor()})).build()),
    clean("benign/deflated.pt", "a checkpoint compressed by another zip program",
          deflated(zip_of({"w": tensor()})).build()),
    clean("benign/big-endian.pt", "a checkpoint of a big-endian machine",
          zip_of({"w": tensor()}, {"0": struct.pack(">4f", 1, 2, 3, 4)}).but_member(
              b"archive/byteorder", data=b"big").build()),
    clean("benign/weights.safetensors", "a safetensors file", safetensors()),
    clean("benign/array.npy", "a numpy array", npy("<f4", (2, 2), ONES)),
    clean("benign/arrays.npz", "an archive of numpy arrays",
          plain_zip({"x.npy": npy("<f4", (4,), ONES), "y.npy": npy("<i8", (1,), longs(7))}).build()),
    clean("benign/text-protocol.pkl", "plain data in protocol 0", b"(dp0\nVname\np1\nVrun\np2\nsVsteps\np3\nI10\ns."),
    clean("benign/plain-types.pkl", "dates, fractions, sets and paths of the standard library", pickle(DATES)),
    clean("benign/instance-of-python-2.pkl", "an OrderedDict as python 2 spells it, by pairs",
          pickle(call(name("collections", "OrderedDict"), [["a", 1], ["b", 2]]))),
    clean("benign/two-objects.pkl", "two pickles, dumped one after the other", pickle({"a": 1}) + pickle([2])),
    clean("benign/compressed.pkl.gz", "a pickle under gzip", gzip(pickle({"a": [1, 2]}))),
    clean("benign/storage-in-bytes.pkl", "a tensor by pickle.dump: its storage is a legacy file inside bytes",
          pickle(tensor(call(name("torch.storage", "_load_from_bytes"), legacy(old_storage(), {"0": (4, ONES)}))))),
    clean("benign/shared-lists.pkl", "lists that hold each other twice: twenty levels, twenty objects",
          PROTO2 + doubled(20, tuples=False) + STOP),
    clean("benign/thrown-away.pkl", "values that are made and popped", pickle(after(value([1]) + POP + value({}), 7))),
    unvetted("benign/enum-member.pkl", "an enum member, which some Pythons spell as getattr of its class",
             pickle({"when": call(name("builtins", "getattr"), name("transformers.trainer_utils", "IntervalStrategy"),
                                  "EPOCH")}), "enum-lookup", "known-class"),
    unvetted("benign/whole-module.pt", "a pickled module: its class is not in the table",
             zip_of(build(OWN_LAYER, {"training": True, "_parameters": ordered(weight=parameter())})).build(),
             "known-class"),
    unvetted("benign/own-module.pt", "a pickled module of a project's own class",
             zip_of(build(new(OWN_CLASS), {"training": True, "w": tensor()})).build(), "unknown-global"),
    unvetted("benign/old-style-instance.pkl", "an instance of a class of python 2",
             pickle(inst("myproject.data", "Vocabulary"), b""), "unknown-global"),
    unvetted("benign/torchscript.pt", "a TorchScript archive: its code runs when it is loaded", torchscript(),
             "torchscript-code"),
    unvetted("benign/subclass.pt", "a tensor of a class of its own, as quantization libraries make them", zip_of(
        {"w": call(name("torch._tensor", "_rebuild_from_type_v2"), name(UTILS, "_rebuild_tensor_v2"),
                   stack_name("torchao.dtypes", "PlainTensor"),
                   (storage(), 0, (4,), (1,), False, ORDERED_DICT), {})}).build(), "argument-shape", "known-class"),
    clean("benign/parameter-0.3.pt", "a Parameter as torch 0.3 saved it", legacy(
        {"w": new(PARAMETER, build(new(name("torch", "FloatTensor")), (old_storage(), 0, (4,), (1,))), True)},
        {"0": (4, ONES)})),
)  # fmt: skip
