"""The closed table of plain values: kind of Built, which a vetted shape denotes -> the function that makes it.

There are two sorts. An immutable value is made at once, from its arguments. A container is made empty, and filled when
all of its items exist, because it may hold itself. Nothing is looked up by a name from a file: the keys are the kinds
that the shapes write, and a test compares the two lists.
"""

from __future__ import annotations

import argparse
import builtins
import collections
import datetime
import decimal
import fractions
import io
import pathlib
import random
import types
import typing
import uuid

# SECURITY: from `_collections`, because another package may have replaced the names in `collections`. A published
# attack is a checkpoint with a package that replaces OrderedDict by a class that runs its argument.
from _collections import OrderedDict, defaultdict, deque  # type: ignore[import-not-found, unused-ignore]
from collections.abc import Callable, Container
from typing import Any

import torch

from safeload.document.document import Built
from safeload.document.dtypes import BITS
from safeload.errors import Malformed
from safeload.loading.tensors import DTYPES

Resolve = Callable[[object], Any]


def _date(built: Built, of: Resolve) -> Any:
    return datetime.date(*built.args)


def _time(built: Built, of: Resolve) -> Any:
    hour, minute, second, micro, zone, fold = built.args
    return datetime.time(hour, minute, second, micro, of(zone), fold=fold)


def _datetime(built: Built, of: Resolve) -> Any:
    year, month, day, hour, minute, second, micro, zone, fold = built.args
    return datetime.datetime(year, month, day, hour, minute, second, micro, of(zone), fold=fold)


def _timedelta(built: Built, of: Resolve) -> Any:
    return datetime.timedelta(*built.args)


def _timezone(built: Built, of: Resolve) -> Any:
    return datetime.timezone(*(of(arg) for arg in built.args))


def _uuid(built: Built, of: Resolve) -> Any:
    number, safe = built.args
    return uuid.UUID(int=number, is_safe=uuid.SafeUUID(safe))


def _bytes_io(built: Built, of: Resolve) -> Any:
    made = io.BytesIO(built.args[0])
    made.seek(built.args[1])
    return made


def _string_io(built: Built, of: Resolve) -> Any:
    made: Any = io.StringIO()
    made.__setstate__((*built.args, None))
    return made


def _random(built: Built, of: Resolve) -> Any:
    made = random.Random(0)  # noqa: S311 - the state of the file follows
    if built.args:
        version, words, gauss = built.args
        made.setstate((version, tuple(words), gauss))
    return made


def _from_numpy(built: Built, of: Resolve) -> Any:
    data, _, grad = built.args
    return torch.from_numpy(of(data)).requires_grad_(bool(grad))


def _size(built: Built, of: Resolve) -> Any:
    return torch.Size(built.args[0])


IMMEDIATE: dict[str, Callable[[Built, Resolve], Any]] = {
    "builtins.slice": lambda built, of: slice(*(of(arg) for arg in built.args)),
    "builtins.range": lambda built, of: range(*built.args),
    "builtins.object": lambda built, of: object(),
    "datetime.date": _date,
    "datetime.time": _time,
    "datetime.datetime": _datetime,
    "datetime.timedelta": _timedelta,
    "datetime.timezone": _timezone,
    "decimal.Decimal": lambda built, of: decimal.Decimal(built.args[0]),
    "fractions.Fraction": lambda built, of: fractions.Fraction(*built.args),
    "io.BytesIO": _bytes_io,
    "io.StringIO": _string_io,
    "pathlib.PurePosixPath": lambda built, of: pathlib.PurePosixPath(*built.args),
    "pathlib.PureWindowsPath": lambda built, of: pathlib.PureWindowsPath(*built.args),
    "random.Random": _random,
    "uuid.SafeUUID": lambda built, of: uuid.SafeUUID(built.args[0]),
    "uuid.UUID": _uuid,
    "torch.Size": _size,
    "torch.Tensor": lambda built, of: torch.empty(0, dtype=DTYPES[str(built.args[0])]),
    "torch.device": lambda built, of: torch.device(*built.args),
    "torch.from_numpy": _from_numpy,
    "torch.torch_version.TorchVersion": lambda built, of: torch.torch_version.TorchVersion(built.args[0]),
}
"""Kinds that are made at once. `of` takes an argument and returns the object built for it."""


EMPTY: dict[str, Callable[[Built, Resolve], Any]] = {
    "collections.OrderedDict": lambda built, of: OrderedDict(),
    "collections.Counter": lambda built, of: collections.Counter(),
    "collections.defaultdict": lambda built, of: defaultdict(*(of(arg) for arg in built.args)),
    "collections.deque": lambda built, of: deque(maxlen=built.args[0]),
    "collections.ChainMap": lambda built, of: collections.ChainMap(),
    "argparse.Namespace": lambda built, of: argparse.Namespace(),
    "types.SimpleNamespace": lambda built, of: types.SimpleNamespace(),
}
"""Kinds that are made empty, and that `fill` fills later."""


