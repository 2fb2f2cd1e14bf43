"""The real loaders, by name: each takes a path and an argument and does what people do with such a file.

Runs in a child process only (`python -m tests.silence.loaders`): it reads a list of cases as JSON from standard input
and writes, a line each, whether MARKER appeared. Where a package is not installed the answer is a reason. Loaders whose
own code is not on this machine are written out after its source, and say so.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import io
import json
import lzma
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.silence.unit_loaders import UNIT_LOADERS, UNIT_NEEDS

MARKER = "MARKER"
SECONDS = 60


def one(path: Path, _: str) -> None:
    with path.open("rb") as file:
        pickle.load(file)


def every(path: Path, _: str) -> None:
    """Pickle after pickle, as logs and shelves are read."""
    with path.open("rb") as file:
        while True:
            pickle.load(file)


def again(path: Path, _: str) -> None:
    """One Unpickler called again and again: its memo stays."""
    with path.open("rb") as file:
        reader = pickle.Unpickler(file)
        while True:
            reader.load()


def member(path: Path, name: str) -> None:
    """A member of a zip, unpickled."""
    with zipfile.ZipFile(path) as archive:
        pickle.loads(archive.read(name))


def record(path: Path, name: str) -> None:
    """A record of a torch archive, unpickled. Names are below the archive's folder."""
    import torch

    pickle.loads(torch._C.PyTorchFileReader(str(path)).get_record(name))


def tar_member(path: Path, name: str) -> None:
    with tarfile.open(path) as archive:
        file = archive.extractfile(name)
        assert file is not None
        pickle.load(file)


def nested(path: Path, names: str) -> None:
    """Archives in archives, named with | between; a pickle in the innermost."""
    data = path.read_bytes()
    for name in names.split("|"):
        if zipfile.is_zipfile(io.BytesIO(data)):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                data = archive.read(name)
        else:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                file = tar.extractfile(name)
                assert file is not None
                data = file.read()
    pickle.loads(data)


def at_offset(path: Path, offset: str) -> None:
    with path.open("rb") as file:
        file.seek(int(offset))
        pickle.load(file)


def torch_load(path: Path, _: str) -> None:
    import torch

    torch.load(path, weights_only=False)


def torch_mmap(path: Path, _: str) -> None:
    import torch

    torch.load(path, weights_only=False, mmap=True)


def package(path: Path, resource: str) -> None:
    """`module` is imported, `package/resource` unpickled."""
    from torch.package import PackageImporter

    importer = PackageImporter(str(path))
    parent, _, name = resource.rpartition("/")
    if parent:
        importer.load_pickle(parent, name)
    else:
        importer.import_module(name)


def export(path: Path, _: str) -> None:
    import torch

    torch.export.load(str(path))


def inductor(path: Path, _: str) -> None:
    import torch

    torch._inductor.aoti_load_package(str(path))


def numpy_load(path: Path, key: str) -> None:
    import numpy

    loaded = numpy.load(path, allow_pickle=True)
    if key:
        loaded[key]


def pandas_read(path: Path, _: str) -> None:
    import pandas

    pandas.read_pickle(path)


def joblib_load(path: Path, _: str) -> None:
    import joblib

    joblib.load(path)


def lz4_load(path: Path, _: str) -> None:
    import lz4.frame

    with lz4.frame.open(path) as file:
        pickle.load(file)


def zstd_load(path: Path, _: str) -> None:
    import zstandard

    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        pickle.load(io.BufferedReader(reader))


def unpacked_zlib(path: Path, _: str) -> None:
    pickle.loads(zlib.decompress(path.read_bytes()))


def lzma_alone(path: Path, _: str) -> None:
    with lzma.open(path, format=lzma.FORMAT_ALONE) as file:
        pickle.load(file)


def h5_attribute(path: Path, name: str) -> None:
    """An attribute of the root that holds a pickle."""
    import h5py

    with h5py.File(path) as file:
        pickle.loads(bytes(file.attrs[name]))


def keras_unsafe(path: Path, _: str) -> None:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras

    keras.models.load_model(path, safe_mode=False)


def sb3_load(path: Path, _: str) -> None:
    """After stable_baselines3/common/save_util.py: load_from_zip_file and json_to_data."""
    with zipfile.ZipFile(path) as archive:
        words = json.loads(archive.read("data").decode())
    for item in words.values():
        if isinstance(item, dict) and ":serialized:" in item:
            pickle.loads(base64.b64decode(item[":serialized:"].encode()))


def json_pickles(path: Path, name: str) -> None:
    """As sb3_load where the text is decoded as json.loads decodes bytes: UTF-8, 16 and 32, with and without a BOM."""
    with zipfile.ZipFile(path) as archive:
        words = json.loads(archive.read(name))
    for item in words.values():
        if isinstance(item, dict) and ":serialized:" in item:
            pickle.loads(base64.b64decode(item[":serialized:"].encode()))


def unpacked(path: Path) -> Path:
    place = Path(tempfile.mkdtemp(dir="."))
    with zipfile.ZipFile(path) as archive:
        archive.extractall(place)
    return place


