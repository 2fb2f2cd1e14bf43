"""The calls by which the tree spells what numpy makes: arrays, scalars, dtypes, random generators.

See `recipes`. Where a vetted form repeats what follows from the rest (the size of a dtype), it is computed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from safeload.document.document import ArraySpec, Built, Symbol, resolve
from safeload.errors import Malformed
from safeload.tree.recipes import Inline, Made, Recipe, mapping, sequence

_TYPESTR = r"([<>|])([biufcSUVMmO])([0-9]*)(?:\[([0-9]*)([a-zA-Z]+)\])?"
_CODE = 4
"""Bytes of a character of numpy text."""


def dtype(description: Any) -> Recipe:
    """`numpy.dtype(description)`: a type string, a dict of fields, or (base, shape)."""
    if isinstance(description, str):
        return _simple(description)
    size = _itemsize(description)
    if isinstance(description, dict):
        names = description["names"]
        titles = description.get("titles", [None] * len(names))
        fields: dict[str, object] = {}
        for name, part, start, title in zip(names, description["formats"], description["offsets"], titles, strict=True):
            field = sequence(dtype(part), start) if title is None else sequence(dtype(part), start, title)
            fields[name] = field
            if title is not None:
                fields[title] = field
        parts: tuple[object, ...] = (None, sequence(*names), mapping(fields))
    else:
        base, shape = description
        parts = (sequence(dtype(base), sequence(*shape)), None, None)
    state = sequence(3, "|", *parts, size, 1, 0)
    return Recipe("numpy.dtype", (f"V{size}",), (("build", state),))


def _simple(typestr: str) -> Recipe:
    if typestr == "|O":
        return Recipe("numpy.dtype", ("O8",))
    order, kind, size, count, unit = _parsed(typestr).groups()
    if unit is None:
        return Recipe("numpy.dtype", (typestr,))
    unit_state = sequence(unit.encode(), int(count or 1), 1, 1)
    state = sequence(4, order, None, None, None, -1, -1, 0, sequence(None, unit_state))
    return Recipe("numpy.dtype", (f"{kind}{size}",), (("build", state),))


def _parsed(typestr: str) -> re.Match[str]:
    found = re.fullmatch(_TYPESTR, typestr)
    if found is None:
        raise Malformed(f"no numpy type {typestr[:100]!r}")
    return found


def _itemsize(description: Any) -> int:
    if isinstance(description, dict):
        return int(description["itemsize"])
    if isinstance(description, tuple):
        base, shape = description
        size = _itemsize(base)
        for n in shape:
            size *= n
        return size
    found = _parsed(description)
    return int(found[3] or 8) * (_CODE if found[2] == "U" else 1)


def _dtype(built: Built) -> Recipe:
    typestr, fields = built.args[:2]
    return dtype(typestr if fields is None else fields)


def array(spec: ArraySpec, data: object) -> Recipe:
    """An array or scalar; `data` stands for its bytes."""
    if spec.objects is not None:
        state = sequence(1, sequence(*spec.shape), dtype("|O"), spec.fortran, spec.objects)
        start = (Symbol("numpy.ndarray"), sequence(0), b"b")
        return Recipe("numpy._core.multiarray._reconstruct", start, (("build", state),))
    kind = dtype(spec.dtype if spec.fields is None else spec.fields)
    if spec.scalar:
        return Recipe("numpy._core.multiarray.scalar", (kind, data))
    order = "F" if spec.fortran else "C"
    return Recipe("numpy._core.numeric._frombuffer", (data, kind, sequence(*spec.shape), order))


def transposed(built: Built, data: object) -> Recipe:
    """An array whose axes are shown in another order; `data` stands for its bytes."""
    spec, axes = built.args
    kind = dtype(spec.dtype if spec.fields is None else spec.fields)
    args = (data, kind, sequence(*spec.shape), "K", sequence(*axes))
    return Recipe("numpy._core.numeric._frombuffer", args)


def _state(state: dict[str, Any]) -> Made:
    inner = {key: mapping(value) if isinstance(value, dict) else value for key, value in state.items()}
    return mapping(inner)


def _bit_generator(built: Built) -> Recipe:
    name = built.kind.rpartition(".")[2]
    call = "numpy.random._pickle.__bit_generator_ctor"
    if built.state is None:
        return Recipe(call, (name,))
    return Recipe(call, (name,), (("build", sequence(_state(built.state), built.args[0])),))


def _generator(built: Built) -> Recipe:
    return Recipe("numpy.random._pickle.__generator_ctor", built.args)


def _random_state(built: Built) -> Recipe:
    call = "numpy.random._pickle.__randomstate_ctor"
    inside = resolve(built.args[0])
    if built.state is None or not isinstance(inside, Built) or inside.state is None:
        return Recipe(call, built.args)
    state = Made("map", (*_state(inside.state).items, *built.state.values()), (*inside.state, *built.state))
    return Recipe(call, built.args, (("build", state),))


def _seed_sequence(built: Built) -> Recipe:
    entropy, spawn_key, size, children = built.args
    # The pool follows from the entropy, and a loader computes it again; the pickled form wants some pool of its size.
    pool = array(ArraySpec("<u4", (size,), False, b""), Inline(bytes(_CODE * size)))
    parts = (sequence(*entropy) if isinstance(entropy, tuple) else entropy, children, pool, size, sequence(*spawn_key))
    name = "numpy.random.bit_generator.__pyx_unpickle_SeedSequence"
    return Recipe(name, (Symbol("numpy.random.SeedSequence"), 0, None), (("build", sequence(*parts)),))


BUILT: dict[str, Callable[[Built], Recipe]] = {
    "numpy.dtype": _dtype,
    "numpy.random.Generator": _generator,
    "numpy.random.RandomState": _random_state,
    "numpy.random.SeedSequence": _seed_sequence,
    **dict.fromkeys(
        (f"numpy.random.{name}" for name in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64")), _bit_generator
    ),
}
"""Kind of Built -> its call. "numpy.ndarray.transpose" needs its bytes placed: see `transposed`."""