def fill(built: Built, target: Any, of: Resolve, own: Container[type] = ()) -> None:
    """Put items and attributes into a container that EMPTY made."""
    items = built.items
    if isinstance(items, dict):
        # Not `update`: that of a Counter adds.
        put = dict.__setitem__ if not isinstance(target, OrderedDict) else OrderedDict.__setitem__
        for key, value in zip(distinguishable([of(key) for key in items], own), items.values(), strict=True):
            put(target, key, of(value))
    elif isinstance(items, list):
        if isinstance(target, collections.ChainMap):
            target.maps = of(items)
        else:
            target.extend(of(item) for item in items)
    if built.state:
        target.__dict__.update((name, of(value)) for name, value in built.state.items())


def distinguishable(keys: list[Any], own: Container[type] = ()) -> list[Any]:
    """`keys`. Raises Malformed when a dict or set of them would take far more time than their number says.

    SECURITY: a file can choose the hashes of numbers, fractions and UUIDs. If all are equal, a dict takes quadratic
    time, and to compare two Fractions is slow. The machine bounds plain keys, this function bounds those that calls
    have made. `own` are classes whose methods a dict or set would run: their instances are refused.
    """
    hashes: collections.Counter[int] = collections.Counter()
    for key in keys:
        if type(key) not in _RANDOM_OR_BOUNDED:
            parts = _weight(key, own)
            # The time to compare a key grows with its parts.
            try:
                hashes[hash(key)] += 1 + parts // 8
            except TypeError as error:
                raise Malformed(f"what is a key or an element of a set cannot be one: {error}") from error
    if hashes and max(hashes.values()) > SAME_HASH:
        raise Malformed(f"more than {SAME_HASH} keys or elements of a set have one hash")
    return keys


def _weight(key: Any, own: Container[type]) -> int:
    """How many parts a key has; a shared part counts each time. Raises Malformed for more than KEY_PARTS."""
    pending, seen = [key], 0
    while pending:
        part = pending.pop()
        kind = type(part)
        seen += 1
        if kind is tuple or kind is frozenset:
            if seen + len(part) > KEY_PARTS:
                raise Malformed(f"a key or element of a set has more than {KEY_PARTS} parts")
            pending.extend(part)
        elif kind not in _RANDOM_OR_BOUNDED and kind in own:
            raise Malformed(f"a {kind.__qualname__} is a key or element of a set: its own __hash__ would run")
    return seen


KEY_PARTS = 768
"""The most parts of one key. `limits.key_elements` is the same bound for the parts that a scan sees."""

SAME_HASH = 100
"""The most keys with the same hash in a mapping or set. Honest ones are two: -1 and -2."""

_RANDOM_OR_BOUNDED = frozenset({type(None), bool, int, float, str, bytes})


_BUILTIN_TYPES = (
    "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "object", "range", "set",
    "slice", "str", "tuple",
)  # fmt: skip
_ANNOTATIONS = (
    "Any", "Callable", "Dict", "FrozenSet", "Iterable", "List", "Mapping", "Optional", "Sequence", "Set", "Tuple",
    "Type", "Union",
)  # fmt: skip
_TORCH_NAMES = (
    "strided", "sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc", "jagged", "_mkldnn",
    "per_tensor_affine", "per_tensor_symmetric", "per_channel_affine", "per_channel_symmetric",
    "per_channel_affine_float_qparams", "contiguous_format", "channels_last", "channels_last_3d", "preserve_format",
    "Size", "device", "Tensor",
)  # fmt: skip

SYMBOLS: dict[str, Any] = {
    **{f"builtins.{name}": getattr(builtins, name) for name in _BUILTIN_TYPES},
    "builtins.Ellipsis": Ellipsis,
    "builtins.NotImplemented": NotImplemented,
    "builtins.NoneType": type(None),
    "types.NoneType": types.NoneType,
    "types.EllipsisType": types.EllipsisType,
    "types.NotImplementedType": types.NotImplementedType,
    **{f"typing.{name}": getattr(typing, name) for name in _ANNOTATIONS},
    "collections.OrderedDict": OrderedDict,
    "collections.defaultdict": defaultdict,
    "collections.Counter": collections.Counter,
    "collections.deque": deque,
    **{f"torch.{name}": DTYPES[name] for name in BITS if name in DTYPES},
    **{f"torch.{name}": getattr(torch, name) for name in _TORCH_NAMES if hasattr(torch, name)},
    "torch.nn.parameter.Parameter": torch.nn.Parameter,
}
"""Vetted name -> the value that it stands for. A vetted name outside this table stays an inert Record."""
