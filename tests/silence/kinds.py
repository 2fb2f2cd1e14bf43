"""A small honest archive of every kind, as its own writer makes it where there is one: member name -> bytes.

Imports torch and numpy; what needs a package that is not installed is written by hand.
"""

from __future__ import annotations

import io
import json
import pickle
import tempfile
import warnings
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.silence.writers import tar_of


def opened(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@cache
def checkpoint() -> bytes:
    out = io.BytesIO()
    torch.save({"w": torch.ones(2)}, out)
    return out.getvalue()


@cache
def legacy() -> bytes:
    out = io.BytesIO()
    torch.save({"w": torch.ones(2)}, out, _use_new_zipfile_serialization=False)
    return out.getvalue()


@cache
def torch_zip() -> dict[str, bytes]:
    return opened(checkpoint())


class Small(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1


def quiet(make: Any) -> Any:
    """A writer that torch calls deprecated is still a writer of files that people have."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


@cache
def torchscript() -> dict[str, bytes]:
    def make() -> bytes:
        out = io.BytesIO()
        torch.jit.save(torch.jit.script(Small()), out, _extra_files={"notes": b"plain words\n"})
        return out.getvalue()

    return opened(quiet(make))


@cache
def lite_interpreter() -> dict[str, bytes]:
    return opened(quiet(lambda: torch.jit.script(Small())._save_to_buffer_for_lite_interpreter()))


@cache
def torch_package() -> dict[str, bytes]:
    from torch.package import PackageExporter

    out = io.BytesIO()
    with PackageExporter(out) as exporter:
        exporter.extern(["builtins", "collections", "io", "posix"])
        exporter.save_source_string("part", "x = 1\n")
        exporter.save_text("model", "notes.txt", "plain words\n")
        exporter.save_binary("model", "model.pkl", b"\x80\x02}.")
    return opened(out.getvalue())


class Linear(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@cache
def exported() -> dict[str, bytes]:
    def make() -> bytes:
        out = io.BytesIO()
        shapes = {"x": {0: torch.export.Dim("b", min=2, max=64)}}
        torch.export.save(torch.export.export(Linear(), (torch.ones(3, 4),), dynamic_shapes=shapes), out)
        return out.getvalue()

    return opened(quiet(make))


@cache
def compiled() -> dict[str, bytes]:
    """An AOTInductor package of sources and flags, by hand: the compiler's own takes half a minute."""
    flags: dict[str, Any] = {
        "compiler": "g++", "definitions": [], "include_dirs": [], "cflags": ["O1"], "ldflags": [], "libraries_dirs": [],
        "libraries": [], "passthrough_args": [], "aot_mode": True, "use_relative_path": False, "compile_only": True,
    }  # fmt: skip
    place = "model/data/aotinductor/model/"
    return {
        "model/archive_format": b"pt2",
        "model/archive_version": b"0",
        "model/byteorder": b"little",
        f"{place}m.wrapper.cpp": b"int one() { return 1; }\n",
        f"{place}m.wrapper_metadata.json": json.dumps({"AOTI_DEVICE_KEY": "cpu"}).encode(),
        f"{place}m.wrapper_compile_flags.json": json.dumps(flags).encode(),
        f"{place}m.wrapper_linker_flags.json": json.dumps({**flags, "compile_only": False}).encode(),
        "model/data/sample_inputs/model.pt": checkpoint(),
        "model/version": b"3\n",
    }


def array(*, fill: Any = 0) -> bytes:
    out = io.BytesIO()
    np.save(out, np.full(1, fill), allow_pickle=True)
    return out.getvalue()


def object_array(data: bytes) -> bytes:
    """An .npy whose object array is this pickle."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    return out.getvalue() + data


@cache
def npz() -> dict[str, bytes]:
    return {"a.npy": array(), "b.npy": array(fill=1)}


@cache
def mar() -> dict[str, bytes]:
    model = {"modelName": "m", "handler": "handler.py", "serializedFile": "w.pt", "modelVersion": "1"}
    manifest = {"createdOn": "", "runtime": "python", "model": model, "archiverVersion": "0.12.0"}
    return {
        "MAR-INF/MANIFEST.json": json.dumps(manifest).encode(),
        "handler.py": b"def handle(data, context):\n    return data\n",
        "w.pt": checkpoint(),
    }


@cache
def nemo() -> dict[str, bytes]:
    return {"./model_config.yaml": b"target: nemo.Model\nlabels: [a, b]\n", "./model_weights.ckpt": checkpoint()}


def layer(name: str, kind: str, config: dict[str, Any], module: str = "keras.layers") -> dict[str, Any]:
    return {"module": module, "class_name": kind, "registered_name": None, "config": {"name": name, **config}}


def keras_config(*layers: dict[str, Any]) -> dict[str, Any]:
    first = layer("i", "InputLayer", {"batch_shape": [None, 1], "dtype": "float32"})
    config = {"name": "s", "trainable": True, "dtype": "float32", "layers": [first, *layers]}
    return {
        "module": "keras", "class_name": "Sequential", "registered_name": None,
        "build_config": {"input_shape": [None, 1]}, "config": config,
    }  # fmt: skip


def dense() -> dict[str, Any]:
    return layer("d", "Activation", {"activation": "relu", "dtype": "float32"})


@cache
def keras() -> dict[str, bytes]:
    out = io.BytesIO()
    np.savez(out, a=np.zeros(1))
    return {
        "metadata.json": json.dumps({"keras_version": "3.8.0", "date_saved": "2025-01-01"}).encode(),
        "config.json": json.dumps(keras_config(dense())).encode(),
        "model.weights.npz": out.getvalue(),
    }


def skops_schema(tree: dict[str, Any]) -> bytes:
    return json.dumps({**tree, "protocol": 2, "_skops_version": "0.14"}).encode()


def skops_list(*content: dict[str, Any]) -> dict[str, Any]:
    return {
        "__class__": "list",
        "__module__": "builtins",
        "__loader__": "ListNode",
        "__id__": 1,
        "content": list(content),
    }


@cache
def skops() -> dict[str, bytes]:
    word = {
        "__class__": "str",
        "__module__": "builtins",
        "__loader__": "JsonNode",
        "__id__": 2,
        "content": '"a"',
        "is_json": True,
    }
    return {"schema.json": skops_schema(skops_list(word)), "array.npy": array()}


@cache
def sb3() -> dict[str, bytes]:
    return {
        "data": json.dumps({"policy_class": {":type:": "x"}, "n_steps": 5}).encode(),
        "policy.pth": checkpoint(),
        "pytorch_variables.pth": checkpoint(),
        "_stable_baselines3_version": b"2.3.0",
        "system_info.txt": b"- OS: Linux\n",
    }


@cache
def plain() -> dict[str, bytes]:
    return {
        "good.pt": checkpoint(), "README.md": b"# A model\n", "config.json": b'{"a": 1}\n', "LICENSE": b"Apache\n",
        "tokenizer.txt": b"a\nb\n", "picture.png": picture(), "deep/er/w.npy": array(), "train.py": b"x = 1\n",
        "data/7": b"\0" * 8,
    }  # fmt: skip


def picture() -> bytes:
    from tests.silence.polyglots import png

    return png()


@cache
def torch_tar() -> dict[str, bytes]:
    """The format of torch before 0.1.2: pickles and raw storages."""
    return {
        "sys_info": pickle.dumps({"protocol_version": 1000, "little_endian": True}, 2),
        "storages": pickle.dumps(0, 2) + pickle.dumps([], 2),
        "tensors": pickle.dumps(0, 2),
        "pickle": pickle.dumps({"a": 1}, 2),
    }


@cache
def hub_folder() -> dict[str, bytes]:
    return {"config.json": b'{"model_type": "bert"}', "model.pt": checkpoint(), "tokenizer_config.json": b'{"a": 1}'}


ZIPS = {
    "torch-zip": (torch_zip, ".pt"),
    "torchscript": (torchscript, ".pt"),
    "lite-interpreter": (lite_interpreter, ".ptl"),
    "torch-package": (torch_package, ".pt"),
    "torch-export": (exported, ".pt2"),
    "aotinductor": (compiled, ".pt2"),
    "npz": (npz, ".npz"),
    "mar": (mar, ".mar"),
    "keras": (keras, ".keras"),
    "skops": (skops, ".skops"),
    "sb3": (sb3, ".zip"),
    "zip": (plain, ".zip"),
}
TARS = {"torch-tar": (torch_tar, ".tar"), "nemo": (nemo, ".nemo"), "tar": (plain, ".tar")}


def folder_of(members: dict[str, bytes]) -> dict[str, bytes]:
    """The same members without the archive's own top folder."""
    return {name.partition("/")[2] or name: data for name, data in members.items()}


def tar(members: dict[str, bytes]) -> bytes:
    return tar_of(members)


def temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory()


def whole(path: Path) -> bytes:
    return path.read_bytes()
