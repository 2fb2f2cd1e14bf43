"""The benign files: what honest programs save, by torch, numpy, pickle and safetensors themselves. Needs torch.

`write` makes them all in a folder, seeded. Nobody can say that a file of these is dangerous; some hold classes of a
program, which a safe loader may refuse and has to be counted for.
"""

from __future__ import annotations

import argparse
import collections
import copy
import datetime
import json
import pickle
import random
import warnings
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import modules
import numpy as np
import torch
from modules import SHAPES, Residual, Tied
from safetensors.torch import save_file
from torch import nn

SCHEDULERS: dict[str, dict[str, Any]] = {
    "StepLR": {"step_size": 2}, "MultiStepLR": {"milestones": [1, 3]}, "ConstantLR": {}, "LinearLR": {},
    "ExponentialLR": {"gamma": 0.9}, "CosineAnnealingLR": {"T_max": 5}, "CosineAnnealingWarmRestarts": {"T_0": 2},
    "PolynomialLR": {}, "OneCycleLR": {"max_lr": 0.1, "total_steps": 10}, "CyclicLR": {"base_lr": 0.1, "max_lr": 0.2},
    "LambdaLR": {"lr_lambda": lambda step: 0.9**step}, "MultiplicativeLR": {"lr_lambda": lambda step: 0.9},
    "ReduceLROnPlateau": {},
}  # fmt: skip
OPTIMIZERS = tuple(
    name
    for name in sorted(dir(torch.optim))
    if isinstance(getattr(torch.optim, name), type) and name not in ("Optimizer", "SparseAdam", "LBFGS")
)
DTYPES = """float32 float64 float16 bfloat16 complex64 complex128 complex32 int8 int16 int32 int64 uint8 uint16 uint32
    uint64 bool float8_e4m3fn float8_e5m2 float8_e4m3fnuz float8_e5m2fnuz float8_e8m0fnu""".split()  # noqa: SIM905
Save = Callable[[Path], None]


def saved(obj: object, **options: Any) -> Save:
    """By torch.save."""
    return lambda path: torch.save(obj, path, **options)


def pickled(obj: object, protocol: int) -> Save:
    """By pickle.dump."""
    return lambda path: path.write_bytes(pickle.dumps(obj, protocol)) and None


def of_modules() -> Iterator[tuple[str, Save]]:
    """Every class of torch.nn: its state_dict and itself; whole models of common shapes."""
    for name, module in modules.every():
        yield f"nn-state/{name}.pth", saved(module.state_dict())
        yield f"nn-module/{name}.pt", saved(module)
    for name, cls in SHAPES.items():
        model = cls()
        yield f"model/{name}-state.pth", saved(model.state_dict())
        yield f"model/{name}-half.pth", saved(cls().half().state_dict())
        yield f"model/{name}-whole.pt", saved(model)
        yield f"model/{name}-old.pth", saved(model.state_dict(), _use_new_zipfile_serialization=False)
        yield f"model/{name}-old-whole.pt", saved(model, _use_new_zipfile_serialization=False)
        yield f"model/{name}-protocol-4.pth", saved(model.state_dict(), pickle_protocol=4)
        yield f"model/{name}-parameters.pth", saved(dict(model.named_parameters()))
        yield f"model/{name}.pkl", pickled(model.state_dict(), 4)


