"""The closed list of the second reader: which names a pickle may hold, and how each is called and given a state.

It shares no line with safeload's own table, and is smaller: what is missing is Outside. Makes no object.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

WIDTHS = {"Float": 4, "Double": 8, "Half": 2, "BFloat16": 2, "Long": 8, "Int": 4, "Short": 2, "Char": 1, "Byte": 1}
WIDTHS |= {"Bool": 1, "ComplexFloat": 8, "ComplexDouble": 16}
UNTYPED = "torch.storage.UntypedStorage"
STORAGES = {f"torch.{gpu}{name}Storage": size for gpu in ("", "cuda.") for name, size in WIDTHS.items()} | {UNTYPED: 1}
DTYPES = {"torch.float8_e4m3fn": 1, "torch.float8_e5m2": 1, "torch.uint16": 2, "torch.uint32": 4, "torch.uint64": 8}
LOCATION = re.compile(r"(cpu|meta|mps|(cuda|xpu|hpu|mtia|npu|xla|privateuseone)(:[0-9]{1,4})?)")


class Outside(Exception):
    """The bytes are outside of what the second reader takes. `name`: the one that is not in the closed list, or ""."""

    def __init__(self, why: str, name: str = "") -> None:
        super().__init__(why)
        self.name = name


class Differs(Outside):
    """A pickle of a row does something else for an unpickler that read those before it."""


class Made:
    """What is no plain value.

    kind   list, dict, name, storage, tensor, or call (what a call of a name left)
    of     the name it is or was made by;  info: width and bytes of a storage
    items  what it holds (of a mapping k, v, k, v), or was called with
    stated, used   whether a state was set, and whether something was made of it
    """

    def __init__(self, kind: str, of: str = "", items: Any = (), info: tuple[int, int] = (1, 0)) -> None:
        self.kind, self.of, self.items, self.info, self.stated, self.used = kind, of, list(items), info, False, False


def want(condition: object, why: str) -> None:
    """Everything that is not exactly as expected ends here."""
    if not condition:
        raise Outside(why)


def is_made(value: object, kind: str, of: str = "") -> bool:
    """Whether `value` is a Made of this kind, and of this name."""
    return type(value) is Made and value.kind == kind and of in ("", value.of)


def kinds(values: Any, *types: type) -> bool:
    """Whether all are of exactly these types: a bool is no int."""
    return all(type(value) in types for value in values)


def sizes(value: Any) -> bool:
    """Whether this is a tuple of sizes, strides or offsets."""
    return type(value) is tuple and len(value) <= 64 and all(type(n) is int and 0 <= n < 1 << 62 for n in value)


def keys(values: Any) -> bool:
    """Whether these may be keys, which are hashed and compared: plain values, or flat tuples of them."""
    return all(kinds(v if type(v) is tuple else (v,), str, int, float, bool, bytes, type(None)) for v in values)


def strided(args: Any, typed: bool = True) -> bool:
    """Whether a tensor may be made: storage, offset, size, stride[, requires_grad, hooks[, dtype of untyped bytes]]."""
    storage, offset, size, stride = args[:4]
    want(is_made(storage, "storage") and (storage.of != UNTYPED) == typed, "the first argument is no storage for it")
    want(sizes((offset,)) and sizes(size) and sizes(stride) and len(size) == len(stride), "no sizes and strides")
    want(typed or (is_made(args[6], "name") and args[6].of in DTYPES), "the last argument is no dtype")
    room = storage.info[1] // (storage.info[0] if typed else DTYPES[args[6].of])
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    want(offset <= room if 0 in size else last < room, "the tensor reaches outside its storage")
    want(math.prod(size) <= max(room, 1 << 24), "the tensor shows many times what its storage holds")
    return kinds(args[4:5], bool)


def pairs(value: Any) -> bool:
    """Whether this is a list of [key, value]: how Python 2 spells an OrderedDict."""
    fits = is_made(value, "list") and all(is_made(item, "list") and len(item.items) == 2 for item in value.items)
    return fits and keys(item.items[0] for item in value.items)


def width(dtype: Any) -> int:
    """Bytes of an element of a numpy dtype, which may not change from here on: something is made of it."""
    want(is_made(dtype, "call", "numpy.dtype"), "a dtype of numpy was expected")
    dtype.used = True
    return int(dtype.items[0][1:])


def dtype_of(a: Any) -> bool:
    """Whether a numpy dtype may be made: the name of a plain number, False and True."""
    return type(a[0]) is str and re.fullmatch("b1|[iu][1248]|f[248]|c8|c16", a[0]) is not None and a[1:] == (0, 1)


MAPPINGS = ("collections.OrderedDict", "collections.Counter")
ATTRIBUTE = re.compile(r"(?!__|_get_(kwargs|args)$)[A-Za-z_][A-Za-z_0-9]{0,99}")  # none that a Namespace has itself
TORCH, ORDERED, OPTIONS = "torch._utils._rebuild_", MAPPINGS[0], "argparse.Namespace"
PARAMETER = TORCH + "parameter"
CALLS: dict[str, tuple[str, Callable[[tuple[Any, ...]], bool]]] = {
    TORCH + "tensor": ("torch-tensor-v1", lambda a: len(a) == 4 and strided(a)),
    TORCH + "tensor_v2": ("torch-tensor-v2", lambda a: len(a) == 6 and strided(a)),
    TORCH + "tensor_v3": ("torch-tensor-v3", lambda a: len(a) == 7 and strided(a, typed=False)),
    PARAMETER: ("torch-rebuild-parameter", lambda a: len(a) == 3 and is_made(a[0], "tensor") and kinds(a[1:2], bool)),
    ORDERED: ("ordered-dict", lambda a: not a or (len(a) == 1 and pairs(a[0]))),
    "collections.Counter": ("counter", lambda a: len(a) == 1 and is_made(a[0], "dict")),
    OPTIONS: ("namespace", lambda a: not a),
    "_codecs.encode": ("latin1-bytes", lambda a: len(a) == 2 and kinds(a, str) and a[1] in ("latin1", "latin-1")),
    "numpy.dtype": ("numpy-dtype", lambda a: len(a) == 3 and kinds(a[1:], bool, int) and dtype_of(a)),
}
NUMPY: dict[str, tuple[str, Callable[[tuple[Any, ...]], bool]]] = {
    "scalar": ("numpy-scalar", lambda a: len(a) == 2 and kinds(a[1:], bytes) and len(a[1]) == width(a[0])),
    "_reconstruct": ("numpy-reconstruct", lambda a: a[1:] == ((0,), b"b") and is_made(a[0], "name", "numpy.ndarray")),
}
CALLS |= {f"numpy.{core}.multiarray.{name}": form for core in ("core", "_core") for name, form in NUMPY.items()}
SHAPES = {name: shape for name, (shape, _) in CALLS.items()} | dict.fromkeys(STORAGES, "torch-storage-class")
SHAPES |= dict.fromkeys((*DTYPES, "numpy.ndarray"), "value-only")
"""The closed list: every name that a stream may hold. CALLS says what may be called with what, `stated` the rest."""


def stated(made: Any, state: Any) -> None:
    """BUILD: the four kinds of object that take a state, once, and all that it may be."""
    of, fits = made.of if is_made(made, "call") and not made.stated else "", False
    names: list[Any] = state.items[::2] if is_made(state, "dict") else [None]
    parts = state if type(state) is tuple else ()
    if of in (ORDERED, OPTIONS):
        fits = kinds(names, str) and all(n == "_metadata" if of == ORDERED else ATTRIBUTE.fullmatch(n) for n in names)
    elif of == "numpy.dtype" and not made.used and kinds(parts, int, str, type(None)):
        fits = parts in ((3, order, None, None, None, -1, -1, 0) for order in "<|>")
    elif of.endswith("._reconstruct") and len(parts) == 5 and sizes(parts[1]) and kinds(parts[4:], bytes):
        fits = kinds((parts[0], parts[3]), int, bool) and parts[0] == 1 and parts[3] in (0, 1)
        fits = fits and len(parts[4]) == math.prod(parts[1]) * width(parts[2])
    want(fits, f"{of or 'what stands there'} takes no such state")
    made.stated = True
