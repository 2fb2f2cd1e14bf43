"""What is no tensor: a short text of a value for people, and a digest by which two values are compared.

Both are bounded: a text looks at a few elements, a digest visits each object once. Escapes nothing: that is for the
sink.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from safeload.document.cell import UNSET
from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    Enclosed,
    Leaf,
    StorageSpec,
    Symbol,
    TensorSpec,
    resolve,
)
from safeload.document.record import Record

TEXT = 80
"""Characters of a value that are shown."""

_LONG_NUMBER = 1000
_SHOWN = 4
_NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H",
            "u4": "I", "u8": "Q", "b1": "?"}  # fmt: skip


def type_of(value: object) -> str:
    """The type of a resolved value, as a reader would name it."""
    if isinstance(value, Record):
        return f"{value.module}.{value.qualname}"
    if isinstance(value, Built):
        return value.kind
    if isinstance(value, ArraySpec):
        return "numpy array of objects" if value.objects is not None else "numpy scalar"
    if isinstance(value, Symbol):
        return "name"
    if isinstance(value, Enclosed):
        return "file"
    return type(value).__name__


def text_of(value: object) -> str:
    """A resolved value in at most about TEXT characters, as Python would write it."""
    if isinstance(value, Record):
        return f"{value.module}.{value.qualname}" if value.args is None else f"{value.module}.{value.qualname}(...)"
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, ArraySpec) and isinstance(value.data, bytes):
        return f"{value.dtype} {_number(value)}"
    if isinstance(value, Built):
        return f"{value.kind.rpartition('.')[2]}({_items(value.items or value.args)})"
    if isinstance(value, dict):
        pairs = [f"{_scalar(key)}: {_scalar(item)}" for key, item in _first(value.items())]
        return f"{{{', '.join([*pairs, *_more(len(value))])}}}"
    if isinstance(value, list):
        return f"[{_items(value)}]"
    if isinstance(value, tuple):
        return f"({_items(value)}{',' if len(value) == 1 else ''})"
    if isinstance(value, set | frozenset):
        return f"{{{_items(sorted(value, key=_scalar) if len(value) <= _SHOWN else value)}}}"
    return _scalar(value)


def _first(items: Iterable[tuple[object, object]]) -> list[tuple[object, object]]:
    return [item for item, _ in zip(items, range(_SHOWN), strict=False)]


def _items(items: Iterable[object]) -> str:
    shown = [_scalar(item) for item, _ in zip(items, range(_SHOWN), strict=False)]
    size = len(items) if isinstance(items, list | tuple | set | frozenset | dict) else 0
    return ", ".join([*shown, *_more(size)])


def _more(size: int) -> list[str]:
    return [f"... {size:,} in all"] if size > _SHOWN else []


def _scalar(value: object) -> str:
    value = resolve(value)
    if value is UNSET:
        return "(not understood)"
    if type(value) is int:
        # Decimal text of huge numbers takes quadratic time.
        return str(value) if value.bit_length() < _LONG_NUMBER else f"an int of {value.bit_length():,} bits"
    if isinstance(value, str | bytes | bytearray):
        shown = repr(value[:TEXT])
        return shown if len(value) <= TEXT else f"{shown}... {len(value):,} in all"
    if isinstance(value, float | complex | bool | None):
        return repr(value)
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, dict | list | tuple | set | frozenset):
        return f"{type(value).__name__} of {len(value):,}"
    return type_of(value)


def _number(value: ArraySpec) -> str:
    form = _NUMBERS.get(value.dtype[1:])
    data = value.data
    if form is None or not isinstance(data, bytes) or len(data) != struct.calcsize("=" + form):
        return "scalar"
    return repr(struct.unpack((">" if value.dtype[0] == ">" else "<") + form, data)[0])


def digest(value: object, known: dict[int, bytes]) -> bytes:
    """A digest of a value and all below it: equal for equal values, whatever the order in their dicts and sets.

    `known` keeps those of what was visited, for values that live as long as it does. A tensor in the value counts as
    its type and shape; a cycle as one.
    """
    value = resolve(value)
    todo: list[tuple[object, list[object] | None]] = [(value, None)]
    while todo:
        node, below = todo.pop()
        if below is not None:
            known[id(node)] = _joined(node, [_known(child, known) for child in below])
        elif id(node) not in known and not _is_scalar(node):
            known[id(node)] = b"cycle"
            found = _below(node)
            todo.append((node, found))
            todo.extend((child, None) for child in found)
    return _known(value, known)


def _known(node: object, known: dict[int, bytes]) -> bytes:
    return _plain_digest(node) if _is_scalar(node) else known[id(node)]


def _is_scalar(node: object) -> bool:
    return node is None or node is UNSET or type(node) in (bool, int, float, complex, str, bytes, bytearray)


def _below(node: object) -> list[object]:
    """What is below, dicts as keys and values in turn."""
    found: list[object] = []
    if isinstance(node, dict):
        found = [part for pair in node.items() for part in pair]
    elif isinstance(node, list | tuple | set | frozenset):
        found = list(node)
    elif isinstance(node, Built):
        found = [node.args, node.items, node.state]
    elif isinstance(node, Record):
        found = [node.args, node.kwargs, node.state, node.items]
    elif isinstance(node, TensorSpec):
        found = [node.dtype, node.shape]
    elif isinstance(node, Enclosed):
        found = [node.document.root]
    elif isinstance(node, Leaf):
        found = [part for part in node.parts().values() if not isinstance(part, Document | StorageSpec)]
    return [resolve(part) for part in found]


def _joined(node: object, parts: list[bytes]) -> bytes:
    name = type_of(node) if isinstance(node, Record | Built) else type(node).__name__
    total = hashlib.sha256(f"{name}\0{len(parts)}\0".encode("utf-8", "surrogatepass"))
    if isinstance(node, dict):
        parts = sorted(key + value for key, value in zip(parts[::2], parts[1::2], strict=True))
    elif isinstance(node, set | frozenset):
        parts = sorted(parts)
    for part in parts:
        total.update(part)
    return total.digest()


def _plain_digest(value: object) -> bytes:
    if type(value) is str:
        data = value.encode("utf-8", "surrogatepass")
    elif isinstance(value, bytes | bytearray):
        data = bytes(value)
    elif isinstance(value, float):
        data = struct.pack("<d", value)
    elif type(value) is int:
        data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    else:
        data = repr(value).encode()
    return hashlib.sha256(type(value).__name__.encode() + b"\0" + data).digest()
