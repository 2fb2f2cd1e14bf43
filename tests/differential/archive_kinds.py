"""Odd archives of every kind but torch's checkpoint, by seed: one honest archive of a kind, then tricks piled on it."""

from __future__ import annotations

import io
import json
import zipfile

from tests.containers.zip_builder import Archive, Member, torch_like
from tests.differential.archive_heads import BELOW, HEADS, PAYLOAD, ROOT, SOURCE, TRICKS
from tests.differential.archive_wraps import WRAPS
from tests.differential.archives import Case, Chance, honest

FOLDER = (b"m", b"model", b"a b")


def npy(chance: Chance) -> bytes:
    """An array of a few numbers."""
    kind, size = chance.choice((("<i4", 4), ("<f8", 8), (">i2", 2), ("|u1", 1)))
    count = chance.choice((0, 1, 3))
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({count},), }}"
    return b"\x93NUMPY\1\0v\0" + text.encode().ljust(117) + b"\n" + chance.randbytes(count * size)


def _package(chance: Chance) -> dict[bytes, bytes]:
    inside = {b".data/extern_modules": b"torch\n", b".data/version": b"6\n", b"byteorder": b"little"}
    if chance.random() < 0.8:
        inside[b".data/python_version"] = b"3.11.7\n"
    for name in chance.sample((b"mod.py", b"pkg/__init__.py", b"pkg/inner.py", b"Other.PY"), 2):
        inside[name] = SOURCE
    inside[b"m/m.pkl"] = chance.pickle()
    folder = chance.choice(FOLDER)
    return {folder + b"/" + name: data for name, data in inside.items()}


def _pt2(chance: Chance) -> dict[bytes, bytes]:
    model = json.dumps(
        {"graph_module": {"graph": {"inputs": [], "nodes": []}}, "schema_version": {"major": 8}}
    ).encode()
    inside = {b"archive_format": b"pt2", b"archive_version": b"0", b".data/version": b"3\n",
              b"models/model.json": model,
              b"data/weights/weight_0": chance.randbytes(8), b"data/sample_inputs/model.pt": chance.pickle(),
              }  # fmt: skip
    if chance.random() < 0.3:
        inside |= {b"data/aotinductor/model/x.cpp": b"int x;\n", b"data/aotinductor/model/x_metadata.json": b"{}"}
    return {b"e/" + name: data for name, data in inside.items()}


def _npz(chance: Chance) -> dict[bytes, bytes]:
    return {b"%c.npy" % letter: npy(chance) for letter in b"xyz"[: chance.choice((1, 2, 3))]}


def _keras(chance: Chance) -> dict[bytes, bytes]:
    layer = {
        "module": "keras.layers",
        "class_name": chance.choice(("Dense", "ReLU")),
        "config": {},
        "registered_name": None,
    }
    return {b"metadata.json": b'{"keras_version": "3.15.0"}', b"config.json": json.dumps(layer).encode(),
            b"model.weights.npz": _zip({"0.npy": npy(chance)})}  # fmt: skip


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def _baselines(chance: Chance) -> dict[bytes, bytes]:
    return {b"data": b'{"gamma": 0.9}', b"policy.pth": torch_like(chance.pickle()).build(),
            b"_stable_baselines3_version": b"2.3.0"}  # fmt: skip


def _plain(chance: Chance) -> dict[bytes, bytes]:
    held = {b"model.pt": honest(chance).build(), b"w.npy": npy(chance), b"x/y.pkl": chance.pickle(), b"z.bin": PAYLOAD,
            b"readme.txt": b"Some words.\n", b"t.json": b'{"a": 1}', b"head": chance.choice(HEADS) + PAYLOAD,
            }  # fmt: skip
    return {name: held[name] for name in chance.sample(tuple(held), chance.choice((1, 2, 3)))}


def _below(chance: Chance) -> dict[bytes, bytes]:
    """torch reads no archive without a version."""
    version = {b"version": b"3\n"} if chance.random() < 0.7 else {}
    return {b"a/" + name: data for name, data in {**chance.choice(BELOW), **version}.items()}


MAKERS = {
    "torch-package": _package, "pt2": _pt2, "npz": _npz, "keras": _keras, "stable-baselines3": _baselines,
    "zip": _plain,
    "below": _below,
    "root": lambda chance: dict(chance.choice(ROOT)),
}  # fmt: skip
"""Name of the kind -> the members of an honest archive. "below" and "root" are what each loader asks for at least."""


def make_kind(seed: int, number: int) -> Case:
    """Case `number` of `seed`."""
    chance = Chance(seed, number + (1 << 40))
    kind = chance.choice(tuple(MAKERS))
    method, flags = chance.choice(((0, 0), (8, 0), (0, 0x808), (8, 8)))
    members = tuple(Member(n, d, method, flags if d else 0, 0) for n, d in MAKERS[kind](chance).items())
    archive = Archive(members, zip64=chance.random() < 0.2)
    count = chance.choices((0, 1, 2, 3), (25, 45, 20, 10))[0]
    played = [f"a {kind}"]
    for name in chance.choices(tuple(TRICKS), k=count):
        archive = TRICKS[name](chance, archive)
        played.append(name)
    data = archive.build()
    for name in chance.choices(tuple(WRAPS), k=1 if count and chance.random() < 0.15 else 0):
        data = WRAPS[name](chance, data)
        played.append(name)
    return Case(number, data, tuple(played))