def stepped(name: str) -> tuple[nn.Module, Any]:
    """A model and an optimizer that made two steps."""
    model = nn.Linear(3, 2, bias=name != "Muon")
    optimizer = getattr(torch.optim, name)(model.parameters())
    for _ in range(2):
        optimizer.zero_grad()
        model(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def of_training() -> Iterator[tuple[str, Save]]:
    """Optimizers, schedulers, and what a training keeps to go on."""
    for name in OPTIMIZERS:
        model, optimizer = stepped(name)
        whole = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "loss": 0.5}
        yield f"optimizer/{name}.pt", saved(optimizer.state_dict())
        yield f"training/{name}.ckpt", saved(whole)
        yield f"training/{name}-old.tar", saved(whole, _use_new_zipfile_serialization=False)
        yield f"optimizer-object/{name}.pt", saved(optimizer)
    sparse = nn.Embedding(5, 3, sparse=True)
    adam = torch.optim.SparseAdam(sparse.parameters())
    sparse(torch.tensor([1, 2])).sum().backward()
    adam.step()
    yield "optimizer/SparseAdam.pt", saved(adam.state_dict())
    for name, options in SCHEDULERS.items():
        _, optimizer = stepped("SGD")
        scheduler = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
        yield f"scheduler/{name}.pt", saved(scheduler.state_dict())
    model = Residual()
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    yield "training/averaged.pt", saved(averaged.state_dict())
    yield "training/ema.pt", saved({"ema": copy.deepcopy(model).half().state_dict(), "updates": 100})
    yield "training/scaler.pt", saved(torch.amp.GradScaler("cpu").state_dict())
    yield "training/arguments.bin", saved(argparse.Namespace(lr=0.1, name="run", layers=[1, 2]))
    state = {
        "torch": torch.get_rng_state(),
        "numpy": np.random.RandomState(0).get_state(),
        "python": random.Random(0).getstate(),
    }
    yield "random/states.pth", saved(state)
    yield "random/torch.pt", saved(torch.Generator().manual_seed(1).get_state())
    yield "random/numpy.pkl", pickled(np.random.RandomState(0).get_state(), 4)
    yield "random/numpy-generator.pkl", pickled(np.random.default_rng(0).bit_generator.state, 4)
    sampler = {
        "epoch": 1,
        "indices": list(range(20)),
        "generator": torch.Generator().get_state(),
        "workers": [{"id": 0}],
    }
    yield "random/data-loader.pt", saved(sampler)
    yield "training/wrapped.pth", saved({"state_dict": nn.DataParallel(model).state_dict(), "best": np.float64(0.5)})
    yield "training/hyper.ckpt", saved({
        "pytorch-lightning_version": "2.4.0", "epoch": 1, "global_step": 10, "state_dict": model.state_dict(),
        "hyper_parameters": collections.OrderedDict(lr=0.1), "loops": {"fit": {"done": True}}, "callbacks": {},
    })  # fmt: skip


def of_tensors() -> Iterator[tuple[str, Save]]:
    """Every dtype; quantized, sparse, nested, shared, odd ones."""
    for name in DTYPES:
        raw = torch.arange(16, dtype=torch.uint8)
        tensor = raw.bool() if name == "bool" else raw.view(getattr(torch, name))
        yield f"dtype/{name}.pt", saved({"w": tensor})
    base = torch.randn(6, 6)
    q = torch.quantize_per_tensor(base, 0.1, 3, torch.qint8)
    channels = torch.quantize_per_channel(base, torch.ones(6), torch.zeros(6, dtype=torch.long), 0, torch.qint8)
    coo = base.relu().to_sparse()
    made: dict[str, Any] = {
        "quantized": q, "quantized-channels": channels, "sparse": coo, "sparse-csr": base.to_sparse_csr(),
        "sparse-csc": base.to_sparse_csc(), "sparse-bsr": base.to_sparse_bsr((2, 2)),
        "nested": torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "scalar": torch.tensor(1.5),
        "empty": torch.empty(0, 3), "views": {"all": base, "row": base[1], "columns": base[:, ::2], "t": base.t()},
        "expanded": torch.ones(1).expand(4), "conjugate": torch.ones(2, dtype=torch.complex64).conj(),
        "parameter": nn.Parameter(torch.ones(3)),
        "buffer": nn.Buffer(torch.ones(3)), "meta": torch.ones(3, device="meta"),
        "strided": torch.as_strided(base, (2, 2), (6, 1), 3),
        "channels-last": torch.ones(1, 2, 2, 2).to(memory_format=torch.channels_last),
        "requires-grad": torch.ones(3, requires_grad=True), "size": base.size(), "list": [base, (base, {"a": base})],
        "storage": base.untyped_storage(), "dtype": torch.float16,
        "device": torch.device("cuda:0"), "layout": torch.strided,
        "tied": Tied().state_dict(), "thousand": {str(i): torch.tensor([i]) for i in range(300)},
    }  # fmt: skip
    for name, obj in made.items():
        yield f"tensor/{name}.pt", saved(obj)
        if name not in ("nested", "meta", "buffer"):
            yield f"tensor-old/{name}.pt", saved(obj, _use_new_zipfile_serialization=False)


