"""Attributes that files of older torch lack, and today's torch needs.

The rows are by the dotted name of a class; those of its base classes count too. A row never replaces an attribute that
the file holds. Semantics: the `__setstate__` of torch/nn/modules/{module,conv,rnn,activation,pooling,upsampling,
transformer}.py, torch 2.13, which sets most of them. The other rows are attributes that `forward` of 2.13 reads, with
the value that they had when the older file was written.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from safeload.errors import UnsafeCheckpoint

HOOKS = (
    "_backward_hooks",
    "_backward_pre_hooks",
    "_forward_hooks",
    "_forward_hooks_always_called",
    "_forward_hooks_with_kwargs",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_load_state_dict_post_hooks",
    "_load_state_dict_pre_hooks",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
)
"""The attributes of nn.Module that hold hooks, or something about each hook."""

_Value = Callable[[], object]


def _the(value: object) -> _Value:
    return lambda: value


_IN_PLACE = {"inplace": _the(False)}
_DIM = {"dim": _the(None)}
_WITHOUT_DIVISOR = {"divisor_override": _the(None)}
_LAYER = {"activation": _the(functional.relu), "norm_first": _the(False)}

ABSENT: dict[str, dict[str, _Value]] = {
    "torch.nn.modules.module.Module": {
        "training": _the(True),
        "_non_persistent_buffers_set": set,
        "_is_full_backward_hook": _the(None),
        **dict.fromkeys(HOOKS, OrderedDict),
    },
    "torch.nn.modules.activation.GELU": {"approximate": _the("none")},
    "torch.nn.modules.activation.Hardsigmoid": _IN_PLACE,
    "torch.nn.modules.activation.Hardswish": _IN_PLACE,
    "torch.nn.modules.activation.LogSoftmax": _DIM,
    "torch.nn.modules.activation.MultiheadAttention": {
        "_qkv_same_embed_dim": _the(True),
        "batch_first": _the(False),
    },
    "torch.nn.modules.activation.SiLU": _IN_PLACE,
    "torch.nn.modules.activation.Softmax": _DIM,
    "torch.nn.modules.activation.Softmin": _DIM,
    "torch.nn.modules.conv._ConvNd": {"padding_mode": _the("zeros")},
    "torch.nn.modules.loss.BCEWithLogitsLoss": {"pos_weight": _the(None)},
    "torch.nn.modules.loss.CTCLoss": {"zero_infinity": _the(False)},
    "torch.nn.modules.loss.CrossEntropyLoss": {"ignore_index": _the(-100), "label_smoothing": _the(0.0)},
    "torch.nn.modules.loss.KLDivLoss": {"log_target": _the(False)},
    "torch.nn.modules.loss.NLLLoss": {"ignore_index": _the(-100)},
    "torch.nn.modules.loss.SmoothL1Loss": {"beta": _the(1.0)},
    "torch.nn.modules.pooling.AvgPool2d": _WITHOUT_DIVISOR,
    "torch.nn.modules.pooling.AvgPool3d": {
        "padding": _the(0),
        "ceil_mode": _the(False),
        "count_include_pad": _the(True),
        **_WITHOUT_DIVISOR,
    },
    "torch.nn.modules.sparse.EmbeddingBag": {"include_last_offset": _the(False), "padding_idx": _the(None)},
    "torch.nn.modules.transformer.Transformer": {"batch_first": _the(False)},
    "torch.nn.modules.transformer.TransformerDecoderLayer": _LAYER,
    "torch.nn.modules.transformer.TransformerEncoder": {
        "enable_nested_tensor": _the(False),
        "use_nested_tensor": _the(False),
        "mask_check": _the(True),
    },
    "torch.nn.modules.transformer.TransformerEncoderLayer": _LAYER,
    "torch.nn.modules.upsampling.Upsample": {"align_corners": _the(None), "recompute_scale_factor": _the(True)},
}


def fill(cls: type, attributes: dict[str, Any]) -> None:
    """Add to the `attributes` of an instance of `cls` what this version of torch needs and the file lacks.

    SECURITY: looks only at exact types and identity: a value may be of a trusted class, whose methods are code.
    Raises UnsafeCheckpoint when the attributes contradict each other.
    """
    for above in cls.__mro__:
        name = f"{above.__module__}.{above.__qualname__}"
        for attribute, value in ABSENT.get(name, {}).items():
            if attribute not in attributes and not _registered(attributes, attribute):
                attributes[attribute] = value()
        if name in DERIVED:
            DERIVED[name](attributes)


def _registered(attributes: dict[str, Any], name: str) -> bool:
    return any(name in attributes[part] for part in ("_parameters", "_buffers", "_modules"))


def _attention(attributes: dict[str, Any]) -> None:
    for name in ("kdim", "vdim"):
        attributes.setdefault(name, attributes.get("embed_dim"))


def _convolution(attributes: dict[str, Any]) -> None:
    padding = attributes.get("padding")
    if "_reversed_padding_repeated_twice" not in attributes and type(padding) is tuple:
        attributes["_reversed_padding_repeated_twice"] = [side for side in reversed(padding) for _ in range(2)]


def _norm(attributes: dict[str, Any]) -> None:
    buffers = attributes["_buffers"]
    tracked = buffers.get("running_mean") is not None
    attributes.setdefault("track_running_stats", tracked)
    if "running_mean" in buffers and "num_batches_tracked" not in buffers:
        buffers["num_batches_tracked"] = torch.tensor(0, dtype=torch.long) if tracked else None


def _loss(attributes: dict[str, Any]) -> None:
    if "reduction" not in attributes:
        averaged = "mean" if attributes.get("size_average", True) is not False else "sum"
        attributes["reduction"] = "none" if attributes.get("reduce", True) is False else averaged


def _parameter_list(attributes: dict[str, Any]) -> None:
    attributes.setdefault("_size", len(attributes["_parameters"]))


def _parameter_dict(attributes: dict[str, Any]) -> None:
    attributes.setdefault("_keys", dict.fromkeys(attributes["_parameters"]))


def _encoder_layer(attributes: dict[str, Any]) -> None:
    activation = attributes.get("activation")
    # By identity: `==` could run the __eq__ of a trusted class.
    kind = 1 if activation is functional.relu else 2 if activation is functional.gelu else 0
    attributes.setdefault("activation_relu_or_gelu", kind)


def _recurrent(attributes: dict[str, Any]) -> None:
    """`RNNBase.__setstate__`: the names of the weights by layer, the weights in this order, and weak references."""
    if "all_weights" in attributes:  # a property since torch 0.4
        attributes["_all_weights"] = attributes.pop("all_weights")
    attributes.setdefault("proj_size", 0)
    rows = attributes.get("_all_weights")
    if not (type(rows) is list and rows and all(_texts(row) for row in rows)):
        rows = attributes["_all_weights"] = _weight_names(attributes)
        attributes.pop("_flat_weights_names", None)
        attributes.pop("_flat_weights", None)
    names = attributes.setdefault("_flat_weights_names", [name for row in rows for name in row])
    if not _texts(names):
        raise UnsafeCheckpoint("a recurrent layer names its weights by something that is no str")
    if "_flat_weights" not in attributes:
        attributes["_flat_weights"] = [attributes["_parameters"].get(n, attributes.get(n)) for n in names]
    flat = attributes["_flat_weights"]
    if type(flat) is not list or not all(w is None or issubclass(type(w), torch.Tensor) for w in flat):
        raise UnsafeCheckpoint("a recurrent layer holds weights that are no tensors")
    attributes["_flat_weight_refs"] = [None if weight is None else weakref.ref(weight) for weight in flat]


def _texts(value: object) -> bool:
    return type(value) is list and all(type(item) is str for item in value)


def _on(value: object) -> bool:
    """Whether a flag or number is true. False for any other value: its truth would be decided by its class."""
    return type(value) in (bool, int) and bool(value)


def _weight_names(attributes: dict[str, Any]) -> list[list[str]]:
    layers = attributes.get("num_layers")
    # SECURITY: the number of layers comes from the file. Layers without weights would cost memory without bound.
    if type(layers) is not int or not 0 <= layers <= len(attributes["_parameters"]):
        raise UnsafeCheckpoint("a recurrent layer has another number of layers than its weights")
    kinds = ["weight_ih", "weight_hh"]
    if _on(attributes.get("bias", True)):
        kinds += ["bias_ih", "bias_hh"]
    if _on(attributes["proj_size"]):
        kinds += ["weight_hr"]
    ends = ("", "_reverse") if _on(attributes.get("bidirectional")) else ("",)
    return [[f"{kind}_l{layer}{end}" for kind in kinds] for layer in range(layers) for end in ends]


DERIVED: dict[str, Callable[[dict[str, Any]], None]] = {
    "torch.nn.modules.activation.MultiheadAttention": _attention,
    "torch.nn.modules.batchnorm._NormBase": _norm,
    "torch.nn.modules.container.ParameterDict": _parameter_dict,
    "torch.nn.modules.container.ParameterList": _parameter_list,
    "torch.nn.modules.conv._ConvNd": _convolution,
    "torch.nn.modules.loss._Loss": _loss,
    "torch.nn.modules.rnn.RNNBase": _recurrent,
    "torch.nn.modules.transformer.TransformerEncoderLayer": _encoder_layer,
}
