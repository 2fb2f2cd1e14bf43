"""copyreg's helpers: `_reconstructor` of protocols 0 and 1, `__newobj__` and `__newobj_ex__`.

Semantics: CPython 3.11 Lib/copyreg.py. Each is given a class, and makes an empty object of it. The class has to be in
the table below, or be an inert record already. Nothing else is made.
"""

from __future__ import annotations

from typing import NamedTuple

from safeload.document.document import Built, resolve
from safeload.document.record import Record
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted import builtins_types, collections_types, namespaces, stdlib_values
from safeload.vetted.consumption import inert, spend, symbol, unchanged
from safeload.vetted.interface import Change, Constructor, Context, Shape, ShapeError, positional

BASES = frozenset(
    f"builtins.{name}"
    for name in ("bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")
)


class _Class(NamedTuple):
    """How an empty object of a vetted class is made and changed."""

    call: Shape
    change: Change | None


CLASSES = {
    "argparse.Namespace": _Class(namespaces.namespace, namespaces.change),
    "types.SimpleNamespace": _Class(namespaces.simple_namespace, namespaces.change),
    "uuid.UUID": _Class(stdlib_values.uuid, stdlib_values.change_uuid),
    "io.BytesIO": _Class(stdlib_values.bytes_io, stdlib_values.change_bytes_io),
    "collections.OrderedDict": _Class(collections_types.ordered_dict, collections_types.change_ordered_dict),
    "collections.ChainMap": _Class(collections_types.chain_map, collections_types.change_chain_map),
    "builtins.object": _Class(builtins_types.make_object, None),
}


def _make(call: Call, ctx: Context, owner: object, args: tuple[object, ...]) -> object:
    """What `owner.__new__(owner, *args)` denotes."""
    found = resolve(owner)
    if isinstance(found, Record) and found.args is None:
        return Record(found.module, found.qualname, args)
    if inert(found):
        raise ShapeError("makes an object of something that is no bare class", Verdict.UNVETTED)
    name = symbol(found)
    if name not in CLASSES:
        # SECURITY: `type.__new__` would make a class; and Python pickles no builtin outside the table in this form.
        verdict = Verdict.DANGEROUS if not name or name.startswith("builtins.") else Verdict.UNVETTED
        raise ShapeError(f"makes an object of {name or type(found).__name__}, which has no such form", verdict)
    empty = Call("newobj", owner, args, None, call.offset)
    empty.mutations = call.mutations
    return CLASSES[name].call(empty, ctx)


def reconstructor(call: Call, ctx: Context) -> object:
    """`_reconstructor(cls, base, state)`: `base.__new__(cls, state)`; base object takes no state."""
    owner, base, state = positional(call, 3)
    name = symbol(base)
    if name == "builtins.object" and resolve(state) is None:
        return _make(call, ctx, owner, ())
    if name in BASES and isinstance(resolve(owner), Record):
        return _make(call, ctx, owner, (state,))
    raise ShapeError("takes a class, object and None", Verdict.UNVETTED if inert(resolve(base)) else Verdict.DANGEROUS)


def newobj(call: Call, ctx: Context) -> object:
    """`__newobj__(cls, *args)`."""
    args = positional(call, 1, 1 << 20)
    spend(ctx, len(args), call.offset)
    return _make(call, ctx, args[0], args[1:])


def newobj_ex(call: Call, ctx: Context) -> object:
    """`__newobj_ex__(cls, args, kwargs)`, only for records: no vetted class is pickled in this form."""
    owner, args, kwargs = (resolve(arg) for arg in positional(call, 3))
    if type(args) is not tuple or type(kwargs) is not dict:
        raise ShapeError("takes a class, a tuple and a dict")
    if not isinstance(owner, Record) or owner.args is not None:
        raise ShapeError("makes an object of a class that has no such form", Verdict.UNVETTED)
    unchanged(ctx, call.offset, kwargs)
    return Record(owner.module, owner.qualname, args, kwargs)


def change(call: Call, mutation: Mutation, ctx: Context) -> None:
    """Make the change if the class of the object allows it. An inert record keeps any change, without making it."""
    made = call.value
    if isinstance(made, Record):
        _record(made, mutation, ctx)
        return
    kind = made.kind if isinstance(made, Built) else ""
    vetted = CLASSES.get(kind)
    if vetted is None or vetted.change is None:
        raise ShapeError("the result may not be changed")
    vetted.change(call, mutation, ctx)


def _record(made: Record, mutation: Mutation, ctx: Context) -> None:
    """Keep a change of a record: its state, which may be set once, or its items, in order."""
    if mutation.kind == "build":
        if made.state is not None:
            raise ShapeError("takes its state twice", Verdict.UNJUDGED)
        made.state = mutation.payload
        return
    if type(mutation.payload) is not list:
        raise ShapeError("takes items in a list", Verdict.UNJUDGED)
    spend(ctx, len(mutation.payload), mutation.offset)
    given = list(mutation.payload)
    if mutation.kind == "setitem":
        given = list(zip(given[::2], given[1::2], strict=True))
    if made.items is None:
        made.items = []
    made.items.extend(given)


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("reconstructor", reconstructor, change),
    Constructor("newobj-function", newobj, change),
    Constructor("newobj-ex-function", newobj_ex, change),
)
