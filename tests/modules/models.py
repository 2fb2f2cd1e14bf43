"""Modules of every kind, by name: what the tests of state_dicts and of trust save and read again.

Made with a fixed seed. Classes are at the top level, as pickle needs them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class Net(nn.Module):
    """Convolution, norm, a function as attribute, buffers of both kinds, a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.act = F.relu
        self.gate = F.gelu
        self.head = nn.Linear(4, 2, bias=False)
        self.register_buffer("scale", torch.full((1,), 2.0))
        self.register_buffer("scratch", torch.zeros(3), persistent=False)
        self.register_buffer("absent", None)
        self.register_parameter("unused", None)
        self.shape = (4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.gate(self.act(self.norm(self.conv(x))))
        return self.head(x.mean((2, 3))) * self.scale


class Tied(nn.Module):
    """One parameter under two names, one module under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.block = nn.Linear(4, 4)
        self.again = self.block
        self.out = nn.Linear(4, 7, bias=False)
        self.out.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.again(self.block(self.embed(x))))


class Inner(nn.Module):
    """Parameters in a list and in a dict."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(size)) for _ in range(2)])
        self.named = nn.ParameterDict({"b": nn.Parameter(torch.randn(size)), "a": nn.Parameter(torch.randn(size))})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for weight in self.weights:
            x = x * weight
        return x + self.named["a"] + self.named["b"]


class Outer(nn.Module):
    """Modules in modules: lists, dicts, and a child that is None."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Inner(3), Inner(3)])
        self.table = nn.ModuleDict({"z": nn.Linear(3, 3), "a": Net()})
        self.nothing: nn.Module | None
        self.register_module("nothing", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)
        return self.table["z"](x)


class MyNorm(nn.BatchNorm1d):
    """A class of a project below one of torch."""


class Tagger(nn.Module):
    """A recurrent net."""

    def __init__(self, kind: type[nn.Module] = nn.LSTM, **options: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 5)
        self.rnn = kind(5, 6, num_layers=2, batch_first=True, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.rnn(self.embed(x))[0]


@dataclass
class Settings:
    """Plain settings of a project, no module."""

    width: int = 3
    name: str = "small"


class Configured(nn.Module):
    """A module that holds its settings."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = Settings(5)
        self.layer = nn.Linear(5, self.settings.width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x) + self.settings.width


@dataclass(frozen=True)
class Case:
    """How a module is made, and an input for it."""

    make: Callable[[], nn.Module]
    example: Callable[[], tuple[torch.Tensor, ...]] = tuple


def _floats(*shape: int) -> Callable[[], tuple[torch.Tensor, ...]]:
    return lambda: (torch.randn(*shape),)


def _indices(most: int, *shape: int) -> Callable[[], tuple[torch.Tensor, ...]]:
    return lambda: (torch.randint(0, most, shape),)


def _quiet(make: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    def made() -> nn.Module:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make()

    return made


_IMAGE = _floats(2, 4, 8, 8)
_LINE = _floats(2, 4, 8)
_CUBE = _floats(1, 4, 4, 4, 4)
_FLAT = _floats(2, 6)
_PLAIN: dict[str, tuple[Callable[[], nn.Module], Callable[[], tuple[torch.Tensor, ...]]]] = {
    "linear": (lambda: nn.Linear(6, 3), _FLAT),
    "bilinear": (lambda: nn.Bilinear(6, 5, 3), lambda: (torch.randn(2, 6), torch.randn(2, 5))),
    "identity": (nn.Identity, _FLAT),
    "conv1d": (lambda: nn.Conv1d(4, 2, 3), _LINE),
    "conv2d": (lambda: nn.Conv2d(4, 2, 3, padding=1, padding_mode="reflect"), _IMAGE),
    "conv3d": (lambda: nn.Conv3d(4, 2, 3, groups=2), _CUBE),
    "conv-transpose": (lambda: nn.ConvTranspose2d(4, 2, 3, stride=2), _IMAGE),
    "batch-norm-1d": (lambda: nn.BatchNorm1d(6), _FLAT),
    "batch-norm-2d": (lambda: nn.BatchNorm2d(4, affine=False), _IMAGE),
    "batch-norm-bare": (lambda: nn.BatchNorm3d(4, track_running_stats=False), _CUBE),
    "sync-batch-norm": (lambda: nn.SyncBatchNorm(4), tuple),
    "instance-norm": (lambda: nn.InstanceNorm2d(4, affine=True, track_running_stats=True), _IMAGE),
    "layer-norm": (lambda: nn.LayerNorm(6), _FLAT),
    "group-norm": (lambda: nn.GroupNorm(2, 4), _IMAGE),
    "local-response-norm": (lambda: nn.LocalResponseNorm(2), _IMAGE),
    "embedding": (lambda: nn.Embedding(9, 3, padding_idx=0), _indices(9, 4)),
    "embedding-bag": (lambda: nn.EmbeddingBag(9, 3, mode="mean"), _indices(9, 2, 4)),
    "rnn-cell": (lambda: nn.RNNCell(6, 3), _FLAT),
    "lstm-cell": (lambda: nn.LSTMCell(6, 3), _FLAT),
    "gru-cell": (lambda: nn.GRUCell(6, 3), _FLAT),
    "rnn": (lambda: nn.RNN(6, 3, nonlinearity="relu"), _floats(5, 2, 6)),
    "lstm": (lambda: nn.LSTM(6, 3, 2, bidirectional=True, proj_size=2), _floats(5, 2, 6)),
    "gru": (lambda: nn.GRU(6, 3, bias=False), _floats(5, 2, 6)),
    "attention": (lambda: nn.MultiheadAttention(6, 2, batch_first=True), lambda: (torch.randn(2, 3, 6),) * 3),
    "attention-parts": (
        lambda: nn.MultiheadAttention(6, 2, kdim=4, vdim=5, add_bias_kv=True),
        lambda: (torch.randn(3, 2, 6), torch.randn(3, 2, 4), torch.randn(3, 2, 5)),
    ),
    "encoder-layer": (lambda: nn.TransformerEncoderLayer(6, 2, 8, activation="gelu"), _floats(3, 2, 6)),
    "decoder-layer": (
        lambda: nn.TransformerDecoderLayer(6, 2, 8, norm_first=True),
        lambda: (torch.randn(3, 2, 6), torch.randn(4, 2, 6)),
    ),
    "encoder": (
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), 2),
        _floats(2, 3, 6),
    ),
    "transformer": (
        _quiet(lambda: nn.Transformer(6, 2, 1, 1, 8)),
        lambda: (torch.randn(3, 2, 6), torch.randn(4, 2, 6)),
    ),
    "prelu": (lambda: nn.PReLU(4), _IMAGE),
    "relu": (lambda: nn.ReLU(inplace=False), _FLAT),
    "gelu": (lambda: nn.GELU("tanh"), _FLAT),
    "softmax": (lambda: nn.Softmax(dim=1), _FLAT),
    "hardtanh": (lambda: nn.Hardtanh(-2, 2), _FLAT),
    "dropout": (lambda: nn.Dropout(0.3), _FLAT),
    "max-pool": (lambda: nn.MaxPool2d(2), _IMAGE),
    "avg-pool": (lambda: nn.AvgPool3d(2), _CUBE),
    "adaptive-pool": (lambda: nn.AdaptiveAvgPool2d((2, None)), _IMAGE),
    "lp-pool": (lambda: nn.LPPool2d(2, 2), _IMAGE),
    "upsample": (lambda: nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=True), _IMAGE),
    "pixel-shuffle": (lambda: nn.PixelShuffle(2), _IMAGE),
    "flatten": (nn.Flatten, _IMAGE),
    "unfold": (lambda: nn.Unfold(2), _IMAGE),
    "pad": (lambda: nn.ReflectionPad2d(1), _IMAGE),
    "cosine": (nn.CosineSimilarity, lambda: (torch.randn(2, 6), torch.randn(2, 6))),
    "cross-entropy": (
        lambda: nn.CrossEntropyLoss(weight=torch.rand(6)),
        lambda: (torch.randn(2, 6), torch.tensor([1, 5])),
    ),
    "bce-logits": (
        lambda: nn.BCEWithLogitsLoss(pos_weight=torch.rand(6)),
        lambda: (torch.randn(2, 6), torch.rand(2, 6)),
    ),
    "triplet": (nn.TripletMarginLoss, lambda: (torch.randn(2, 6), torch.randn(2, 6), torch.randn(2, 6))),
    "adaptive-softmax": (
        lambda: nn.AdaptiveLogSoftmaxWithLoss(64, 10, [3, 6]),
        lambda: (torch.randn(2, 64), torch.tensor([1, 9])),
    ),
    "sequential": (lambda: nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)), _FLAT),
    "module-list": (lambda: nn.ModuleList([nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)]), tuple),
    "module-dict": (lambda: nn.ModuleDict({"b": nn.Linear(2, 2), "a": nn.Linear(1, 2)}), tuple),
    "parameter-list": (lambda: nn.ParameterList([torch.ones(2), torch.zeros(3)]), tuple),
    "parameter-dict": (lambda: nn.ParameterDict({"w": torch.ones(2), "a": torch.zeros(1)}), tuple),
    "data-parallel": (lambda: nn.DataParallel(nn.Linear(6, 2)), _FLAT),
    "weight-norm": (_quiet(lambda: nn.utils.weight_norm(nn.Linear(6, 3))), _FLAT),
    "spectral-norm": (lambda: nn.utils.spectral_norm(nn.Linear(6, 3), eps=1e-10), _FLAT),
    "net": (Net, _floats(2, 3, 5, 5)),
    "tied": (Tied, _indices(7, 3)),
    "outer": (Outer, _floats(2, 3)),
    "my-norm": (lambda: MyNorm(6), _FLAT),
    "tagger-lstm": (Tagger, _indices(11, 2, 4)),
    "tagger-gru": (lambda: Tagger(nn.GRU, bidirectional=True), _indices(11, 2, 4)),
    "configured": (Configured, _floats(2, 5)),
}

CASES = {name: Case(*parts) for name, parts in _PLAIN.items()}


def made(name: str, seed: int = 0) -> nn.Module:
    """The module of that name, its weights and running statistics away from their initial values."""
    torch.manual_seed(seed)
    module = CASES[name].make()
    with torch.no_grad():
        for tensor in [*module.parameters(), *module.buffers()]:
            if tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
    return module
