"""The plain value of a small stream, which a container needs to read on: numbers, texts, names. Nothing to judge.

Goes one level deep, so the size of the value bounds the work.
"""

from __future__ import annotations

from safeload.document.cell import Cell
from safeload.document.document import Symbol, resolve

_PLAIN = (type(None), bool, int, float, str, bytes)


def plain(value: object) -> object:
    """`value` with vetted names as str, when it is a scalar, or a list, tuple or dict of scalars; None otherwise."""
    if isinstance(value, list | tuple):
        items = [_scalar(item) for item in value]
        if any(item is _NO for item in items):
            return None
        return items if isinstance(value, list) else tuple(items)
    if isinstance(value, dict):
        found = {_scalar(key): _scalar(item) for key, item in value.items()}
        return None if _NO in found or any(item is _NO for item in found.values()) else found
    single = _scalar(value)
    return None if single is _NO else single


class _No:
    """The type of the mark for what is not plain."""


_NO = _No()


def _scalar(value: object) -> object:
    if isinstance(value, Cell):
        value = resolve(value)
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, tuple | list) and len(value) <= 16 and all(isinstance(item, _PLAIN) for item in value):
        return value
    return _NO
