"""Writes tests/fuzz/corpus: `python -m tests.fuzz.make_corpus [FOLDER]`. A folder for each target, an index of all.

Few and small: a seed earns its place by a branch that no other one reaches. Made by code without torch and without a
clock, so two runs anywhere give the same bytes; a test holds the folder to this file.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import struct
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from samples.assemble import (
    PROTO2,
    STOP,
    call,
    floats,
    inst,
    name,
    new,
    old_storage,
    persistent,
    pickle,
    short,
    tensor,
    value,
)
from samples.containers import torchscript
from samples.files_of_torch import SYSTEM, legacy, npy, plain_zip, tar, tar_storages, tar_tensors
from tests.containers.zip_builder import Member, numbered, torch_like
from tests.fuzz.coverage_guided import CORPUS, NAMES
from tests.tree.shelf import pack

ORDERED = name("collections", "OrderedDict")


class Entry(NamedTuple):
    """One seed: `target/name`, what it is, and its bytes."""

    path: str
    what: str
    data: bytes


def _tree(root: object, **more: object) -> bytes:
    return json.dumps({"format": "safeload.tree", "version": 1, **more, "root": root}).encode()


def _machine() -> list[tuple[str, str, bytes]]:
    plain = [1, -70000, 2.5, None, True, "a", b"b", (1, 2, 3, 4), {"k": {}}]
    return [
        ("plain", "plain values, protocol 2", pickle(plain)),
        ("framed", "frame, memo, names from the stack, protocol 4",
         b"\x80\x04\x95\x1c\0\0\0\0\0\0\0" + short("collections") + b"\x94" + short("Counter") + b"\x94\x93)R."),
        ("text", "text forms, protocol 0", b"(lp0\nI1\naL-5L\naF1.5\naS'a\\x41'\naV\\u20ac\np1\nag1\naI01\na."),
        ("calls", "every way to call and to change",
         PROTO2 + call(ORDERED) + b"}b0" + new(ORDERED) + b"0" + inst("collections", "Counter") + b"0("
         + ORDERED + b"o."),
        ("sets", "sets, bytearrays, buffers and keyword arguments, protocol 5",
         b"\x80\x05\x8f(K\x01\x90(K\x02\x91\x96\x01\0\0\0\0\0\0\0a\x97\x98" + ORDERED + b")}\x92\x87."),
        ("ids", "persistent ids and extension codes", PROTO2 + persistent(("storage", 1)) + b"Pa\n\x82\x01\x87" + STOP),
        ("wide", "wide lengths, integers and memo",
         b"\x80\x04\x8b\x02\0\0\0\1\2\x8d\x01\0\0\0\0\0\0\0a\x8e\x01\0\0\0\0\0\0\0br\0\0\0\0j\0\0\0\0\x87\x86."),
    ]  # fmt: skip


def _zips() -> list[tuple[str, str, bytes]]:
    script = {"constants.pkl": pickle((tensor(),)), "constants/0": floats(1, 1, 1, 1)}
    usual = torch_like()
    lean = usual.but(members=tuple(replace(member, align=0) for member in usual.members))
    return [
        ("torch", "what torch.save writes", lean.build()),
        ("deflated", "data.pkl compressed", lean.but_member(b"a/data.pkl", method=8).build()),
        ("script", "TorchScript with constants", torchscript(**script)),
        ("arrays", "two arrays, one of objects",
         plain_zip({"x.npy": npy("<i4", (1,), b"\1\0\0\0"), "y.npy": npy("|O", (1,), pickle([None]))}).build()),
        ("nested", "a pickle and a zip in a zip",
         plain_zip({"a": numbered(1), "b": plain_zip({"c": numbered(2)}).build()}).build()),
        ("descriptor", "wide data descriptors", lean.but_member(b"a/data/0", wide_descriptor=True).build()),
        ("two", "two members of one name", lean.plus(Member(b"a/data.pkl", numbered(3))).build()),
    ]  # fmt: skip


def _legacy() -> list[tuple[str, str, bytes]]:
    one = {"0": (4, floats(1, 1, 1, 1))}
    return [
        ("tensor", "one tensor", legacy({"w": tensor(old_storage())}, one)),
        ("view", "a storage that is part of another",
         legacy({"w": tensor(old_storage("0", 4, ("1", 0, 2)), (2,))}, one)),
        ("empty", "no storage", legacy({"a": 1}, {})),
    ]  # fmt: skip


def _tars() -> list[tuple[str, str, bytes]]:
    flat = (value((2, 1, name("torch", "FloatTensor"))), (4,), (1,), 0)
    entry = (value((1, "cpu", name("torch", "FloatStorage"))), 4, floats(1, 1, 1, 1))
    whole = {"sys_info": pickle(SYSTEM), "pickle": PROTO2 + b"K\x02Q" + STOP, "tensors": tar_tensors((flat,)),
             "storages": tar_storages((entry,))}  # fmt: skip
    return [
        ("torch", "torch 0.1", tar(whole)),
        ("plain", "an archive with a pickle", tar({"a/b": numbered(1)})),
    ]


def _arrays() -> list[tuple[str, str, bytes]]:
    return [
        ("numbers", "little-endian floats", npy("<f4", (2,), floats(1, 2))),
        ("objects", "an array of objects", npy("|O", (1,), pickle([1]))),
        ("big", "big-endian numbers", npy(">i2", (1, 1), b"\0\1")),
        ("texts", "text", npy("<U1", (1,), b"a\0\0\0")),
    ]


def _safetensors() -> list[tuple[str, str, bytes]]:
    w = {"w": ("F32", (2, 3), bytes(24))}
    root = [
        {"id": 1, "list": [{"id": 2, "tuple": [{"map": {"a": {"ref": 1}, "b": [{"ref": 2}]}}]}]},
        {"call": "collections.OrderedDict", "changes": [["setitem", ["k", 1, "w", {"tensor": "w"}]]]},
        {"dict": [[1, {"set": [1, 2]}], [{"tuple": [1, "x"]}, {"bytes": "QUJD"}]]},
        [{"int": "-0xff"}, {"float": "nan"}, {"bytes_of": "w"}, {"storage": "w"}, {"name": "torch.float32"}],
        {"tensor": "w", "dtype": "float64", "shape": [1], "stride": [1], "offset": 1, "requires_grad": True},
    ]
    tree = _tree(root, storages={"w": {"location": "cuda:0"}})
    return [
        ("plain", "two tensors and metadata", pack({**w, "v": ("BOOL", (1,), b"\1")}, {"format": "pt"})),
        ("tree", "a tree of all forms in a file", pack(w, {"safeload.tree": tree.decode()})),
        ("text", "the text of a tree alone", tree),
        ("aside", "a tree with a tensor set aside", _tree(0, aside=["w"])),
        ("beside", "a tree that would lie beside the file", pack({}, {"safeload.tree.sha256": "0" * 64 + " 1"})),
        ("empty", "no tensors", struct.pack("<Q", 2) + b"{}"),
    ]


def _loader() -> list[tuple[str, str, bytes]]:
    return [
        ("torch", "what torch.save writes", torch_like().build()),
        ("plain", "plain values", pickle({"a": [1, (2.5, None)], 1: b"x"})),
        ("class", "a class outside the table", PROTO2 + new(name("acme", "Net")) + value({"w": [1]}) + b"b."),
        ("legacy", "one tensor", legacy({"w": tensor(old_storage())}, {"0": (4, floats(1, 1, 1, 1))})),
        ("array", "an array", npy("<f4", (2,), floats(1, 2))),
        ("safetensors", "a tensor", pack({"w": ("F32", (1,), bytes(4))}, {})),
    ]


def _kinds() -> list[tuple[str, str, bytes]]:
    script = b"def f():\n    pass\n"
    made = {
        "package": {"a/.data/extern_modules": b"torch\n", "a/.data/python_version": b"3.11\n", "a/m.py": script,
                    "a/m.pkl": numbered(1), "a/version": b"3\n"},
        "exported": {"a/archive_format": b"pt2", "a/models/m.json": _PROGRAM, "a/data/weights/weight_0": floats(1),
                     "a/data/aotinductor/m/x_compile_flags.json": b'{"compiler_flags": ["-O3"]}'},
        "keras": {"config.json": _LAYER, "metadata.json": b"{}"},
        "skops": {"schema.json": _NODE},
        "archive": {"MAR-INF/MANIFEST.json": _MANIFEST, "handler.py": script},
        "baselines": {"data": _SERIALIZED, "_stable_baselines3_version": b"2"},
    }  # fmt: skip
    return [(name, f"{name}: what its loader asks for", plain_zip(files).build()) for name, files in made.items()]


_PROGRAM = (
    b'{"graph_module": {"graph": {"nodes": [{"target": "torch.ops.aten.add.Tensor", "inputs": [{"name": "self", "arg":'
    b' {"as_sym_int": {"as_expr": {"expr_str": "2*s0", "hint": null}}}}]}]}}, "guards_code": ["Eq(s0, 2)"]}'
)
_LAYER = (
    b'{"module": "keras.layers", "class_name": "Lambda", "config": {"function": {"class_name": "__lambda__", "config":'
    b' {"code": "4wEA"}}}, "registered_name": null}'
)
_NODE = (
    b'{"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {"a": {"__class__": '
    b'"system", "__module__": "os", "__loader__": "FunctionNode", "content": {}}}, "key_types": {}, "protocol": 2}'
)
_MANIFEST = b'{"model": {"handler": "handler.py", "serializedFile": "m.pt", "requirementsFile": "../r.txt"}}'
_SERIALIZED = b'{"p": {":type:": "x", ":serialized:": "Y3Bvc2l4CnN5c3RlbQooVmlkCnRSLg=="}, "q": "a\\u0062\\ud800"}'
_TEMPLATE = b"{% for m in messages %}{{ m['a' ~ '_'] }}{% if m.x is defined %}{{ m|attr('b') }}{% endif %}{% endfor %}"


def _packed() -> list[tuple[str, str, bytes]]:
    return [
        ("zlib", "a pickle, compressed", zlib.compress(numbered(1))),
        ("gzip", "a pickle, compressed", gzip.compress(numbered(1), mtime=0)),
        ("bz2", "a pickle, compressed", bz2.compress(numbered(1))),
        ("xz", "a pickle, compressed", lzma.compress(numbered(1))),
        ("lzma", "a pickle, in the older form", lzma.compress(numbered(1), lzma.FORMAT_ALONE)),
        ("tags", "YAML with a tag of Python", b"a: !!python/object/apply:os.getcwd []\n%TAG ! x\n"),
        ("json", "JSON with a pickle", _SERIALIZED),
    ]


def _one(name: str, what: str, *texts: bytes) -> Callable[[], list[tuple[str, str, bytes]]]:
    """A corpus of a few texts of one sort."""
    return lambda: [(f"{name}{number or ''}", what, text) for number, text in enumerate(texts)]


def _folder() -> list[tuple[str, str, bytes]]:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU\0\0\0\0IEND\xaeB`\x82"
    return [
        ("text", "words", b"# A title\n\nSome words.\n"), ("source", "Python", b"import os\n\nclass A:\n    pass\n"),
        ("picture", "PNG", png), ("gif", "GIF", b"GIF89a\1\0\1\0\0\0\0;"), ("pickle", "a text pickle", b"I1\n."),
        ("call", "a text that calls", b"cposix\nsystem\n(S'echo 1'\ntR."),
        ("pyc", "a head of code", b"\xa7\r\r\n" + bytes(12)),
        ("library", "a head of ELF", b"\x7fELF\2\1\1" + bytes(57)), ("wave", "RIFF", b"RIFF\4\0\0\0WAVE"),
    ]  # fmt: skip


def _units() -> list[tuple[str, str, bytes]]:
    between = b"\n--next--\n"
    config = b'{"auto_map": {"AutoModel": "a.B"}, "chat_template": "{{ x[\'a\' ~ b] }}", "x": [1, null]}'
    yaml = b"flavors:\n  python_function: &x {loader_module: os, code: [*y]}\n? k\n: |\n  text\n_target_: nemo.X\n"
    parts = (config, _TEMPLATE, yaml, b'{"_class_name": ["a", "B"]}', b'[{"path": "", "type": "os.system"}]', yaml)
    return [
        ("many", "a folder of many", b"\0" + between.join(parts)), ("served", "a manifest", b"\6" + _MANIFEST),
        ("package", "a package", b"\x08os\n"), ("graph", "a SavedModel", b"\7\x12\6PyFunc"),
    ]  # fmt: skip


_MAKERS = {"kinds": _kinds, "packed": _packed, "folder": _folder, "units": _units,
           "json": _one("text", "JSON", _SERIALIZED, b'[1e5, -0.0, NaN, "\\u00e4", {"a": {}, "a": []}]', _NODE),
           "keras": _one("layer", "a configuration", _LAYER), "skops": _one("node", "a schema", _NODE),
           "torchserve": _one("manifest", "a manifest", _MANIFEST), "pt2": _one("program", "a program", _PROGRAM),
           "aoti": _one("flags", "flags", b'{"compiler_flags": ["-O3"], "definitions": ["A=1"], "libraries": ["a"]}'),
           "expression": _one("term", "an expression", b"Max(1, 2*s0 + FloorDiv(u1, 3)) - Mod(s2, 2)**2",
                              b"And(Eq(s0, 2), Ne(s1, 3)) | (s0 < 5)",
                              b"Symbol('s0', integer=True) + Integer(-2)*Float('1.5', precision=53)",
                              b"L['x'].size()[0] >= 2 and not L['y'][3].dim() == 1 or L['z'].a.item() < math.pi"),
           "machine": _machine, "zip": _zips, "legacy": _legacy, "tar": _tars, "numpy": _arrays,
           "safetensors": _safetensors, "loader": _loader}  # fmt: skip


def entries() -> list[Entry]:
    """All of the corpus, in the order of the targets."""
    return [Entry(f"{target}/{n}", what, data) for target in NAMES for n, what, data in _MAKERS[target]()]


def index(made: list[Entry]) -> str:
    """The text that says what each seed is."""
    head = "Written by tests/fuzz/make_corpus.py: each seed, its bytes, what it is.\n\n"
    return head + "".join(f"{entry.path:22}{len(entry.data):6}  {entry.what}\n" for entry in made)


def write(folder: Path) -> None:
    """Write the corpus to `folder`, in place of what is there."""
    made = entries()
    for target in NAMES:
        shutil.rmtree(folder / target, ignore_errors=True)
        (folder / target).mkdir(parents=True)
    for entry in made:
        (folder / entry.path).write_bytes(entry.data)
    (folder / "index.txt").write_text(index(made), encoding="ascii", newline="\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else CORPUS)
