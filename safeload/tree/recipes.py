"""The calls by which the tree spells vetted objects: for each kind of Built, one canonical call of a vetted name.

The inverse of `vetted/`: what is written here denotes the same leaf again when a shape reads it, which a test holds for
every kind. Source of each form: the `__reduce__` that the shape's own docstring names. Calls nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from safeload.document.document import Built


class Made(NamedTuple):
    """A container that the spelling needs and the Document does not have: "list", "tuple", or "map" (str keys)."""

    tag: str
    items: tuple[object, ...]
    keys: tuple[str, ...] = ()


class Recipe(NamedTuple):
    """A call: `name` with `args`, then `changes` of the result, each a kind and its payload."""

    name: str
    args: tuple[object, ...] = ()
    changes: tuple[tuple[str, object], ...] = ()
    kind: str = "reduce"


class Inline(NamedTuple):
    """Bytes that are written where they stand: what they belong to may be shared, they are not."""

    data: bytes


def sequence(*items: object) -> Made:
    """A tuple."""
    return Made("tuple", items)


def mapping(items: Mapping[str, object]) -> Made:
    """A dict with str keys."""
    return Made("map", tuple(items.values()), tuple(items))


def pairs(items: Iterable[tuple[object, object]]) -> tuple[tuple[str, object], ...]:
    """The change that sets items, none when there are none."""
    flat = tuple(part for pair in items for part in pair)
    return (("setitem", Made("list", flat)),) if flat else ()


def elements(items: Iterable[object]) -> tuple[tuple[str, object], ...]:
    """The change that appends elements, none when there are none."""
    flat = tuple(items)
    return (("append", Made("list", flat)),) if flat else ()


def attributes(built: Built) -> tuple[tuple[str, object], ...]:
    """The change that sets attributes, none when there are none."""
    return (("build", mapping(built.state)),) if built.state else ()


def _direct(built: Built) -> Recipe:
    return Recipe(built.kind, tuple(built.args))


def _mapping(built: Built) -> Recipe:
    items = built.items.items() if isinstance(built.items, dict) else ()
    return Recipe(built.kind, tuple(built.args), pairs(items) + attributes(built))


def _deque(built: Built) -> Recipe:
    (maxlen,) = built.args
    args: tuple[object, ...] = () if maxlen is None else (Made("list", ()), maxlen)
    return Recipe(built.kind, args, elements(built.items or ()))


def _chain_map(built: Built) -> Recipe:
    maps = Made("list", tuple(built.items or ()))
    return Recipe(built.kind, (), (("build", mapping({"maps": maps})),), "newobj")


def _namespace(built: Built) -> Recipe:
    return Recipe(built.kind, (), attributes(built))


def _date(built: Built) -> Recipe:
    year, month, day = built.args
    return Recipe(built.kind, (bytes((*divmod(year, 256), month, day)),))


def _zoned(built: Built, head: list[int], micro: int, zone: object) -> Recipe:
    data = bytes((*head, *micro.to_bytes(3, "big")))
    return Recipe(built.kind, (data,) if zone is None else (data, zone))


def _time(built: Built) -> Recipe:
    hour, minute, second, micro, zone, fold = built.args
    return _zoned(built, [hour | fold << 7, minute, second], micro, zone)


def _datetime(built: Built) -> Recipe:
    year, month, day, hour, minute, second, micro, zone, fold = built.args
    return _zoned(built, [*divmod(year, 256), month | fold << 7, day, hour, minute, second], micro, zone)


def _bytes_io(built: Built) -> Recipe:
    data, position = built.args
    return Recipe(built.kind, (), (("build", sequence(data, position, None)),))


def _string_io(built: Built) -> Recipe:
    text, newline, position = built.args
    return Recipe(built.kind, (), (("build", sequence(text, newline, position, None)),))


def _random(built: Built) -> Recipe:
    if not built.args:
        return Recipe(built.kind)
    version, words, gauss = built.args
    return Recipe(built.kind, (), (("build", sequence(version, sequence(*words), gauss)),))


def _uuid(built: Built) -> Recipe:
    number, safe = built.args
    state = {"int": number} if safe is None else {"int": number, "is_safe": safe}
    return Recipe(built.kind, (), (("build", mapping(state)),), "newobj")


BUILT: dict[str, Callable[[Built], Recipe]] = {
    "argparse.Namespace": _namespace,
    "builtins.object": _direct,
    "builtins.range": _direct,
    "builtins.slice": _direct,
    "collections.ChainMap": _chain_map,
    "collections.Counter": _mapping,
    "collections.OrderedDict": _mapping,
    "collections.defaultdict": _mapping,
    "collections.deque": _deque,
    "datetime.date": _date,
    "datetime.datetime": _datetime,
    "datetime.time": _time,
    "datetime.timedelta": _direct,
    "datetime.timezone": _direct,
    "decimal.Decimal": _direct,
    "fractions.Fraction": _direct,
    "io.BytesIO": _bytes_io,
    "io.StringIO": _string_io,
    "pathlib.PurePosixPath": _direct,
    "pathlib.PureWindowsPath": _direct,
    "random.Random": _random,
    "types.SimpleNamespace": _namespace,
    "uuid.SafeUUID": _direct,
    "uuid.UUID": _uuid,
}
"""Kind of Built -> its call; numpy's and torch's kinds are in the files beside this one."""

_NAMES: dict[str, str | Recipe] = {
    **{
        f"numpy.random.{name}": f"numpy.random._{module}.{name}"
        for name, module in (
            ("MT19937", "mt19937"),
            ("PCG64", "pcg64"),
            ("PCG64DXSM", "pcg64"),
            ("Philox", "philox"),
            ("SFC64", "sfc64"),
        )
    },
    "numpy.random.SeedSequence": "numpy.random.bit_generator.SeedSequence",
    "torch.jagged": Recipe("torch.serialization._get_layout", ("torch.jagged",)),
    "torch._mkldnn": Recipe("torch.serialization._get_layout", ("torch._mkldnn",)),
}


def named(name: str) -> str | Recipe:
    """The vetted name, or the call, that denotes the Symbol `name`."""
    return _NAMES.get(name, name)
