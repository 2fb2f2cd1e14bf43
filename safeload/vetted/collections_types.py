"""The containers of `collections`: OrderedDict, Counter, defaultdict, deque, ChainMap.

Semantics: CPython 3.11 Lib/collections/__init__.py and Modules/_collectionsmodule.c, the `__reduce__` methods. Only the
forms that pickle writes are admitted: a published attack calls OrderedDict with source text.
"""

from __future__ import annotations

from safeload.document.document import Built, resolve
from safeload.findings import Verdict
from safeload.machine.program import Call, Mutation
from safeload.vetted.consumption import (
    attributes,
    elements,
    inert,
    known,
    made,
    set_items,
    spend,
    symbol,
    unchanged,
    unmade,
    whole,
)
from safeload.vetted.interface import Constructor, Context, ShapeError

_BUILTINS = ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")
_COLLECTIONS = ("Counter", "OrderedDict", "defaultdict", "deque")
FACTORIES = frozenset(f"builtins.{name}" for name in _BUILTINS) | {f"collections.{name}" for name in _COLLECTIONS}
_NEW = frozenset({"reduce", "newobj"})
# Written out, except for what every dict has. `dir(OrderedDict)` would make the verdict depend on the version of
# Python, and on what another package has put into `collections`.
_ORDERED_DICT = frozenset(dir(dict)) | {"__dict__", "move_to_end"}
_COUNTER = frozenset(dir(dict)) | {
    "__add__", "__and__", "__dict__", "__iadd__", "__iand__", "__isub__", "__missing__", "__module__", "__neg__",
    "__pos__", "__sub__", "__weakref__", "__firstlineno__", "__static_attributes__", "_keep_positive", "elements",
    "most_common", "subtract", "total",
}  # fmt: skip


def _bare(call: Call) -> None:
    """Raise ShapeError for arguments of `cls.__new__`: `dict.__new__` and the like ignore them, so none is pickled."""
    if call.kind == "newobj" and call.args != ():
        raise ShapeError("is made without arguments")


def _mapping(call: Call) -> tuple[Built, dict[object, object]]:
    built = made(call, "collections.OrderedDict", "collections.Counter", "collections.defaultdict")
    if not isinstance(built.items, dict):
        raise unmade()
    return built, built.items


def ordered_dict(call: Call, ctx: Context) -> Built:
    """`OrderedDict()`, or python 2's `OrderedDict([[key, value], ...])` (`OrderedDict.__reduce__`)."""
    _bare(call)
    args = known(call, optional=(list,))
    items: dict[object, object] = {}
    if args and isinstance(call.args, tuple):
        flat: list[object] = []
        for raw in elements(ctx, args[0], call.args[0], call.offset):
            pair = resolve(raw)
            if inert(pair):
                raise ShapeError("takes pairs that are outside the vetted table", Verdict.UNVETTED)
            unchanged(ctx, call.offset, raw)
            if not (isinstance(pair, list | tuple) and type(pair) in (list, tuple) and len(pair) == 2):
                raise ShapeError("takes a list of pairs")
            flat.extend(pair)
        set_items(ctx, items, flat, call.offset)
    return Built("collections.OrderedDict", (), items)


def change_ordered_dict(call: Call, mutation: Mutation, ctx: Context) -> None:
    """SETITEMS; BUILD with the dict of its attributes (torch keeps `_metadata` of a state_dict there)."""
    change_mapping(call, mutation, ctx, _ORDERED_DICT)


def change_counter(call: Call, mutation: Mutation, ctx: Context) -> None:
    """SETITEMS; BUILD with the dict of its attributes."""
    change_mapping(call, mutation, ctx, _COUNTER)


def change_mapping(call: Call, mutation: Mutation, ctx: Context, taken: frozenset[str]) -> None:
    """SETITEMS on a mapping, and BUILD of its attributes. These may not hide the attributes of its class, `taken`."""
    built, items = _mapping(call)
    if mutation.kind == "setitem":
        set_items(ctx, items, mutation.payload, mutation.offset)
    elif mutation.kind == "build":
        found = attributes(ctx, mutation, taken)
        if built.state is None:
            built.state = found
        else:
            built.state.update(found)
    else:
        raise ShapeError("a mapping takes items and attributes only")


