"""Which loaders take an archive, asked of the loaders: torch.package, torch.export, torch.load, numpy, zipfile.

Nothing is imported, built or unpickled: a package is opened and its modules are listed, arrays are read without
pickles, and an unpickler that refuses every name says which it was asked for.
"""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.export.pt2_archive._package import PT2ArchiveReader
from torch.package import PackageImporter

_AT_ROOT = {
    "config.json": "keras", "serialized_exported_program.json": "pt2-before-2.9", "MAR-INF/MANIFEST.json": "mar",
    "schema.json": "skops",
}  # fmt: skip
_HOSTILE = ("posix", "os", "nt", "subprocess", "builtins")


def fitting(data: bytes) -> set[str]:
    """The kinds whose loader gets as far as to look for what it would run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return set(_torch_kinds(data)) | set(_zipfile_kinds(data))


def _torch_kinds(data: bytes) -> Iterator[str]:
    if not data.startswith(b"PK\3\4"):
        return
    try:
        reader = torch._C.PyTorchFileReader(io.BytesIO(data))
        names = reader.get_all_records()
    except Exception:  # torch lets out what its C++ throws: IndexError for a version that is no number
        return
    if "constants.pkl" in names or reader.has_record("bytecode.pkl"):
        yield "torchscript"
    if reader.has_record("model.json") and any(name.startswith("code/") for name in names):
        yield "torchscript"
    if any(name.startswith("data/aotinductor/") for name in names):
        yield "pt2"
    if package_modules(data) is not None:
        yield "torch-package"
    try:
        PT2ArchiveReader(io.BytesIO(data))
    except Exception:
        return
    yield "pt2"


def package_modules(data: bytes) -> set[str] | None:
    """The members that a PackageImporter would run as modules, None when it does not open the archive."""
    try:
        root: Any = PackageImporter(io.BytesIO(data)).root
    except Exception:
        return None
    found, waiting = set(), [root]
    while waiting:
        node = waiting.pop()
        waiting += getattr(node, "children", {}).values()
        if source := getattr(node, "source_file", None):
            found.add(source)
    return found


def _zipfile_kinds(data: bytes) -> Iterator[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name, kind in _AT_ROOT.items():
                if name in archive.namelist():
                    archive.read(name)
                    yield kind
    except Exception:
        return


class _Refusing(pickle.Unpickler):
    """Imports nothing, and says what it was asked for."""

    def find_class(self, module: str, name: str) -> Any:
        if module.partition(".")[0] in _HOSTILE and name not in ("bytearray", "set"):
            raise _Hostile(f"{module}.{name}")
        raise pickle.UnpicklingError(f"{module}.{name}")


class _Hostile(Exception):
    """The name that it was asked for."""


def hostile(data: bytes) -> str:
    """The name of the system that an unpickler asks for which is given `data`, "" for none."""
    try:
        _Refusing(io.BytesIO(data)).load()
    except _Hostile as error:
        return str(error)
    except Exception:
        return ""
    return ""


def hostile_member(data: bytes) -> str:
    """Which member, and what it asks for: of members that are no storages of a checkpoint. "" for none."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for info in archive.infolist():
                folder, _, last = info.filename.rpartition("/")
                if not (last.isdecimal() and folder.endswith("/data")) and (name := hostile(archive.read(info))):
                    return f"{info.filename!r} asks for {name}"
    except Exception:
        return ""
    return ""


def numpy_reads(data: bytes) -> dict[str, Any] | None:
    """The arrays of an .npz by name, None when numpy refuses."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception:
        return None
