"""Builds numpy arrays, scalars, dtypes and random generators of the Document. Imported, with numpy, on first use.

`vetted/numpy/` has checked every spec; nothing here looks up a name from a file.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from safeload.document.document import ArraySpec, Built, StorageSpec
from safeload.errors import LoadFailed

Resolve = Callable[[object], Any]


def array(spec: ArraySpec, storage: Callable[[StorageSpec], bytes]) -> Any:
    """A numpy array or scalar with its own memory. An array of objects is empty: `fill_objects` completes it."""
    if spec.objects is not None:
        return np.empty(spec.shape, dtype=object, order="F" if spec.fortran else "C")
    dtype = _dtype(spec.dtype if spec.fields is None else spec.fields)
    data = spec.data if isinstance(spec.data, bytes) else storage(spec.data)
    if dtype.hasobject:
        # SECURITY: with an object dtype, numpy would take bytes of the file for pointers.
        raise LoadFailed("a structured dtype with object fields is not built from bytes")
    flat = np.frombuffer(bytearray(data), dtype=dtype) if data else np.empty(0, dtype=dtype)
    if dtype.itemsize == 0:
        flat = np.empty(int(np.prod(spec.shape, dtype=object)) if spec.shape else 1, dtype=dtype)
    _check_texts(flat)
    shaped = flat.reshape(spec.shape, order="F" if spec.fortran else "C")
    return shaped[()] if spec.scalar else shaped


def _check_texts(array: Any) -> None:
    """Raise for a text in `array`, or in one of its fields, that holds numbers beyond the last character of Unicode."""
    pending = [array]
    while pending:
        part = pending.pop()
        kind = part.dtype
        if kind.names is not None:
            pending.extend(part[name] for name in kind.names)
        elif kind.kind == "U" and kind.itemsize and part.size:
            codes = np.ascontiguousarray(part).view(f"{kind.byteorder}u4")
            if codes.max() > sys.maxunicode:
                raise LoadFailed("a text in an array holds what is no character: reading it would fail inside numpy")


def _dtype(description: Any) -> np.dtype[Any]:
    made: np.dtype[Any] = np.dtype(description)
    return made


def fill_objects(target: Any, items: list[Any]) -> None:
    """Fill an array of objects. `items` are in C order."""
    flat = target.reshape(-1) if target.flags.c_contiguous else None
    if flat is not None:
        for index, item in enumerate(items):
            flat[index] = item
        return
    for position, item in zip(np.ndindex(target.shape), items, strict=True):
        target[position] = item


def dtype(built: Built, resolve: Resolve) -> Any:
    """`numpy.dtype`: args (typestr, fields, ...)."""
    return _dtype(built.args[0] if built.args[1] is None else built.args[1])


def transposed(built: Built, resolve: Resolve) -> Any:
    """An array with permuted axes: args (ArraySpec, axes)."""
    return resolve(built.args[0]).transpose(built.args[1])


_GENERATORS = {
    f"numpy.random.{name}": getattr(np.random, name) for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")
}


def seed_sequence(built: Built, resolve: Resolve) -> Any:
    """`SeedSequence(entropy, spawn_key, pool_size, n_children_spawned)`."""
    entropy, spawn_key, pool_size, children = built.args
    return np.random.SeedSequence(
        entropy, spawn_key=spawn_key, pool_size=pool_size, n_children_spawned=children
    )  # fmt: skip


def bit_generator(built: Built, resolve: Resolve) -> Any:
    """A bit generator with its state. Without a seed sequence in the file it is seeded with a constant."""
    sequence = built.args[0]
    made = _GENERATORS[built.kind](0 if sequence is None else resolve(sequence))
    if built.state is not None:
        made.state = _state(built.state, resolve)
    return made


def _state(state: dict[str, object], resolve: Resolve) -> dict[str, Any]:
    return {key: _state(value, resolve) if isinstance(value, dict) else resolve(value) for key, value in state.items()}


def generator(built: Built, resolve: Resolve) -> Any:
    """`numpy.random.Generator(bit generator)`."""
    return np.random.Generator(resolve(built.args[0]))


def random_state(built: Built, resolve: Resolve) -> Any:
    """`numpy.random.RandomState` over a bit generator, with its gauss state."""
    inner = resolve(built.args[0])
    made = np.random.RandomState(inner)
    if built.state is not None:
        made.set_state({**inner.state, **built.state})
    return made


BUILDERS: dict[str, Callable[[Built, Resolve], Any]] = {
    "numpy.dtype": dtype,
    "numpy.ndarray.transpose": transposed,
    "numpy.random.SeedSequence": seed_sequence,
    "numpy.random.Generator": generator,
    "numpy.random.RandomState": random_state,
    **dict.fromkeys(_GENERATORS, bit_generator),
}
"""Kind of Built -> the function that makes it. The walk has resolved arguments that are Cells."""
