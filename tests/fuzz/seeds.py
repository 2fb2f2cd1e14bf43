"""The good files that are damaged: every sample, and files that torch, numpy, safetensors, tarfile and safeload write.

Small ones, because a case costs what its file is long. All are made by code, in the order of their names; `store` and
`fetch` keep them in a folder, so that several processes damage the same bytes.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import pickle
import tarfile
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

import safeload
from tests.containers.zip_builder import torch_like
from tests.loading.test_equal import resaved, saved
from tests.loading.zoo import PLAIN, TENSORS, VALUES

MOST = 9_000
"""Bytes of one seed: a longer one says little that a shorter one does not."""


class Seed(NamedTuple):
    """A good file. `beside` is the text of the tree beside it ("x.tree.json"), None for most."""

    name: str
    data: bytes
    beside: bytes | None = None


def samples(root: Path) -> list[Seed]:
    """Every sample that is small enough."""
    files = sorted((root / "samples" / "files").rglob("*"))
    return [Seed(p.relative_to(root).as_posix(), p.read_bytes()) for p in files if p.is_file()]


def _torch() -> list[Seed]:
    made = []
    torch.manual_seed(0)
    for name, make in {**TENSORS, **VALUES}.items():
        if name in ("optimizer", "numpy_random"):  # long, and with a state nobody set
            continue
        item = make()
        whole = saved(item)
        made += [
            Seed(f"{name}.zip", whole),
            Seed(f"{name}-deflated.zip", resaved(whole, zipfile.ZIP_DEFLATED)),
            Seed(f"{name}-4.zip", saved(item, pickle_protocol=4)),
            Seed(f"{name}.legacy", saved(item, _use_new_zipfile_serialization=False)),
        ]
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Sequential(nn.ReLU(), nn.Linear(2, 1)))
    made += [Seed("module.zip", saved(model)), Seed("script.zip", _script())]
    # The same storage keys inside and outside.
    made.append(Seed("enclosed.zip", saved({"a": torch.ones(4), "b": _Enclosed({"w": torch.zeros(4)})})))
    made.append(Seed("module.legacy", saved(model, _use_new_zipfile_serialization=False)))
    return made


class _Enclosed:
    """Pickled as a call of torch's nested loader, with a whole file as its argument."""

    def __init__(self, held: object) -> None:
        self.data = saved(held)

    def __reduce__(self) -> tuple[object, ...]:
        return torch.storage._load_from_bytes, (self.data,)


def _script() -> bytes:
    out = io.BytesIO()
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)), out)
    return out.getvalue()


