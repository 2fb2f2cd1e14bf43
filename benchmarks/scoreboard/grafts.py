"""Checkpoints that torch itself saved, with a call put in as the first or the last thing that data.pkl does.

Its result is thrown away, so the object that comes out is the honest one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

from hostile import EVERYWHERE, Hostile, file_name
from placements import by_zipfile

from samples.assemble import POP, PROTO2, STOP

HOSTS = (
    "nn-state/Conv2d.pth", "nn-module/Linear.pt", "nn-module/TransformerEncoder.pt", "model/Residual-state.pth",
    "model/Residual-whole.pt", "model/Tied-state.pth", "training/AdamW.ckpt", "training/hyper.ckpt", "optimizer/SGD.pt",
    "scheduler/OneCycleLR.pt", "random/states.pth", "tensor/quantized.pt", "tensor/sparse.pt", "script/Residual.pt",
    "hub/pytorch_model-00001-of-00003.bin",
)  # fmt: skip


def spliced(path: Path, code: bytes, last: bool) -> bytes:
    """The checkpoint with the call in its data.pkl, written anew."""
    with zipfile.ZipFile(path) as archive:
        members = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    name = next(name for name in members if name.endswith("/data.pkl"))
    data = members[name]
    assert data.startswith(PROTO2)
    assert data.endswith(STOP)
    members[name] = data[:-1] + code + POP + STOP if last else PROTO2 + code + POP + data[2:]
    return by_zipfile(members, zipfile.ZIP_STORED)


def grafts(benign: Path) -> Iterator[Hostile]:
    """Four calls, first and last, in each of the hosts below `benign`."""
    for host in HOSTS:
        # A script's pickle names what only torch's own reader knows: Python gets no further than its beginning.
        for last in (False,) if host.startswith("script/") else (False, True):
            for called, code in EVERYWHERE.items():
                stem = file_name(f"{host.rpartition('.')[0]} {'last' if last else 'first'} {called}", "pt")
                yield Hostile(f"graft/{stem}", called, spliced(benign / host, code, last))
