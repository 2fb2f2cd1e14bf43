"""numpy.dtype: simple, text, datetime, structured and subarray dtypes, from their pickled form.

Semantics: numpy 1.13 to 2.4 numpy/_core/src/multiarray/descriptor.c, `arraydescr_reduce` and `arraydescr_setstate`
(state versions 3 and 4). numpy believes the sizes in a state; here each has to follow from the rest of the state.

A dtype denotes Built("numpy.dtype", (typestr, fields, itemsize, leaves, depth)). It stands for `numpy.dtype(typestr)`
when fields is None, else for `numpy.dtype(fields)`. itemsize is in bytes; leaves says how many plain dtypes `fields`
has in it, and depth how deep they nest.
"""

from __future__ import annotations

import re
import sys
from typing import NamedTuple

from safeload.document.document import Built, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import NAME_LENGTH, inert, known, latin1, made, spend, unchanged, whole
from safeload.vetted.interface import Constructor, Context, ShapeError

KIND = "numpy.dtype"
DIMENSIONS = 64
LEAVES = 10_000
DEPTH = 16
# Bytes of an element: numpy up to version 1 keeps the size in a C int. Real elements are far smaller.
ITEMSIZE = 1 << 31
_TYPE = r"([<>|=]?)([biufcSUVMmO])([0-9]{1,10})"
_SIZES = {
    "b": (1,),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "f": (2, 4, 8, 16),
    "c": (8, 16, 32),
    "O": (4, 8),
    "M": (8,),
    "m": (8,),
}
_UNITS = frozenset(["Y", "M", "W", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"])
# Of numpy's flags (ndarraytypes.h): NEEDS_INIT, NEEDS_PYAPI, ALIGNED_STRUCT; and all that dtype("O") has.
_HARMLESS = 0x98
_OBJECT = 63
_ALIGNMENTS = (1, 2, 4, 8, 16)
NATIVE = "<" if sys.byteorder == "little" else ">"


class Dtype(NamedTuple):
    """What a dtype denotes: the args of its Built, as fields."""

    typestr: str
    fields: object = None
    itemsize: int = 0
    leaves: int = 1
    depth: int = 0

    def built(self) -> Built:
        """The leaf of the Document."""
        return Built(KIND, (self.typestr, self.fields, self.itemsize, self.leaves, self.depth))

    def description(self) -> object:
        """The argument of `numpy.dtype()` that gives this dtype."""
        return self.typestr if self.fields is None else self.fields

    @property
    def kind(self) -> str:
        """The character that numpy gives the kind: "f", "U", "V", "O"..."""
        return self.typestr[1]


def of(value: object) -> Dtype:
    """The dtype that a value denotes. Raises ShapeError when it denotes none."""
    found = resolve(value)
    if inert(found):
        raise ShapeError("has a dtype outside the vetted table", Verdict.UNVETTED)
    if not isinstance(found, Built) or found.kind != KIND:
        raise ShapeError("takes a numpy dtype")
    typestr, fields, itemsize, leaves, depth = found.args
    if not (
        isinstance(typestr, str) and isinstance(itemsize, int) and isinstance(leaves, int) and isinstance(depth, int)
    ):
        raise ShapeError("takes a numpy dtype")
    return Dtype(typestr, fields, itemsize, leaves, depth)


def consumed(ctx: Context, value: object, offset: int) -> Dtype:
    """The dtype that the call at `offset` took. Raises ShapeError when it was changed later."""
    unchanged(ctx, offset, value)
    return of(value)


def dtype(call: Call, ctx: Context) -> Built:
    """`dtype(typestr, align, copy)`: a kind and its size, in native byte order until BUILD says otherwise."""
    args = known(call, str, optional=((bool, int), (bool, int)))
    if any(flag not in (0, 1) for flag in args[1:]):
        raise ShapeError("takes align and copy as 0 or 1")
    match = re.fullmatch(_TYPE, str(args[0])[:20])
    if match is None or len(str(args[0])) > 20:
        raise ShapeError("is a dtype that is not modelled", Verdict.UNVETTED)
    order, kind, size = match[1], match[2], int(match[3])
    if kind in _SIZES and size not in _SIZES[kind]:
        raise ShapeError("is a dtype that is not modelled", Verdict.UNVETTED)
    itemsize = size * 4 if kind == "U" else size
    if itemsize >= ITEMSIZE:
        raise ShapeError("has elements of 2 GiB or more", Verdict.UNJUDGED)
    return Dtype(_typestr(order, kind, size), itemsize=itemsize).built()


def _typestr(order: str, kind: str, size: int) -> str:
    """`dtype.str` as numpy writes it."""
    if kind == "O":
        return "|O"
    if kind in "bSV" or (kind in "iu" and size == 1):
        return f"|{kind}{size}"
    return f"{order if order in ('<', '>') else NATIVE}{kind}{size}"


def change(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD (version, byte order, subdtype, names, fields, elsize, alignment, flags[, metadata]), once."""
    made(call, KIND)
    state = resolve(mutation.payload)
    if inert(state):
        raise ShapeError("takes a state that is outside the vetted table", Verdict.UNVETTED)
    if mutation.kind != "build" or type(state) is not tuple or len(state) not in (8, 9):
        raise ShapeError("takes a state of 8 or 9 parts")
    if call.mutations and call.mutations[0] is not mutation:
        # SECURITY: arrays share a dtype: a second state would change arrays that were judged with the first one.
        raise ShapeError("takes its state twice")
    state = tuple(resolve(part) for part in state)
    if whole(state[0], 3, 5, "the version of a dtype") != len(state) - 5:
        raise ShapeError("has a version that does not go with its state")
    if state[1] not in ("<", ">", "|", "="):
        raise ShapeError("has no known byte order")
    before = dtype_made = of(call)
    if state[2] is not None:
        dtype_made = _subarray(ctx, dtype_made, state, mutation.offset)
    elif state[3] is not None:
        dtype_made = _structured(ctx, dtype_made, state, mutation.offset)
    else:
        dtype_made = _plain(dtype_made, state)
    _flags(before, state[7])
    if (state[1] == "|") == _ordered(before, state):
        # SECURITY: numpy accepts such a state, and later fails inside its C code.
        raise ShapeError("has a byte order where there is none, or none where there is one")
    if len(state) == 9:
        dtype_made = _metadata(ctx, dtype_made, state[8], mutation.offset)
    elif dtype_made.kind in "Mm":
        # SECURITY: numpy dereferences the missing unit: a null pointer.
        raise ShapeError("is a date without a unit")
    if dtype_made != before and (before.kind in "biufcO" or not before.itemsize) and not _copied(call):
        # Without a copy this may be numpy's own dtype, which the whole process shares: numpy then ignores the state.
        raise ShapeError("changes a dtype that may be numpy's own", Verdict.UNJUDGED)
    call.value = dtype_made.built()


def _ordered(dtype_made: Dtype, state: tuple[object, ...]) -> bool:
    """Whether the dtype has a byte order. A structured one has none: its parts have their own."""
    if state[2] is not None or state[3] is not None or dtype_made.kind not in "iufcUMm":
        return False
    return dtype_made.kind == "U" or dtype_made.itemsize > 1


def _flags(dtype_made: Dtype, given: object) -> None:
    """Raise ShapeError for flags that speak of pointers, except in numpy's own dtype of objects.

    SECURITY: numpy takes the flags from the state unchecked. With some of them it takes the bytes of an element for
    pointers to objects. The loader here does not use the flags, but any other program that loads the file would crash.
    """
    flags = whole(given, -(1 << 63), 1 << 64, "the flags of a dtype")
    if flags != _OBJECT if dtype_made.kind == "O" else flags & ~_HARMLESS:
        raise ShapeError("has flags by which numpy takes its elements for objects", Verdict.DANGEROUS)


def _copied(call: Call) -> bool:
    """Whether a call of `dtype` asks for a copy, as the pickles of numpy do."""
    return isinstance(call.args, tuple) and len(call.args) == 3 and bool(resolve(call.args[2]))


def _plain(dtype_made: Dtype, state: tuple[object, ...]) -> Dtype:
    """A dtype without parts. The size in its state repeats its name's, or is -1 when the kind has only one size."""
    if state[4] is not None:
        raise ShapeError("has fields without names")
    size, alignment = (whole(part, -1, ITEMSIZE, "the size of a dtype") for part in state[5:7])
    if dtype_made.kind in "SUV":
        if size != dtype_made.itemsize or alignment not in (1, 4):
            raise ShapeError("has a size that is not the one of its name")
        number = size // 4 if dtype_made.kind == "U" else size
    else:
        if (size, alignment) != (-1, -1):
            raise ShapeError("has a size that is not the one of its name")
        number = dtype_made.itemsize
    return Dtype(_typestr(str(state[1]), dtype_made.kind, number), itemsize=dtype_made.itemsize)


def _flexible(dtype_made: Dtype, state: tuple[object, ...]) -> None:
    """Raise ShapeError unless the dtype is void, and the state repeats its size."""
    if dtype_made.kind != "V" or whole(state[5], 0, ITEMSIZE, "the size of a dtype") != dtype_made.itemsize:
        raise ShapeError("has parts, and a size that is not the one of its name")
    if whole(state[6], 0, 1 << 16, "the alignment of a dtype") not in _ALIGNMENTS:
        # SECURITY: numpy divides by the alignment: 0 would crash it.
        raise ShapeError("has an alignment that no type has")


def _subarray(ctx: Context, dtype_made: Dtype, state: tuple[object, ...], offset: int) -> Dtype:
    """The dtype of a state with (dtype, shape): each element is an array."""
    _flexible(dtype_made, state)
    given = state[2]
    if type(given) is not tuple or len(given) != 2 or state[3] is not None or state[4] is not None:
        raise ShapeError("has a subarray that is no dtype and shape")
    base = consumed(ctx, given[0], offset)
    shape = dimensions(given[1])
    if count(shape, base.itemsize) * base.itemsize != dtype_made.itemsize:
        raise ShapeError("has a subarray of another size")
    return _joined(dtype_made, (base.description(), shape), [base])


def _structured(ctx: Context, dtype_made: Dtype, state: tuple[object, ...], offset: int) -> Dtype:
    """The dtype of a state with names, and fields: a dict of name (and title) -> (dtype, byte offset[, title])."""
    _flexible(dtype_made, state)
    names, fields = state[3], state[4]
    if type(names) is not tuple or type(fields) is not dict:
        raise ShapeError("has names without fields")
    if len(names) > LEAVES or len(fields) > 2 * LEAVES:
        raise ShapeError("has more fields than are read", Verdict.UNJUDGED)
    spend(ctx, len(names), offset)
    unchanged(ctx, offset, fields)
    parts: list[Dtype] = []
    offsets: list[object] = []
    titles: list[object] = []
    for name in names:
        field = resolve(fields.get(name)) if type(name) is str and len(name) <= NAME_LENGTH else None
        if type(field) is not tuple or len(field) not in (2, 3):
            raise ShapeError("has a name without a field")
        part = consumed(ctx, field[0], offset)
        start = whole(field[1], 0, ITEMSIZE, "the offset of a field")
        if start + part.itemsize > dtype_made.itemsize:
            raise ShapeError("has a field that ends after its element")
        title = resolve(field[2]) if len(field) == 3 else None
        if title is not None and (type(title) is not str or len(title) > NAME_LENGTH):
            raise ShapeError("has a title that is no text", Verdict.UNVETTED)
        parts.append(part)
        offsets.append(start)
        titles.append(title)
    if len(set(names)) != len(names) or fields.keys() != {*names, *(t for t in titles if t is not None)}:
        raise ShapeError("has fields that its names do not list")
    description: dict[str, object] = {
        "names": list(names),
        "formats": [part.description() for part in parts],
        "offsets": offsets,
        "itemsize": dtype_made.itemsize,
    }
    if any(title is not None for title in titles):
        description["titles"] = titles
    return _joined(dtype_made, description, parts)


def _joined(dtype_made: Dtype, description: object, parts: list[Dtype]) -> Dtype:
    """A dtype made of `parts`. Raises ShapeError when one holds objects, and for too many or too deep parts."""
    if any(part.kind == "O" for part in parts):
        raise ShapeError("keeps objects in fields, which is not modelled", Verdict.UNVETTED)
    leaves = 1 + sum(part.leaves for part in parts)
    depth = 1 + max((part.depth for part in parts), default=0)
    if leaves > LEAVES or depth > DEPTH:
        raise ShapeError("has more fields than are read", Verdict.UNJUDGED)
    return Dtype(dtype_made.typestr, description, dtype_made.itemsize, leaves, depth)


def _metadata(ctx: Context, dtype_made: Dtype, given: object, offset: int) -> Dtype:
    """Take the metadata of a state: None or {}; for dates (None or {}, (unit, count, 1, 1))."""
    if inert(given):
        raise ShapeError("has metadata outside the vetted table", Verdict.UNVETTED)
    extra, unit = given, None
    if dtype_made.kind in "Mm":
        if type(given) is not tuple or len(given) != 2:
            raise ShapeError("is a date without a unit")
        extra, unit = resolve(given[0]), resolve(given[1])
    if not (extra is None or (type(extra) is dict and not extra)):
        raise ShapeError("has metadata of its own, which is not modelled", Verdict.UNVETTED)
    if dtype_made.kind not in "Mm":
        return dtype_made
    if type(unit) is not tuple or len(unit) != 4:
        raise ShapeError("is a date without a unit")
    name = (latin1(ctx, unit[0], offset) or b"")[:20].decode("latin-1")
    number = whole(unit[1], 1, 1 << 31, "the count of a unit")
    if name not in _UNITS or [whole(part, 1, 2, "the divisor of a unit") for part in unit[2:]] != [1, 1]:
        raise ShapeError("has no unit of numpy")
    if name == "generic":
        return dtype_made
    return Dtype(f"{dtype_made.typestr}[{number if number > 1 else ''}{name}]", itemsize=dtype_made.itemsize)


def dimensions(value: object) -> tuple[int, ...]:
    """A shape. Raises ShapeError unless it is a tuple of at most 64 ints, none of them negative."""
    found = resolve(value)
    if inert(found):
        raise ShapeError("has a shape outside the vetted table", Verdict.UNVETTED)
    if type(found) is not tuple or len(found) > DIMENSIONS:
        raise ShapeError("takes a shape of at most 64 dimensions")
    return tuple(whole(size, 0, 1 << 63, "a dimension") for size in found)


def count(shape: tuple[int, ...], itemsize: int) -> int:
    """How many elements `shape` has. Raises ShapeError where numpy's arithmetic overflows (`PyArray_NewFromDescr`)."""
    total = 1
    for size in shape:
        total *= size or 1
    if total * max(itemsize, 1) >= 1 << 63:
        raise ShapeError("is larger than any memory", Verdict.UNJUDGED)
    return 0 if 0 in shape else total


CONSTRUCTORS: tuple[Constructor, ...] = (Constructor("numpy-dtype", dtype, change),)
