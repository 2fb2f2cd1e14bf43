"""One small object of every class of torch.nn, found by looking, and models of common shapes.

Needs torch. Nothing here is random beyond torch's own generator, which the caller seeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

CONV = (2, 3, 2)
LAYER = {"d_model": 4, "nhead": 2, "dim_feedforward": 8}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "AdaptiveAvgPool1d": (2,), "AdaptiveAvgPool2d": (2,), "AdaptiveAvgPool3d": (2,), "AdaptiveMaxPool1d": (2,),
    "AdaptiveMaxPool2d": (2,), "AdaptiveMaxPool3d": (2,), "AdaptiveLogSoftmaxWithLoss": (4, 6, [2, 4]),
    "AvgPool1d": (2,), "AvgPool2d": (2,), "AvgPool3d": (2,), "BatchNorm1d": (2,), "BatchNorm2d": (2,),
    "BatchNorm3d": (2,), "Bilinear": (2, 3, 4), "ChannelShuffle": (2,), "CircularPad1d": (1,), "CircularPad2d": (1,),
    "CircularPad3d": (1,), "ConstantPad1d": (1, 0.5), "ConstantPad2d": (1, 0.5), "ConstantPad3d": (1, 0.5),
    "Conv1d": CONV, "Conv2d": CONV, "Conv3d": CONV, "ConvTranspose1d": CONV, "ConvTranspose2d": CONV,
    "ConvTranspose3d": CONV, "CrossMapLRN2d": (2,), "DataParallel": (nn.Linear(2, 2),), "Embedding": (5, 3),
    "EmbeddingBag": (5, 3), "Fold": ((4, 4), 2), "FractionalMaxPool2d": (2, 2), "FractionalMaxPool3d": (2, 2),
    "GRU": (2, 3), "GRUCell": (2, 3), "GroupNorm": (2, 4), "InstanceNorm1d": (2, 1e-5, 0.1, True, True),
    "InstanceNorm2d": (2, 1e-5, 0.1, True, True), "InstanceNorm3d": (2, 1e-5, 0.1, True, True), "LPPool1d": (2, 2),
    "LPPool2d": (2, 2), "LPPool3d": (2, 2), "LSTM": (2, 3, 2), "LSTMCell": (2, 3), "LayerNorm": (4,),
    "LazyConv1d": (3, 2), "LazyConv2d": (3, 2), "LazyConv3d": (3, 2), "LazyConvTranspose1d": (3, 2),
    "LazyConvTranspose2d": (3, 2), "LazyConvTranspose3d": (3, 2), "LazyLinear": (3,), "Linear": (3, 2),
    "LinearCrossEntropyLoss": (4, 3), "LocalResponseNorm": (2,), "MaxPool1d": (2,), "MaxPool2d": (2,),
    "MaxPool3d": (2,), "MaxUnpool1d": (2,), "MaxUnpool2d": (2,), "MaxUnpool3d": (2,),
    "ModuleDict": ({"a": nn.Linear(2, 2)},), "ModuleList": ([nn.Linear(2, 2), nn.ReLU()],),
    "MultiheadAttention": (4, 2), "ParameterDict": ({"a": nn.Parameter(torch.ones(2))},),
    "ParameterList": ([nn.Parameter(torch.ones(2))],), "PixelShuffle": (2,), "PixelUnshuffle": (2,), "RMSNorm": (4,),
    "RNN": (2, 3), "RNNBase": ("LSTM", 2, 3), "RNNCell": (2, 3), "RNNCellBase": (2, 3, True, 4),
    "ReflectionPad1d": (1,), "ReflectionPad2d": (1,), "ReflectionPad3d": (1,), "ReplicationPad1d": (1,),
    "ReplicationPad2d": (1,), "ReplicationPad3d": (1,), "Sequential": (nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)),
    "SyncBatchNorm": (2,), "Threshold": (0.1, 2.0), "Transformer": (4, 2, 1, 1, 8),
    "TransformerDecoder": (nn.TransformerDecoderLayer(**LAYER), 1), "TransformerDecoderLayer": (4, 2, 8),
    "TransformerEncoder": (nn.TransformerEncoderLayer(**LAYER), 1, None, False),
    "TransformerEncoderLayer": (4, 2, 8), "Unflatten": (1, (2, 2)), "Unfold": (2,), "UpsamplingBilinear2d": (4,),
    "UpsamplingNearest2d": (4,), "ZeroPad1d": (1,), "ZeroPad2d": (1,), "ZeroPad3d": (1,),
}  # fmt: skip
NOT_MODULES = ("Container", "NLLLoss2d")
"""Old names that warn, of classes that others stand for."""


def every() -> Iterator[tuple[str, nn.Module]]:
    """Each class and one object of it."""
    for name in sorted(dir(nn)):
        cls = getattr(nn, name)
        if isinstance(cls, type) and issubclass(cls, nn.Module) and name not in NOT_MODULES:
            yield name, cls(*ARGUMENTS.get(name, ()))


class Residual(nn.Module):
    """A class of a project's own: a small residual network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.body = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))
        self.head = nn.Linear(4, 2)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits."""
        x = self.stem(x)
        for layer in self.body:
            x = x + layer(x)
        return self.head(x.mean((2, 3)))


class Tied(nn.Module):
    """A language model whose head is its embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 4)
        self.layers = nn.TransformerEncoder(nn.TransformerEncoderLayer(**LAYER), 2, enable_nested_tensor=False)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the next token."""
        return self.head(self.layers(self.embed(x)))


class Recurrent(nn.Module):
    """A sequence model."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 4, 2, bidirectional=True)
        self.out = nn.Linear(8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One number a step."""
        return self.out(self.rnn(x)[0])


SHAPES: dict[str, type[nn.Module]] = {"Residual": Residual, "Tied": Tied, "Recurrent": Recurrent}
