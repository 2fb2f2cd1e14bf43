"""Persistent ids of torch files, and the storage classes they name.

Semantics: torch/serialization.py `_load.persistent_load` (zip) and `_legacy_load.persistent_load` (legacy, with view
metadata and "module" sources), torch 2.13. Reads no storage, but compares a declared size with that of the member.
"""

from __future__ import annotations

import re

from safeload.document.cell import Cell
from safeload.document.document import StorageSpec, StorageValue, Symbol, resolve
from safeload.document.dtypes import itemsize
from safeload.findings import Verdict
from safeload.machine.program import Persistent
from safeload.vetted.interface import Constructor, Context, ShapeError

_TYPED = {
    "FloatStorage": "float32", "DoubleStorage": "float64", "HalfStorage": "float16", "BFloat16Storage": "bfloat16",
    "LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8",
    "ByteStorage": "uint8", "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "qint8", "QUInt8Storage": "quint8", "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2", "QUInt2x4Storage": "quint2x4",
}  # fmt: skip

STORAGE_TYPES: dict[str, str | None] = {
    **{f"torch.{name}": dtype for name, dtype in _TYPED.items()},
    **{f"torch.cuda.{name}": dtype for name, dtype in _TYPED.items()},
    "torch.storage.UntypedStorage": None,
}
"""Storage class -> dtype of its elements; None for untyped bytes."""

# Letters of a key: torch writes a running number, or an address, in decimal digits.
_KEY_DIGITS = 32
# The device tags that torch writes. A plain torch has no restore function for any other tag.
_LOCATION = (
    r"(?:cpu|meta|(?:cuda|mps|xpu|hpu|mtia|npu|xla|xla_cuda|maia|mlu|musa|privateuseone|ipu|vulkan)(?::[0-9]{1,4})?)"
)
_HUGE = 1 << 62


def persistent_value(node: Persistent, ctx: Context) -> object:
    """What a persistent load in a torch stream denotes: a StorageValue, or the class of a "module" id.

    Raises ShapeError for any id that is not exactly as torch writes it.
    """
    pid = node.pid
    if node.text:
        # SECURITY: such an id is one text. torch never writes it, and to parse it would be a guess.
        raise _unjudged("a persistent id given as text is not of torch's form", "text-persistent-id")
    if type(pid) is not tuple or not pid:
        raise _bad("a persistent id must be a tuple")
    kind = _text(pid[0])
    if kind == "storage":
        return _storage(pid, node, ctx)
    if kind == "module" and ctx.extents is None and len(pid) == 4 and isinstance(pid[1], Cell):
        # Legacy files have the source text of pickled modules here, which torch compares with the installed class. The
        # class is a global of the stream, and judged as one. The text is not used.
        return pid[1]
    raise _bad('a persistent id must be ("storage", type, key, location, numel)')


def is_location(tag: str) -> bool:
    """Whether `tag` is a device tag that torch writes beside a storage."""
    return tag == "cpu" or re.fullmatch(_LOCATION, tag) is not None


def _storage(pid: tuple[object, ...], node: Persistent, ctx: Context) -> StorageValue:
    legacy = ctx.extents is None
    # Old writers of TorchScript add a sixth element, None.
    if len(pid) != (6 if legacy else 5) and not (len(pid) == 6 and pid[5] is None):
        raise _bad(f"a storage id has {6 if legacy else 5} elements here, not {len(pid)}")
    symbol = resolve(pid[1])
    if type(symbol) is not Symbol or symbol.name not in STORAGE_TYPES:
        raise _bad("the type in a storage id is not a torch storage class")
    dtype = STORAGE_TYPES[symbol.name]
    key, location, numel = _text(pid[2]), _text(pid[3]), pid[4]
    if key is None or len(key) > _KEY_DIGITS or not (key.isascii() and key.isdecimal()):
        raise _bad("the key in a storage id is not a decimal number")
    if location is None or not is_location(location):
        raise _unjudged("the device tag in a storage id is not one that torch writes", "persistent-id")
    if type(numel) is not int or not 0 <= numel < _HUGE:
        raise _bad("the element count in a storage id is not a size")
    nbytes = numel * (1 if dtype is None else itemsize(dtype))
    spec = ctx.storages.get(key)
    if spec is None:
        spec = StorageSpec(key, dtype, nbytes, location)
        _fits(spec, ctx)
        ctx.storages[key] = spec
    elif (spec.dtype or "uint8") != (dtype or "uint8") or spec.nbytes != nbytes or spec.location != location:
        # SECURITY: torch keeps the first declaration of a storage and ignores the second. A reader that believes the
        # second is wrong about type and size. torch never writes this.
        raise _bad(f"storage {key} is declared twice with different type, size or device")
    elif spec.dtype != dtype:
        # Not a contradiction: to torch both are plain bytes, say a uint8 tensor and its untyped storage.
        spec = StorageSpec(key, dtype, nbytes, location)
    if len(pid) == 6 and pid[5] is not None:
        spec = _view(spec, pid[5])
    return StorageValue(spec, dtype is not None)


def _fits(spec: StorageSpec, ctx: Context) -> None:
    if ctx.extents is None:
        return
    extent = ctx.extents.get(spec.key)
    if extent is None:
        raise _bad(f"storage {spec.key} has no member in the file")
    if extent.size != spec.nbytes and not (ctx.placeholders and extent.size == 0):
        # SECURITY: with mmap torch does not compare the two sizes, and shows bytes of other members (CVE-2026-24747).
        raise _bad(f"storage {spec.key} declares {spec.nbytes} bytes, its member holds {extent.size}")


def _view(spec: StorageSpec, metadata: object) -> StorageSpec:
    if type(metadata) is not tuple or len(metadata) != 3:
        raise _bad("view metadata of a storage id must be (key, offset, size)")
    _, offset, size = metadata
    width = 1 if spec.dtype is None else itemsize(spec.dtype)
    if type(offset) is not int or type(size) is not int or offset < 0 or size < 0:
        raise _bad("view metadata of a storage id holds no sizes")
    if (offset + size) * width > spec.nbytes:
        raise ShapeError(f"a view reaches outside storage {spec.key}", rule="tensor-bounds")
    return StorageSpec(spec.key, spec.dtype, spec.nbytes, spec.location, (offset * width, size * width))


def _text(value: object) -> str | None:
    """The text of a str, or of the bytes that a python 2 str is under encoding="bytes"; None for anything else."""
    if type(value) is str:
        return value
    if type(value) is bytes and value.isascii():
        return value.decode("ascii")
    return None


def _bad(message: str) -> ShapeError:
    return ShapeError(message, rule="persistent-id")


def _unjudged(message: str, rule: str) -> ShapeError:
    return ShapeError(message, Verdict.UNJUDGED, rule)


CONSTRUCTORS = (Constructor("torch-storage-class"),)
