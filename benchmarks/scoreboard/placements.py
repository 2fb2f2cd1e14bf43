"""Where a call can stand in a file: functions from opcodes to the bytes of a checkpoint that holds them. Runs nothing.

The checkpoint around it is what torch.save writes for a model with its optimizer; samples/ builds its bytes, and torch
loads it. A stream is protocol 4 where the payload needs dotted names, else 2.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

from samples.assemble import (
    BUILD,
    ORDERED_DICT,
    POP,
    PROTO2,
    PROTO4,
    STACK_GLOBAL,
    STOP,
    Code,
    after,
    build,
    call,
    floats,
    name,
    old_storage,
    pickle,
    storage,
    tensor,
    value,
)
from samples.containers import torchscript
from samples.files_of_torch import (
    MAGIC,
    SYSTEM,
    deflated,
    extra,
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
from tests.containers.zip_builder import Archive, Member

Place = Callable[[Code], bytes]
STORAGES = {"0": floats(1, 1, 1, 1), "1": floats(7), "2": floats(0, 0, 0, 1)}
CLEAN = zip_of({"w": tensor()})
HELD = {"0": (4, floats(1, 1, 1, 1))}
PICKLE = b"archive/data.pkl"


def stream(item: object) -> bytes:
    """A whole pickle, of protocol 4 if a name in it could have dots."""
    body = value(item)
    return (PROTO4 if STACK_GLOBAL in body else PROTO2) + body + STOP


def checkpoint(item: object) -> bytes:
    """A torch zip around one object."""
    return zip_around(stream(item), STORAGES).build()


def training(weight: object = None, lr: object = 0.001, moment: object = None, epoch: object = 3) -> dict[str, object]:
    """A model, its optimizer and how far it came, with one part replaced."""
    state = {0: {"step": tensor(storage("1", 1), (), ()), "exp_avg": moment or tensor(storage("2"))}}
    groups = [{"lr": lr, "betas": (0.9, 0.999), "amsgrad": False, "params": [0]}]
    return {"model": {"weight": weight or tensor()}, "optimizer": {"state": state, "param_groups": groups},
            "epoch": epoch}  # fmt: skip


def zip_with(code: Code, **changes: object) -> Archive:
    """A torch zip whose data.pkl runs the payload, with fields of the archive changed."""
    return zip_around(stream({"w": tensor(), "x": code})).but(**changes)


def with_state(code: Code) -> Code:
    """An OrderedDict with `_metadata`."""
    return Code(ORDERED_DICT + value({"_metadata": code}) + BUILD)


def old(code: Code, which: str) -> bytes:
    """A legacy file with the payload popped in one of its five pickles."""
    whole = {"magic": MAGIC, "protocol": 1001, "system": SYSTEM, "keys": ["0"]}[which]
    replaced = {which: stream(after(code, whole))}
    return legacy({"w": tensor(old_storage())}, HELD, **replaced)


def old_tar(code: Code, which: str) -> bytes:
    """The oldest format, with the payload in one of its members."""
    held = value((1, "cpu", name("torch", "FloatStorage")))
    flat = (value((2, 1, name("torch", "FloatTensor"))), (4,), (1,), 0)
    members = {
        "sys_info": stream(after(code, SYSTEM)) if which == "sys_info" else pickle(SYSTEM),
        "pickle": stream(after(code, {})) if which == "pickle" else pickle({}),
        "tensors": (stream(after(code, 0)) if which == "tensors" else tar_tensors((flat,))),
        "storages": (stream(after(code, 0)) if which == "storages" else tar_storages(((held, 4, floats(1, 1, 1, 1)),))),
    }
    return tar(members)


def by_zipfile(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive as Python's zipfile writes it, of no particular time."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for path, data in members.items():
            archive.writestr(zipfile.ZipInfo(path), data, method)
    return out.getvalue()


def doubled(code: Code) -> bytes:
    """Three members of one name: torch, which halves a sorted list, takes the first, Python's zipfile the last."""
    first, *others = CLEAN.members
    return CLEAN.but(members=(Member(first.name, stream(code)), *others, first, first)).build()


def in_comment(code: Code) -> bytes:
    """A harmless zip whose comment is the rest of another zip, with the payload: the last end record counts."""
    clean = CLEAN.build()
    head = clean[: clean.rindex(b"PK\5\6") + 20]
    length = len(zip_with(code, prefix=head + b"\0\0").build()) - len(head) - 2
    return zip_with(code, prefix=head + struct.pack("<H", length)).build()


def upper_case(code: Code) -> bytes:
    """DATA.PKL alone: torch finds it, an exact reader does not."""
    members = (*(m for m in CLEAN.members if m.name != PICKLE), Member(b"archive/DATA.PKL", stream(code)))
    return CLEAN.but(members=members).build()


def count_cut(code: Code) -> bytes:
    """The end record counts one entry less than there are: the last, a second data.pkl, is for others only."""
    whole = zip_with(code).plus(Member(PICKLE, pickle({})))
    return whole.but(count=len(whole.members) - 1, count64=len(whole.members) - 1).build()