def counter(call: Call, ctx: Context) -> Built:
    """`Counter(dict)` or `Counter()` (`Counter.__reduce__`). A sequence to count is never pickled."""
    _bare(call)
    args = known(call, optional=(dict,))
    items: dict[object, object] = {}
    if args and isinstance(args[0], dict) and isinstance(call.args, tuple):
        unchanged(ctx, call.offset, call.args[0])
        spend(ctx, len(args[0]), call.offset)
        items = dict(args[0])
    return Built("collections.Counter", (), items)


def default_dict(call: Call, ctx: Context) -> Built:
    """`defaultdict()`, `defaultdict(None)` or `defaultdict(factory)`, the factory one of FACTORIES (a Symbol).

    SECURITY: the factory is called whenever a program looks up a missing key, so it has to be vetted like any call.
    """
    _bare(call)
    args = known(call, optional=(object,))
    if args and args[0] is not None:
        if inert(args[0]):
            raise ShapeError("has a factory outside the vetted table", Verdict.UNVETTED)
        if symbol(args[0]) not in FACTORIES:
            raise ShapeError("has a factory that is no plain type")
    return Built("collections.defaultdict", args, {})


def change_default_dict(call: Call, mutation: Mutation, ctx: Context) -> None:
    """SETITEMS."""
    if mutation.kind != "setitem":
        raise ShapeError("a defaultdict takes items only")
    set_items(ctx, _mapping(call)[1], mutation.payload, mutation.offset)


def deque(call: Call, ctx: Context) -> Built:
    """`deque()`, `deque(list or tuple)`, `deque(list or tuple, maxlen)`; maxlen None or 0 <= maxlen < 2**63."""
    _bare(call)
    args = known(call, optional=((list, tuple), object))
    items: list[object] = []
    if args and isinstance(call.args, tuple):
        items = elements(ctx, args[0], call.args[0], call.offset)
    maxlen = None
    if len(args) == 2 and args[1] is not None:
        maxlen = whole(args[1], 0, 1 << 63, "the maximal length of a deque")
        items = items[max(0, len(items) - maxlen) :]
    return Built("collections.deque", (maxlen,), items)


def change_deque(call: Call, mutation: Mutation, ctx: Context) -> None:
    """APPEND and APPENDS: a full deque drops from its left, as `deque.append` does."""
    built = made(call, "collections.deque")
    if mutation.kind != "append" or type(mutation.payload) is not list:
        raise ShapeError("a deque takes elements only")
    if not isinstance(built.items, list):
        raise unmade()
    spend(ctx, len(mutation.payload), mutation.offset)
    built.items.extend(mutation.payload)
    maxlen = built.args[0]
    if isinstance(maxlen, int) and len(built.items) > maxlen:
        spend(ctx, maxlen, mutation.offset)
        del built.items[: len(built.items) - maxlen]


def chain_map(call: Call, ctx: Context) -> Built:
    """`ChainMap.__new__(ChainMap)`; its maps come with BUILD."""
    known(call)
    if not call.mutations:
        raise ShapeError("is made without its maps", Verdict.UNJUDGED)
    return Built("collections.ChainMap", (), [])


def change_chain_map(call: Call, mutation: Mutation, ctx: Context) -> None:
    """BUILD {'maps': list of mappings}, the instance dict of a ChainMap."""
    built = made(call, "collections.ChainMap")
    state = attributes(ctx, mutation, ())
    maps = resolve(state.get("maps"))
    if built.items or state.keys() != {"maps"}:
        raise ShapeError("a ChainMap takes its maps, once")
    elements(ctx, maps, state["maps"], mutation.offset)
    if not isinstance(maps, list):
        raise ShapeError("a ChainMap takes a list of maps", Verdict.UNJUDGED)
    # The list itself, not a copy: the file may use it in another place too.
    built.items = maps
    for item in maps:
        found = resolve(item)
        if inert(found):
            raise ShapeError("chains a map outside the vetted table", Verdict.UNVETTED)
        if type(found) is not dict and not (isinstance(found, Built) and isinstance(found.items, dict)):
            raise ShapeError("a ChainMap chains mappings only")


CONSTRUCTORS: tuple[Constructor, ...] = (
    Constructor("ordered-dict", ordered_dict, change_ordered_dict, _NEW),
    Constructor("counter", counter, change_counter, _NEW),
    Constructor("defaultdict", default_dict, change_default_dict, _NEW),
    Constructor("deque", deque, change_deque, _NEW),
    Constructor("chain-map", chain_map, change_chain_map, frozenset({"newobj"})),
)
