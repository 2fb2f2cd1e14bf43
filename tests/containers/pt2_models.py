"""Small programs for torch.export whose sizes take every operator that the serializer writes, and their archives."""

from __future__ import annotations

import collections
import json
import math
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, export, save


class Module(torch.nn.Module):
    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.linear = torch.nn.Linear(4, 4)

    def forward(self, x: Any, y: Any = None) -> Any:
        return self.function(self, x) if y is None else self.function(self, x, y)


def item(_: Module, x: torch.Tensor) -> torch.Tensor:
    number: Any = x.sum().item()
    torch._check(number >= 1)
    torch._check(number < 100)
    return torch.zeros(number * 2 + 1, number // 2)


def masked(_: Module, x: torch.Tensor) -> torch.Tensor:
    kept = x[x > 0]
    twice = torch.cat([kept, kept])
    return twice[: twice.shape[0] // 3]


def condition(_: Module, x: torch.Tensor) -> Any:
    return torch.cond(x.shape[0] > 5, lambda x: x.sin(), lambda x: x.cos(), (x,))


def without_gradient(module: Module, x: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        y = x.sin()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return module.linear(y)


def sizes(_: Module, x: torch.Tensor) -> torch.Tensor:
    return torch.zeros((x.shape[0] << 2) + (x.shape[1] >> 1) + (x.shape[0] & 3) + x.shape[0] ** 2 + x.shape[0] % 3)


MODELS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "linear": (lambda m, x: m.linear(x), (torch.ones(6, 4),)),
    "floor division": (lambda m, x: x[: x.shape[0] // 2], (torch.ones(6, 4),)),
    "modulo": (lambda m, x: x[: (x.shape[0] % 3) + 1] + 1, (torch.ones(6, 4),)),
    "largest": (lambda m, x, y: torch.zeros(max(x.shape[0], y.shape[0]) + min(x.shape[1], 9)), (torch.ones(6, 4),) * 2),
    "slices": (lambda m, x: x[1:-1, ::2], (torch.ones(9, 8),)),
    "stacked": (lambda m, x: torch.stack([x, x + 1], 1).flatten(), (torch.ones(6, 4),)),
    "joined": (lambda m, x, y: torch.cat([x, y]).reshape(-1), (torch.ones(6, 4), torch.ones(9, 4))),
    "nonzero": (lambda m, x: torch.nonzero(x).sum(1)[1:], (torch.ones(6, 4),)),
    "item": (item, (torch.tensor([3, 4]),)),
    "masked": (masked, (torch.ones(6, 4),)),
    "condition": (condition, (torch.ones(6, 4),)),
    "no gradient": (without_gradient, (torch.ones(6, 4),)),
    "sizes": (sizes, (torch.ones(6, 4),)),
    "roots": (lambda m, x: x * math.sqrt(x.shape[0]) * (x.shape[0] / x.shape[1]), (torch.ones(6, 4),)),
    "choice": (
        lambda m, x: torch.zeros(torch.sym_ite(x.shape[0] > 5, x.shape[0], x.shape[1])),
        (torch.ones(6, 4),),
    ),
    "default": (lambda m, x: x["a"] * 2, (collections.defaultdict(list, a=torch.ones(2)),)),
}


def archive(name: str, path: Path) -> Path:
    """The program `name`, exported with every size dynamic that may be, saved at `path`."""
    function, arguments = MODELS[name]
    dynamic = {"x": {0: Dim.AUTO, 1: Dim.AUTO}, "y": {0: Dim.AUTO}}
    shapes = {key: dynamic[key] for key, value in zip("xy", arguments, strict=False)}
    if name in ("item", "default"):
        shapes = {"x": None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = export(
            Module(function), arguments, dynamic_shapes=None if name == "default" else shapes, strict=False
        )
        save(program, str(path))
    return path


def program_of(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(name for name in archive.namelist() if "/models/" in name))


def changed(path: Path, out: Path, program: Any) -> Path:
    """`path` with another program in it."""
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(out, "w") as target:
        for name in archive.namelist():
            data = json.dumps(program).encode() if "/models/" in name else archive.read(name)
            target.writestr(name.replace(path.stem, out.stem, 1), data)
    return out