def package(code: Code) -> bytes:
    """A torch.package."""
    members = {"net/.data/extern_modules": b"", "net/.data/python_version": b"3.11.7", "net/m/m.pkl": stream(code)}
    return plain_zip(members).build()


BARE: dict[str, tuple[str, Place]] = {
    "the whole pickle": ("pkl", stream),
    "popped before the object": ("pkl", lambda c: stream(after(c, {"lr": 0.1}))),
    "a value": ("pkl", lambda c: stream({"lr": 0.1, "x": c})),
    "a key": ("pkl", lambda c: PROTO4 + b"}" + after(c, "k") + b"K\1s" + STOP),
    "in nested tuples": ("pkl", lambda c: stream({"a": ((1, [(c, 2)]),)})),
    "argument of a vetted call": ("pkl", lambda c: stream(call(name("collections", "OrderedDict"), [["a", c]]))),
    "state of a vetted object": ("pkl", lambda c: stream(build(ORDERED_DICT, {"x": c}))),
    "second stream": ("pkl", lambda c: pickle({"lr": 0.1}) + stream(c)),
    "thirtieth stream": ("pkl", lambda c: pickle({"lr": 0.1}) * 29 + stream(c)),
    "broken off": ("pkl", lambda c: PROTO4 + c + POP + b"\xff"),
    "cut off": ("pkl", lambda c: PROTO4 + c + POP),
}
TORCH: dict[str, tuple[str, Place]] = {
    "the object": ("pt", checkpoint),
    "value of the state_dict": ("pth", lambda c: checkpoint(training(weight=c))),
    "popped before the object": ("bin", lambda c: checkpoint(after(c, training()))),
    "optimizer state": ("pt", lambda c: checkpoint(training(moment=c))),
    "learning rate": ("ckpt", lambda c: checkpoint(training(lr=c))),
    "nested tuple": ("pt", lambda c: checkpoint(training(epoch=(1, (2, [c]))))),
    "_metadata": ("pt", lambda c: checkpoint({"m": with_state(c), "w": tensor()})),
    "backward hooks": ("pt", lambda c: checkpoint({"w": tensor(hooks=c)})),
    "shape of a tensor": ("pt", lambda c: checkpoint({"w": tensor(size=(c,))})),
    "location of a storage": ("pt", lambda c: checkpoint({"w": tensor(storage(location=c))})),  # type: ignore[arg-type]
    "count of a storage": ("pt", lambda c: checkpoint({"w": tensor(storage(count=c))})),
    "persistent id": ("pt", lambda c: checkpoint({"w": tensor(Code(value(c) + b"Q"))})),
    "attribute of a parameter": ("pt", lambda c: checkpoint({"w": call(
        name("torch._utils", "_rebuild_parameter_with_state"), tensor(), True, ORDERED_DICT, {"tag": c})})),
    "stream after data.pkl's": ("pt", lambda c: zip_around(pickle({"lr": 0.1}) + stream(c)).build()),
    "wrong checksum": ("pt", lambda c: zip_with(c).but_member(PICKLE, central={"crc": 1}).build()),
    "local name differs": ("pt", lambda c: zip_with(c).but_member(PICKLE, local={"name": b"archive/notes.tx"}).build()),
    "three of one name": ("pt", doubled),
    "upper case": ("pt", upper_case),
    "count too small": ("pt", count_cut),
    "NUL in a name": ("pt", lambda c: extra(zip_with(c), "archive/data.pkl\0x", pickle({})).build()),
    "comment": ("pt", in_comment),
    "comment length lies": ("pt", lambda c: zip_with(c, comment_length=5).build()),
    "bytes after the end": ("pt", lambda c: zip_with(c, trailing=b"PK\5\6").build()),
    "compressed": ("pt", lambda c: deflated(zip_with(c)).build()),
    "compressed, wrong checksum": ("pt", lambda c:
        deflated(zip_with(c)).but_member(PICKLE, central={"crc": 1}).build()),
    "written anew": ("pt", lambda c: resaved(zip_with(c)).build()),
    "directory backwards": ("pt", lambda c: zip_with(c, backwards=True).build()),
    "in front of a zip": ("pt", lambda c: stream(c) + CLEAN.build()),
    "legacy in front of a zip": ("pt", lambda c: legacy(c, {}) + CLEAN.build()),
    "legacy: magic number": ("pt", lambda c: old(c, "magic")),
    "legacy: version": ("pt", lambda c: old(c, "protocol")),
    "legacy: system": ("pt", lambda c: old(c, "system")),
    "legacy: object": ("pth", lambda c: legacy({"w": tensor(old_storage()), "x": c}, HELD)),
    "legacy: keys": ("pt", lambda c: old(c, "keys")),
    "legacy: storage id": ("pt", lambda c: legacy({"w": tensor(old_storage(count=c))}, HELD)),
    "legacy: no extension": ("", lambda c: legacy({"x": c}, HELD)),
    "tar: storages": ("tar", lambda c: old_tar(c, "storages")),
    "tar: tensors": ("pt", lambda c: old_tar(c, "tensors")),
    "tar: object": ("t7", lambda c: old_tar(c, "pickle")),
    "tar: system": ("pth", lambda c: old_tar(c, "sys_info")),
}  # fmt: skip
OTHERS: dict[str, tuple[str, Place]] = {
    "extra member .txt": ("pt", lambda c: extra(CLEAN, "archive/notes.txt", stream(c)).build()),
    "extra member without extension": ("pt", lambda c: extra(CLEAN, "archive/weights", stream(c)).build()),
    "extra member .pkl": ("pt", lambda c: extra(CLEAN, "archive/extra/other.pkl", stream(c)).build()),
    "extra member among the storages": ("pt", lambda c: extra(CLEAN, "archive/data/1", stream(c)).build()),
    "member outside the folder": ("pt", lambda c: extra(CLEAN, "../other.pkl", stream(c)).build()),
    "TorchScript: constants.pkl": ("pt", lambda c: torchscript(**{"constants.pkl": stream(c)})),
    "TorchScript: attributes.pkl": ("pt", lambda c: torchscript(**{"attributes.pkl": stream(c)})),
    "TorchScript: debug_pkl": ("pt", lambda c: torchscript(**{"code/__torch__.py.debug_pkl": stream(c)})),
    "TorchScript: extra": ("pt", lambda c: torchscript(**{"extra/notes": stream(c)})),
    "torch.package": ("pt", package),
    ".npy": ("npy", lambda c: npy("|O", (1,), stream([c]))),
    ".npy with fields": ("npy", lambda c: npy("|O", (2, 1), stream(after(c, [1, 2])))),
    ".npz, second array": ("npz", lambda c: plain_zip({
        "x.npy": npy("<f4", (4,), floats(1, 1, 1, 1)), "y.npy": npy("|O", (1,), stream([c]))}).build()),
    ".npz compressed": ("npz", lambda c: by_zipfile({"y.npy": npy("|O", (1,), stream([c]))})),
    ".npy called .bin": ("bin", lambda c: npy("|O", (1,), stream([c]))),
    "joblib": ("joblib", lambda c: stream({"model": c})),
    "joblib zlib": ("joblib", lambda c: zlib.compress(stream({"model": c}))),
    "joblib gzip": ("joblib", lambda c: gzip.compress(stream({"model": c}), mtime=0)),
    "joblib bz2": ("joblib", lambda c: bz2.compress(stream({"model": c}))),
    "joblib xz": ("joblib", lambda c: lzma.compress(stream({"model": c}))),
    "joblib lzma": ("joblib", lambda c: lzma.compress(stream({"model": c}), lzma.FORMAT_ALONE)),
    "gzip": ("pkl.gz", lambda c: gzip.compress(stream(c), mtime=0)),
    "gzip called .pkl": ("pkl", lambda c: gzip.compress(stream(c), mtime=0)),
    "bz2": ("pkl.bz2", lambda c: bz2.compress(stream(c))),
    "tar": ("tar", lambda c: tar({"model/weights.pkl": stream(c)})),
    "tar.gz": ("tar.gz", lambda c: gzip.compress(tar({"model/weights.pkl": stream(c)}), mtime=0)),
    "tar of a checkpoint": ("nemo", lambda c: tar({"config.yaml": b"a: 1\n", "model_weights.ckpt": checkpoint(c)})),
    "zip of a pickle": ("zip", lambda c: by_zipfile({"model/weights.pkl": stream(c)})),
    "zip of text": ("zip", lambda c: by_zipfile({"README.md": b"# model\n", "notes.txt": stream(c)})),
    "zip of a checkpoint": ("mar", lambda c: by_zipfile({"MAR-INF/MANIFEST.json": b"{}", "model.pt": checkpoint(c)})),
    "zip in a zip": ("zip", lambda c: by_zipfile({"in.zip": by_zipfile({"in.zip": by_zipfile({"x.pkl": stream(c)})})})),
    "zip of a legacy file": ("zip", lambda c: by_zipfile({"old.pth": legacy({"x": c}, HELD)})),
    "zip of .npy": ("zip", lambda c: by_zipfile({"a.npy": npy("|O", (1,), stream([c]))})),
    "zip in a tar in gzip": ("tgz", lambda c: gzip.compress(tar({"a.zip": by_zipfile({"x.pkl": stream(c)})}), mtime=0)),
    "gzip twice": ("gz", lambda c: gzip.compress(gzip.compress(stream(c), mtime=0), mtime=0)),
}  # fmt: skip
PLACES: Mapping[str, Mapping[str, tuple[str, Place]]] = MappingProxyType(
    {"bare": BARE, "torch": TORCH, "other": OTHERS}
)
"""Container -> place -> the file's extension, and what makes it."""

LIES = ("txt", "jpg", "png", "json", "md", "csv", "safetensors", "onnx", "gguf", "h5", "PT", "pt.bak", "model", "")
"""Extensions that a checkpoint can have."""
