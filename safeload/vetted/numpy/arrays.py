"""numpy arrays and scalars: `_reconstruct` with its state, `scalar`, `_frombuffer`.

Semantics: numpy 1.13 to 2.4, numpy/_core/src/multiarray/methods.c `array_reduce`, `array_setstate`, multiarraymodule.c
`array_scalar`, and numpy/_core/numeric.py `_frombuffer`. Only numpy.ndarray itself: a subclass could run its own code.
"""

from __future__ import annotations

from safeload.document.document import ArraySpec, Built, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import inert, known, latin1, symbol, unchanged, unmade
from safeload.vetted.interface import Constructor, Context, ShapeError, positional
from safeload.vetted.numpy.dtypes import NATIVE, Dtype, consumed, count, dimensions

TRANSPOSED = "numpy.ndarray.transpose"
# How many elements without bytes an array may have. They cost the file nothing, and numpy allows 2**60 of them.
EMPTY_ELEMENTS = 1 << 20


def _array(ctx: Context, dtype: Dtype, shape: tuple[int, ...], fortran: bool, data: bytes) -> ArraySpec:
    """The array with the bytes `data`. Raises ShapeError unless they are exactly as many as shape and dtype say."""
    if dtype.kind == "O":
        raise ShapeError("has bytes where it needs objects")
    if dtype.fields is not None and not isinstance(dtype.fields, dict):
        raise ShapeError("has a subarray as its dtype, which no array has", Verdict.UNVETTED)
    elements = count(shape, dtype.itemsize)
    if elements * dtype.itemsize != len(data):
        raise ShapeError(f"has {len(data)} bytes for {elements} elements of {dtype.itemsize}")
    if dtype.itemsize == 0 and elements > EMPTY_ELEMENTS:
        raise ShapeError("has more elements without bytes than are read", Verdict.UNJUDGED)
    return ArraySpec(dtype.typestr, shape, fortran, data, fields=dtype.fields)


def reconstruct(call: Call, ctx: Context) -> ArraySpec:
    """`_reconstruct(numpy.ndarray, (0,), b"b")`: an empty array, until BUILD gives it its state."""
    owner, shape, code = known(call, object, tuple, (bytes, str))
    if symbol(owner) != "numpy.ndarray":
        verdict = Verdict.UNVETTED if inert(owner) else Verdict.DANGEROUS
        raise ShapeError("makes an array of a class other than numpy.ndarray", verdict)
    if dimensions(shape) != (0,) or code not in (b"b", "b"):
        raise ShapeError("takes the shape (0,) and the type b")
    return ArraySpec("|i1", (0,), False, b"")


def change(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD (1, shape, dtype, is_fortran, bytes, or a list for objects), once."""
    if not isinstance(call.value, ArraySpec):
        raise unmade()
    state = resolve(mutation.payload)
    if inert(state):
        raise ShapeError("takes a state that is outside the vetted table", Verdict.UNVETTED)
    if mutation.kind != "build" or type(state) is not tuple or len(state) != 5:
        raise ShapeError("an array takes a state of 5 parts")
    if call.mutations and call.mutations[0] is not mutation:
        # SECURITY: `array_setstate` frees the memory of the first state, which views may still show.
        raise ShapeError("an array takes its state once")
    whole_version, fortran = resolve(state[0]), resolve(state[3])
    if (
        type(whole_version) is not int
        or whole_version != 1
        or type(fortran) not in (bool, int)
        or fortran not in (0, 1)
    ):
        raise ShapeError("an array takes a state of version 1")
    dtype, shape = consumed(ctx, state[2], mutation.offset), dimensions(state[1])
    if dtype.kind == "O":
        call.value = _objects(ctx, shape, bool(fortran), state[4], mutation.offset)
        return
    if inert(resolve(state[4])):
        raise ShapeError("takes bytes that are outside the vetted table", Verdict.UNVETTED)
    data = latin1(ctx, state[4], mutation.offset)
    if data is None:
        raise ShapeError("takes its content as bytes")
    call.value = _native(_array(ctx, dtype, shape, bool(fortran), data), dtype.itemsize)


def _native(array: ArraySpec, itemsize: int) -> ArraySpec:
    """`array` in the native byte order, into which `array_setstate` swaps it."""
    order, kind = array.dtype[0], array.dtype[1]
    data = array.data
    if array.fields is not None or order not in "<>" or order == NATIVE or not isinstance(data, bytes):
        return array
    width = 4 if kind == "U" else itemsize // 2 if kind == "c" else itemsize
    swapped = bytearray(len(data))
    for place in range(width):
        swapped[place::width] = data[width - 1 - place :: width]
    return array.but(dtype=NATIVE + array.dtype[1:], data=bytes(swapped))


def _objects(ctx: Context, shape: tuple[int, ...], fortran: bool, given: object, offset: int) -> ArraySpec:
    """An array of objects, which may be any values. They are in C order (`_setlist_pkl` walks a flat iterator)."""
    items = resolve(given)
    if inert(items):
        raise ShapeError("takes elements that are outside the vetted table", Verdict.UNVETTED)
    unchanged(ctx, offset, given)
    if type(items) is not list or len(items) != count(shape, 8):
        raise ShapeError("takes a list of exactly its elements")
    return ArraySpec("|O", shape, fortran, b"", objects=items)


def scalar(call: Call, ctx: Context) -> ArraySpec:
    """`scalar(dtype, bytes)`: one element."""
    args = known(call, object, (bytes, str))
    raw = positional(call, 2)
    dtype = consumed(ctx, raw[0], call.offset)
    made = _array(ctx, dtype, (), False, latin1(ctx, args[1], call.offset) or b"")
    return ArraySpec(made.dtype, (), False, made.data, fields=made.fields, scalar=True)


def from_buffer(call: Call, ctx: Context) -> ArraySpec | Built:
    """`_frombuffer(buffer, dtype, shape, order[, axes])`, protocol 5; order "K" shows the axes in another order."""
    args = known(call, (bytes, bytearray), object, tuple, str, optional=((tuple, type(None)),))
    raw = positional(call, 4, 5)
    dtype, shape, order = consumed(ctx, raw[1], call.offset), dimensions(args[2]), args[3]
    data = latin1(ctx, args[0], call.offset) or b""
    axes = args[4] if len(args) == 5 else None
    if order == "K" and axes is not None:
        places = dimensions(axes)
        if sorted(places) != list(range(len(shape))):
            raise ShapeError("takes each axis once")
        return Built(TRANSPOSED, (_array(ctx, dtype, shape, False, data), places))
    if order not in ("C", "F") or axes is not None:
        raise ShapeError("takes the order C or F, or K and the axes")
    return _array(ctx, dtype, shape, order == "F", data)


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("numpy-reconstruct", reconstruct, change),
    Constructor("numpy-scalar", scalar),
    Constructor("numpy-frombuffer", from_buffer),
)