def _pickles() -> list[Seed]:
    chosen = {name: make for name, make in PLAIN.items() if name != "numpy_random"}
    made = [Seed(f"{n}-{p}.pkl", pickle.dumps(make(), p)) for n, make in chosen.items() for p in (2, 4, 5)]
    made += [Seed(f"{name}-0.pkl", pickle.dumps(PLAIN[name](), 0)) for name in ("numbers", "collected", "numpy_values")]
    arrays = pickle.dumps({"a": np.arange(9.0), "b": [1, None, "x"]}, 4)
    packers: dict[str, Callable[[bytes], bytes]] = {
        "zlib": zlib.compress, "gzip": _gzip, "bz2": bz2.compress, "xz": lzma.compress,
        "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    }  # fmt: skip
    return made + [Seed(f"arrays.{name}", pack(arrays)) for name, pack in packers.items()]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _numpy() -> list[Seed]:
    arrays = {
        "flat": np.arange(6, dtype="<i4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f8"),
        "fields": np.zeros(2, dtype=[("a", "<i4"), ("b", "<f8", (2,))]),
        "texts": np.array(["ab", "c"]),
        "objects": np.array([1, "a", None, [2.5]], dtype=object),
        "times": np.array(["2020-01-01"], "M8[D]"),
        "scalar": np.array(7),
    }
    made = []
    for name, array in arrays.items():
        out = io.BytesIO()
        np.save(out, array)
        made.append(Seed(f"{name}.npy", out.getvalue()))
    for name, write in {"stored": np.savez, "deflated": np.savez_compressed}.items():
        out = io.BytesIO()
        write(out, **arrays)
        made.append(Seed(f"{name}.npz", out.getvalue()))
    return made


def _safetensors(folder: Path) -> list[Seed]:
    from safeload.inputs import open_source
    from safeload.limits import Limits
    from safeload.policy import Policy
    from safeload.scanning.scanner import scan_source
    from tests.tree.shelf import beside

    made = []
    path = folder / "x.safetensors"
    for name, make in {**TENSORS, **VALUES}.items():
        if name in ("optimizer", "numpy_random"):
            continue
        try:
            safeload.save(make(), path)
        except safeload.SafeloadError:  # what safetensors cannot hold
            continue
        made.append(Seed(f"{name}.safetensors", path.read_bytes()))
    for name in ("tied", "namespaces", "times"):
        source = open_source(saved({**TENSORS, **VALUES}[name]()))
        document = scan_source(source, policy=Policy.default(), limits=Limits()).document
        assert document is not None
        beside(document, path)
        made.append(Seed(f"{name}-beside.safetensors", path.read_bytes(), (folder / "x.tree.json").read_bytes()))
    return made


def tar_of(members: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    """A tar with these members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue().rstrip(b"\0") + bytes(1024)


def _nested() -> list[Seed]:
    inner = torch_like().build()
    whole = {"models/a.pt": inner, "notes.txt": b"hello", "b.pkl": pickle.dumps({"x": 1}, 2)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in {**whole, "c.tar": tar_of(whole)}.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return [
        Seed("archives.zip", out.getvalue()),
        Seed("archives.tar", tar_of(whole)),
        Seed("long-names.tar", tar_of({"a" * 150 + "/b.pt": inner, "c\u20ac": b""}, tarfile.PAX_FORMAT)),
        Seed("archives.tgz", _gzip(tar_of(whole))),
        Seed("wrapped.xz", lzma.compress(_gzip(inner))),
        Seed("enclosed.pkl", pickle.dumps([inner, tar_of({"a.pkl": b"\x80\x02N."})], 4)),
        Seed("index.json", json.dumps({"metadata": {"total_size": 4}, "weight_map": {"w": "x.bin"}}).encode()),
    ]


def make_all(root: Path) -> list[Seed]:
    """Every seed, sorted by name, none twice."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the age and the youth of what torch is asked to save
        made = samples(root) + _torch() + _pickles() + _numpy() + _safetensors(Path(folder)) + _nested()
    fit = {seed.data: seed for seed in made if len(seed.data) <= MOST}
    return sorted(fit.values())


def store(seeds: list[Seed], folder: Path) -> None:
    """Keep `seeds` in `folder`, for `fetch`."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = []
    for number, seed in enumerate(seeds):
        (folder / f"{number:04}").write_bytes(seed.data)
        if seed.beside is not None:
            (folder / f"{number:04}.beside").write_bytes(seed.beside)
        listed.append(seed.name)
    (folder / "names.json").write_text(json.dumps(listed), encoding="ascii")


def fetch(folder: Path) -> list[Seed]:
    """What `store` kept."""
    made = []
    for number, name in enumerate(json.loads((folder / "names.json").read_text(encoding="ascii"))):
        extra = folder / f"{number:04}.beside"
        beside = extra.read_bytes() if extra.is_file() else None
        made.append(Seed(name, (folder / f"{number:04}").read_bytes(), beside))
    return made


def digest(seeds: list[Seed]) -> str:
    """What a number of a case counts from: the same seeds make the same cases."""
    whole = hashlib.sha256()
    for seed in seeds:
        for part in (seed.data, seed.beside or b""):
            whole.update(len(part).to_bytes(8, "little") + part)
    return whole.hexdigest()[:16]
