"""How a shape takes values out of its arguments: the checks that all families here share.

They keep three rules. No value is hashed before it was walked. No container is looked into that was changed after the
call had consumed it; CPython reads arguments when the call runs. No file can have the same elements read again and
again: four megabytes of pickle can give a list of a million elements to a million calls.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from safeload.document.cell import UNSET, Cell
from safeload.document.document import Built, Symbol, resolve
from safeload.document.record import Record
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.interface import Context, ShapeError, arguments

# A pickle needs at least a byte for each element. Many more reads than bytes mean that it shares elements on purpose.
READS_PER_BYTE = 8
READS_FREE = 64 << 20
NAME_LENGTH = 1000
# CPython refuses to convert a longer text to an int. No real fraction or entropy is so long.
INTEGER_BITS = 14_000
# How many keys of numbers may have the same hash. In honest files only -1 and -2 do, and tuples of them.
SAME_HASH = 100


def spend(ctx: Context, amount: int, offset: int) -> None:
    """Count `amount` elements or bytes that the call at `offset` reads. Raises ShapeError(UNJUDGED) past the budget.

    SECURITY: without this, a list that many calls consume costs the product of its length and their number.
    """
    ctx.spent += amount
    if ctx.spent > READS_FREE + READS_PER_BYTE * offset:
        raise ShapeError("the same values are consumed over and over", Verdict.UNJUDGED)


def inert(value: object) -> bool:
    """Whether a resolved value is an unvetted object, or was not judged: nothing is known of it here."""
    return value is UNSET or type(value) is Record


def known(
    call: Call, *types: type | tuple[type, ...], optional: Sequence[type | tuple[type, ...]] = ()
) -> tuple[object, ...]:
    """The same as `arguments`, but an argument from outside the vetted table makes the call unvetted, not dangerous."""
    if call.args == () and not types and not call.kwargs:
        return ()
    if type(call.args) is tuple and len(types) <= len(call.args) <= len(types) + len(optional):
        for arg, kind in zip(call.args, (*types, *optional), strict=False):
            if kind is not object and inert(resolve(arg)):
                raise ShapeError("takes an argument that is outside the vetted table", Verdict.UNVETTED)
    return arguments(call, *types, optional=optional)


def unchanged(ctx: Context, offset: int, *consumed: object) -> None:
    """Raise ShapeError if one of `consumed` was changed after `offset`. Looks at the values, not at what they hold.

    SECURITY: the Program holds containers as they are at the end of the stream. The call saw them as they were at
    `offset`: it may have been given other arguments than the ones that we check.
    """
    if not ctx.touched:
        return
    for item in consumed:
        while True:
            if ctx.touched.get(id(item), -1) > offset:
                raise ShapeError("arguments were changed after the call", Verdict.UNJUDGED)
            if not isinstance(item, Cell):
                break
            item = item.value


def made(call: Call, *kinds: str) -> Built:
    """The Built, of one of `kinds`, that `call` denotes. Raises ShapeError(UNVETTED) when the call was refused."""
    found = call.value
    if not isinstance(found, Built) or found.kind not in kinds:
        raise unmade()
    return found


def unmade() -> ShapeError:
    """The error for a change of something whose call was refused. The finding that matters is the refusal."""
    return ShapeError("changes an object that was not made by its vetted form", Verdict.UNVETTED)


def hashable(ctx: Context, keys: Sequence[object], offset: int) -> bool:
    """Raise ShapeError unless all keys can be hashed at a bounded price. True when one is or holds a Cell.

    Here a Cell is hashed by identity; once it is built, by value. So two keys that differ here may be equal for the
    loader.
    """
    rules = ctx.keys
    before = rules.collidable
    celled = False
    for key in keys:
        if type(key) is str:
            continue
        try:
            holds_cell = rules.check(key, offset)
        except (Malformed, LimitExceeded) as error:
            raise ShapeError(error.message, Verdict.UNJUDGED) from None
        if holds_cell:
            celled = True
    if before - rules.collidable > SAME_HASH:
        _dispersed(keys)
    return celled


def _dispersed(keys: Sequence[object]) -> None:
    """Raise ShapeError if many of the keys made of numbers have the same hash.

    SECURITY: a file can choose such keys, and a dict then takes quadratic time.
    """
    met: dict[int, int] = {}
    for key in keys:
        if isinstance(key, (tuple, frozenset)):
            place = hash(key)
            met[place] = met.get(place, 0) + 1
            if met[place] > SAME_HASH:
                raise ShapeError(f"more than {SAME_HASH} keys or elements of a set have one hash", Verdict.UNJUDGED)


def set_items(ctx: Context, items: dict[object, object], payload: object, offset: int) -> None:
    """Put the flat list [key, value, key, value, ...] into `items`, as SETITEMS does."""
    if type(payload) is not list or len(payload) % 2:
        raise ShapeError("keys and values do not pair up", Verdict.UNJUDGED)
    spend(ctx, len(payload), offset)
    keys = payload[::2]
    celled = hashable(ctx, keys, offset)
    before = len(items)
    items.update(zip(keys, payload[1::2], strict=True))
    if len(items) != before + len(keys):
        if not celled:
            spend(ctx, before, offset)
            celled = hashable(ctx, list(items), offset)
        if celled:
            # Of two equal keys the last wins. Which keys are equal is not known before they are built.
            raise ShapeError("a key is set twice in a mapping with keys of unknown value", Verdict.UNJUDGED)


def attributes(ctx: Context, mutation: Mutation, taken: Container[str]) -> dict[str, object]:
    """The state of a BUILD that sets attributes: a dict of identifiers. None may be a dunder, or be in `taken`.

    Mirrors `load_build` of CPython's Modules/_pickle.c for objects without `__setstate__` and without slots.
    """
    state = resolve(mutation.payload)
    if inert(state):
        raise ShapeError("takes a state that is outside the vetted table", Verdict.UNVETTED)
    if mutation.kind != "build" or type(state) is not dict:
        raise ShapeError(f"takes a dict of attributes as its state, not {type(state).__name__}")
    unchanged(ctx, mutation.offset, mutation.payload)
    spend(ctx, len(state), mutation.offset)
    for name in state:
        if type(name) is not str:
            raise ShapeError("the names of attributes must be str")
        if name.startswith("__") or name in taken:
            raise ShapeError(f"sets {name[:100]!r}, which belongs to the class", rule="reaches-attributes")
        if len(name) > NAME_LENGTH or not name.isidentifier():
            raise ShapeError(f"sets {name[:100]!r}, which is no identifier", Verdict.UNVETTED)
    return dict(state)


def elements(ctx: Context, value: object, raw: object, offset: int) -> list[object]:
    """A copy of the list or tuple that the call at `offset` consumed. `raw` is the argument, not yet resolved."""
    if type(value) is not list and type(value) is not tuple:
        raise ShapeError(f"takes a list, not {type(value).__name__}")
    unchanged(ctx, offset, raw)
    spend(ctx, len(value), offset)
    return list(value)


def whole(value: object, low: int, high: int, what: str) -> int:
    """`value`, resolved. Raises ShapeError unless it is an exact int with low <= value < high."""
    value = resolve(value)
    if inert(value):
        raise ShapeError(f"{what} is outside the vetted table", Verdict.UNVETTED)
    if type(value) is not int:
        raise ShapeError(f"{what} must be an int, not {type(value).__name__}")
    if not low <= value < high:
        raise ShapeError(f"{what} is out of range")
    return value


def latin1(ctx: Context, value: object, offset: int) -> bytes | None:
    """The bytes of `value`: of bytes, a bytearray, or a text that python 2 wrote for bytes. None for anything else."""
    value = resolve(value)
    if type(value) is bytes:
        # SECURITY: counted although nothing is copied here: each array that is built from these bytes copies them, and
        # a file can have a thousand arrays made of one bytes.
        spend(ctx, len(value), offset)
        return value
    if type(value) is bytearray:
        unchanged(ctx, offset, value)
        spend(ctx, len(value), offset)
        return bytes(value)
    if type(value) is not str:
        return None
    spend(ctx, len(value), offset)
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise ShapeError("text that stands for bytes has characters above U+00FF", Verdict.UNJUDGED) from None


def symbol(value: object) -> str:
    """The name of the vetted symbol that `value` denotes; "" when it denotes none."""
    value = resolve(value)
    return value.name if type(value) is Symbol else ""