def serve(path: Path, handler: str) -> None:
    """After ts/model_loader.py: unpack, put first on sys.path, import the handler that the manifest names."""
    place = path if path.is_dir() else unpacked(path)
    manifest = json.loads((place / "MAR-INF/MANIFEST.json").read_bytes())
    name = Path(manifest["model"]["handler"]).name.removesuffix(".py")
    imported_from(place, name)


def imported_from(place: Path, name: str) -> None:
    sys.path.insert(0, str(place.resolve()))
    known = set(sys.modules)
    importlib.invalidate_caches()
    sys.modules.pop(name, None)
    try:
        importlib.import_module(name)
    finally:
        sys.path.remove(str(place.resolve()))
        for new in set(sys.modules) - known:
            del sys.modules[new]


def served_pickle(path: Path, name: str) -> None:
    """The serialized file of a .mar, by torch.load as the base handler does it."""
    import torch

    torch.load(unpacked(path) / name, weights_only=False)


def skops_load(path: Path, _: str) -> None:
    """As people call it who trust what the file itself names."""
    import skops.io

    skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))


def extracted(path: Path, name: str) -> None:
    """All of a tar, then one file of it unpickled."""
    place = Path(tempfile.mkdtemp(dir="."))
    with tarfile.open(path) as archive:
        archive.extractall(place)
    one(place / name, "")


def beside(path: Path, _: str) -> None:
    """A pickle loaded where its neighbours can be imported."""
    sys.path.insert(0, str(path.parent.resolve()))
    known = set(sys.modules)
    importlib.invalidate_caches()
    try:
        one(path, "")
    finally:
        sys.path.remove(str(path.parent.resolve()))
        for new in set(sys.modules) - known:
            del sys.modules[new]


def checkout(path: Path, name: str) -> None:
    """What a clone of this repository's commit has in its work tree, unpickled."""
    place = Path(tempfile.mkdtemp(dir="."))
    git = ["git", "-C", str(path), "-c", "user.email=a@example.org", "-c", "user.name=n"]
    subprocess.run([*git, "commit", "-qm", "models"], check=True, capture_output=True)
    subprocess.run(["git", "clone", "-q", str(path), str(place / "clone")], check=True, capture_output=True)
    one(place / "clone" / name, "")


def dcp(path: Path, _: str) -> None:
    from torch.distributed.checkpoint import FileSystemReader

    FileSystemReader(str(path)).read_metadata()


LOADERS: dict[str, Callable[[Path, str], None]] = {
    "pickle": one, "pickles": every, "one-unpickler": again, "zip-member": member, "torch-record": record,
    "tar-member": tar_member, "nested": nested, "offset": at_offset, "torch": torch_load, "torch-mmap": torch_mmap,
    "torch-package": package, "torch-export": export, "aotinductor": inductor, "numpy": numpy_load,
    "pandas": pandas_read, "joblib": joblib_load, "lz4": lz4_load, "zstd": zstd_load, "lzma-alone": lzma_alone,
    "h5-attribute": h5_attribute, "keras-unsafe": keras_unsafe, "sb3": sb3_load,
    "json": json_pickles, "torchserve": serve, "torchserve-weights": served_pickle, "skops": skops_load,
    "extract": extracted, "beside": beside, "checkout": checkout, "dcp": dcp, "zlib": unpacked_zlib,
    **UNIT_LOADERS,
}  # fmt: skip
NEEDS = {
    "pandas": "pandas", "joblib": "joblib", "lz4": "lz4", "zstd": "zstandard", "h5-attribute": "h5py",
    "keras-unsafe": "keras", "skops": "skops", **UNIT_NEEDS,
}  # fmt: skip


def missing(loader: str) -> str:
    """Why a loader cannot be run here, "" when it can."""
    package_name = NEEDS.get(loader, "")
    if package_name and importlib.util.find_spec(package_name) is None:
        return f"{package_name} is not installed"
    if loader == "aotinductor" and shutil.which("g++") is None:
        return "there is no compiler"
    if loader == "checkout" and shutil.which("git") is None:
        return "git is not installed"
    return ""


class TooLong(BaseException):
    """No Exception, so that no loader takes it for a damaged file."""


def late(*_: Any) -> None:
    raise TooLong


def fired(path: Path, loader: str, argument: str) -> tuple[bool, str]:
    """Whether MARKER appeared in a new working folder, and what the loader said."""
    home = Path.cwd()
    said = "loaded"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        signal.signal(signal.SIGALRM, late)
        signal.alarm(SECONDS)
        try:
            LOADERS[loader](path, argument)
        except (Exception, TooLong, SystemExit) as error:
            said = f"{type(error).__name__}: {error}"[:300]
        finally:
            signal.alarm(0)
            os.chdir(home)
        return Path(folder, MARKER).exists(), said


def main() -> None:
    """Asked on standard input, answers on standard output; what loaders print goes to standard error."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for path, loader, argument in json.load(sys.stdin):
        print(json.dumps(fired(Path(path), loader, argument)), file=out, flush=True)


if __name__ == "__main__":
    main()
