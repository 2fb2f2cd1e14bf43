"""The geometry check: does a strided tensor lie inside its storage? Nothing else in safeload decides this.

Sizes, strides and offsets are in elements. Mirrors the invariants of c10's StorageImpl/TensorImpl. torch itself does
not refuse a tensor that reaches outside: `set_` grows a resizable storage.
"""

from __future__ import annotations

from safeload.document.document import Built, StorageSpec, resolve
from safeload.document.dtypes import itemsize
from safeload.findings import Verdict
from safeload.vetted.consumption import inert
from safeload.vetted.interface import Context, ShapeError

MAX_RANK = 64
_HUGE = 1 << 62


def outside(value: object) -> None:
    """Raise ShapeError(UNVETTED) for a resolved value from outside the table, which has a finding of its own."""
    if inert(value):
        raise ShapeError("takes an argument that is outside the vetted table", Verdict.UNVETTED)


def sizes(value: object, what: str) -> tuple[int, ...]:
    """Sizes or strides. Raises ShapeError unless they are at most 64 exact ints with 0 <= n < 2^62."""
    if type(value) is not tuple:
        value = resolve(value)
        if type(value) is Built and value.kind == "torch.Size":
            value = value.args[0]
    if type(value) is not tuple:
        raise ShapeError(f"{what} must be a tuple of ints")
    if len(value) > MAX_RANK:
        raise ShapeError(f"{what} has {len(value)} dimensions, more than {MAX_RANK}", Verdict.UNJUDGED)
    for n in value:
        if type(n) is not int or not 0 <= n < _HUGE:
            raise ShapeError(f"{what} must hold ints from 0 to 2^62", rule="tensor-bounds")
    return value


def check_geometry(
    storage: StorageSpec, dtype: str, shape: tuple[int, ...], stride: tuple[int, ...], offset: object, ctx: Context
) -> int:
    """The offset of a tensor. Raises ShapeError unless the tensor lies inside `storage`.

    SECURITY: the last element that a tensor reaches is the offset plus the sum of (size - 1) * stride. To compare the
    number of elements with the storage is not enough: strides can reach outside. Python's ints do not overflow here,
    the 64-bit ones of torch would.
    """
    if type(offset) is not int or not 0 <= offset < _HUGE:
        raise ShapeError("the storage offset must be an int from 0 to 2^62", rule="tensor-bounds")
    if len(shape) != len(stride):
        raise ShapeError("size and stride have different ranks", rule="tensor-bounds")
    width = itemsize(dtype)
    room = storage.nbytes if storage.view is None else storage.view[1]
    if room % width:
        raise ShapeError(f"storage {storage.key} is no whole number of {dtype} elements", rule="tensor-bounds")
    held = room // width
    numel, last = 1, offset
    for n, step in zip(shape, stride, strict=True):
        numel *= n
        last += (n - 1) * step
    if numel == 0:
        if offset > held:
            raise ShapeError(f"an empty tensor starts outside storage {storage.key}", rule="tensor-bounds")
    elif last >= held:
        raise ShapeError(
            f"the tensor reaches element {last} of storage {storage.key}, which holds {held}", rule="tensor-bounds"
        )
    elif numel >= 1 << 63:
        raise ShapeError("the tensor's sizes multiply to more elements than 64 bits can count", rule="tensor-bounds")
    elif numel > held:
        check_expansion(numel * width, room, ctx)
    ctx.tensors += 1
    if ctx.tensors > ctx.limits.tensors:
        raise ShapeError("more tensors than --limit tensors allows", Verdict.UNJUDGED, "limit-reached")
    return offset


def check_expansion(copied: int, held: int, ctx: Context) -> None:
    """Raise ShapeError when a copy of a tensor takes many more bytes than the `held` ones of the file.

    SECURITY: with stride 0 one element can be a tensor of terabytes, which the first copy would allocate.
    """
    if copied > ctx.limits.expansion_bytes and copied > held * ctx.limits.expansion:
        raise ShapeError(
            f"a copy of this tensor would take {copied} bytes, its storage holds {held}; "
            "raise it with --limit expansion=VALUE or --limit expansion_bytes=VALUE",
            Verdict.UNJUDGED,
            "tensor-expansion",
        )