def of_python() -> Iterator[tuple[str, Save]]:
    """Plain values, numpy, and files that hold no torch."""
    plain = {"lr": 0.1, "steps": [1, 2], "name": "run", "none": None, "big": 1 << 100, "bytes": b"ab", "set": {1, 2}}
    values = {
        "plain": plain, "ordered": collections.OrderedDict(a=1), "counter": collections.Counter("hello"),
        "default": collections.defaultdict(list, a=[1]), "deque": collections.deque([1, 2], 3),
        "fraction": Fraction(1, 3),
        "date": datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), "complex": 1 + 2j, "path": Path("runs/a"),
        "array": np.arange(6).reshape(2, 3), "float": np.float32(1.5), "text": np.array(["a", "bc"]),
        "record": np.zeros(2, dtype=[("a", "i4"), ("b", "f8")]), "fortran": np.asfortranarray(np.ones((2, 3))),
        "frozenset": frozenset({1, 2}), "range": range(3), "words": {f"word{i}": i for i in range(500)},
    }  # fmt: skip
    for name, obj in values.items():
        for protocol in (0, 2, 4, 5):
            yield f"python/{name}-{protocol}.pkl", pickled(obj, protocol)
        yield f"in-torch/{name}.pt", saved({"meta": obj, "w": torch.ones(2)})
    yield "numpy/array.npy", lambda path: np.save(path, np.arange(5))
    yield "numpy/half.npy", lambda path: np.save(path, np.ones((2, 2), dtype=np.float16))
    yield "numpy/arrays.npz", lambda path: np.savez(path, a=np.ones(3), b=np.arange(4))
    yield "numpy/packed.npz", lambda path: np.savez_compressed(path, a=np.ones(3))
    yield "numpy/objects.npy", lambda path: np.save(path, np.array([{"a": 1}, "b"], dtype=object), allow_pickle=True)


def of_hubs() -> Iterator[tuple[str, Save]]:
    """Shards, safetensors, TorchScript."""
    state = Tied().state_dict()
    names = sorted(state)
    for part in range(3):
        shard = {name: state[name].clone() for name in names[part::3]}
        yield f"hub/pytorch_model-0000{part + 1}-of-00003.bin", saved(shard)
        yield (
            f"hub/model-0000{part + 1}-of-00003.safetensors",
            lambda path, held=shard: save_file(held, path, {"format": "pt"}),
        )
    index = {
        "metadata": {"total_size": 1},
        "weight_map": {n: f"pytorch_model-0000{i % 3 + 1}-of-00003.bin" for i, n in enumerate(names)},
    }
    yield "hub/pytorch_model.bin.index.json", lambda path: path.write_text(json.dumps(index)) and None
    for name, cls in SHAPES.items():
        scripted = (
            torch.jit.script(cls().eval())
            if name != "Tied"
            else torch.jit.trace(cls().eval(), torch.zeros(1, 2, dtype=torch.long))
        )
        yield f"script/{name}.pt", lambda path, held=scripted: torch.jit.save(held, str(path))


PARTS = (of_modules, of_training, of_tensors, of_python, of_hubs)


def write(folder: Path) -> list[str]:
    """Write every file; returns their paths in `folder`, in order. Indexes of shards are not listed."""
    torch.manual_seed(0)
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in PARTS:
            for path, save in part():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                save(folder / path)
                if not path.endswith(".json"):
                    found.append(path)
    return found
