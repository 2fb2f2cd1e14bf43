"""The builtins that pickle calls: set, frozenset, bytearray, bytes, complex, slice, range, and the empty containers.

Semantics: CPython 3.11 Lib/pickle.py `save_*` and the `__reduce_ex__` of each type, protocols 0 to 5, and the names of
python 2 as `_compat_pickle` maps them. Sizes are those of elements in the file: `bytearray(10**10)`, a size as a
number, is refused, because it would allocate.
"""

from __future__ import annotations

from safeload.document.document import Built, Symbol
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import (
    elements,
    hashable,
    inert,
    known,
    latin1,
    set_items,
    spend,
    symbol,
    unmade,
    whole,
)
from safeload.vetted.interface import Constructor, Context, ShapeError

SINGLETON_TYPES = {"builtins.Ellipsis": "types.EllipsisType", "builtins.NotImplemented": "types.NotImplementedType"}
_RANGE = 1 << 64
_NEW = frozenset({"reduce", "newobj"})


def _checked(call: Call, ctx: Context) -> list[object]:
    """The elements of a set, from its one list argument (`set.__reduce__`). Checks that each is safe to hash."""
    args = known(call, optional=((list, tuple),))
    if not args or not isinstance(call.args, tuple):
        return []
    found = elements(ctx, args[0], call.args[0], call.offset)
    hashable(ctx, found, call.offset)
    return found


def make_set(call: Call, ctx: Context) -> set[object]:
    """`set(list)` or `set()`."""
    return set(_checked(call, ctx))


def make_frozenset(call: Call, ctx: Context) -> frozenset[object]:
    """`frozenset(list)` or `frozenset()`."""
    return frozenset(_checked(call, ctx))


def change_set(call: Call, mutation: Mutation, ctx: Context) -> None:
    """ADDITEMS on a set that a call made."""
    if not isinstance(call.value, set):
        raise unmade()
    if mutation.kind != "additem" or type(mutation.payload) is not list:
        raise ShapeError("a set takes elements only")
    spend(ctx, len(mutation.payload), mutation.offset)
    hashable(ctx, mutation.payload, mutation.offset)
    call.value.update(mutation.payload)


def make_bytearray(call: Call, ctx: Context) -> bytearray:
    """`bytearray()`, `bytearray(bytes)`, or `bytearray(text, "latin-1")` (`bytearray.__reduce__`)."""
    args = known(call, optional=((bytes, str), str))
    if not args:
        return bytearray()
    if (type(args[0]) is str) != (len(args) == 2) or (len(args) == 2 and args[1] not in ("latin-1", "latin1")):
        raise ShapeError("takes bytes, or text and latin-1")
    data = latin1(ctx, args[0], call.offset) or b""
    spend(ctx, len(data), call.offset)
    return bytearray(data)


def make_bytes(call: Call, ctx: Context) -> bytes:
    """`bytes()`, how protocols 0 to 2 spell b"", or `bytes(list of int)` of early python 3."""
    args = known(call, optional=(list,))
    if not args or not isinstance(call.args, tuple):
        return b""
    found = elements(ctx, args[0], call.args[0], call.offset)
    return bytes([whole(item, 0, 256, "an element of bytes") for item in found])


def make_complex(call: Call, ctx: Context) -> complex:
    """`complex(real, imag)`, two floats (Lib/copyreg.py `pickle_complex`)."""
    real, imag = known(call, float, float)
    if not (isinstance(real, float) and isinstance(imag, float)):
        raise ShapeError("takes two floats")
    return complex(real, imag)


def make_slice(call: Call, ctx: Context) -> Built:
    """`slice(start, stop, step)`, each None or an int (`slice.__reduce__`)."""
    args = known(call, object, object, object)
    for arg in args:
        if arg is not None and inert(arg):
            raise ShapeError("takes an argument that is outside the vetted table", Verdict.UNVETTED)
        if arg is not None and type(arg) is not int:
            raise ShapeError("takes ints or None", Verdict.UNVETTED)
    return Built("builtins.slice", args)


def make_range(call: Call, ctx: Context) -> Built:
    """`range(start, stop, step)`, three ints below 2**64, the step not 0 (`range.__reduce__`)."""
    args = known(call, int, int, int)
    start, stop, step = (whole(arg, -_RANGE, _RANGE, "a bound of a range") for arg in args)
    if step == 0:
        raise ShapeError("has step 0")
    return Built("builtins.range", (start, stop, step))


def make_list(call: Call, ctx: Context) -> list[object]:
    """`list()`."""
    known(call)
    return []


def change_list(call: Call, mutation: Mutation, ctx: Context) -> None:
    """APPENDS on a list that a call made."""
    if not isinstance(call.value, list):
        raise unmade()
    if mutation.kind != "append" or type(mutation.payload) is not list:
        raise ShapeError("a list takes elements only")
    spend(ctx, len(mutation.payload), mutation.offset)
    call.value.extend(mutation.payload)


def make_dict(call: Call, ctx: Context) -> dict[object, object]:
    """`dict()`."""
    known(call)
    return {}


def change_dict(call: Call, mutation: Mutation, ctx: Context) -> None:
    """SETITEMS on a dict that a call made."""
    if not isinstance(call.value, dict):
        raise unmade()
    if mutation.kind != "setitem":
        raise ShapeError("a dict takes items only")
    set_items(ctx, call.value, mutation.payload, mutation.offset)


def make_object(call: Call, ctx: Context) -> Built:
    """`object()`, which programs use as a sentinel."""
    known(call)
    return Built("builtins.object")


def type_of(call: Call, ctx: Context) -> Symbol:
    """`type(None)`, `type(...)` or `type(NotImplemented)` (Lib/pickle.py `save_type`).

    SECURITY: no other argument: `type(x)` of anything else would be the class of an object that the file made, and with
    three arguments `type` makes a class.
    """
    (value,) = known(call, object)
    if value is None:
        return Symbol("types.NoneType")
    name = symbol(value)
    if name not in SINGLETON_TYPES:
        raise ShapeError("takes None, Ellipsis or NotImplemented", rule="reaches-attributes")
    return Symbol(SINGLETON_TYPES[name])


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("set", make_set, change_set),
    Constructor("frozenset", make_frozenset),
    Constructor("bytearray", make_bytearray),
    Constructor("bytes", make_bytes),
    Constructor("complex", make_complex),
    Constructor("slice", make_slice),
    Constructor("range", make_range),
    Constructor("list", make_list, change_list, _NEW),
    Constructor("dict", make_dict, change_dict, _NEW),
    Constructor("object", make_object, None, _NEW),
    Constructor("singleton-type", type_of),
)
