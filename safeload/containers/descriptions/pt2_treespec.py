"""The shape of a program's arguments and results: a JSON within a text, from which torch imports what it names.

torch reads it while it loads the archive (torch/utils/_pytree.py of torch 2.13, `treespec_loads`). The context of a
`collections.defaultdict` names a factory by module and name: torch imports it, and calls it later. An object with
`__enum__` in the context of any other container names an enum in the same way. torch refuses types that are not
registered in the process; a registered type reads its context itself. Keys of the keyword arguments become parameter
names in Python source.

Reads text; imports and evaluates nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from safeload.containers.interface import ImportedName
from safeload.containers.text.json_paths import JsonLeaf, leaves
from safeload.containers.text.json_text import EventKind
from safeload.errors import Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

_TYPES = frozenset({
    "builtins.tuple", "builtins.list", "builtins.dict", "builtins.slice", "collections.namedtuple",
    "collections.OrderedDict", "collections.defaultdict", "collections.deque", "torch.Size",
})  # fmt: skip
_FACTORIES = frozenset({
    ("builtins", "list"), ("builtins", "dict"), ("builtins", "set"), ("builtins", "int"), ("builtins", "float"),
    ("builtins", "str"), ("builtins", "bool"), ("builtins", "tuple"), ("builtins", "frozenset"),
    ("collections", "OrderedDict"), ("collections", "deque"), ("collections", "Counter"),
})  # fmt: skip
_KEYWORDS = (1, "children_spec", 1, "context")
_LOOK = "Load it only when you trust its author with your account; the weights alone can be taken without running it."


def check_treespec(text: str, offset: int, limits: Limits, *, arguments: bool) -> Iterator[Finding | ImportedName]:
    """What torch would import for `text`, which begins at `offset`, and findings where it is no specification.

    With `arguments`, the second child holds keyword arguments. A text that is no JSON is a finding. Raises
    LimitExceeded.
    """
    try:
        yield from _specification(text, offset, limits, arguments)
    except Malformed as error:
        yield _unread(f"a specification of arguments cannot be read ({error.message})", offset)


def _specification(text: str, offset: int, limits: Limits, arguments: bool) -> Iterator[Finding | ImportedName]:
    factory: dict[tuple[str | int, ...], dict[str, str]] = {}
    for leaf in leaves(text.encode("utf-8", "surrogatepass"), limits):
        path, value = leaf.path, leaf.event.value
        if not path or not isinstance(value, str) or leaf.event.kind is not EventKind.STRING:
            continue
        if path[-1] == "type":
            if value not in _TYPES:
                yield _type(value, offset)
        elif path[-1] in ("default_factory_module", "default_factory_name"):
            named = factory.setdefault(path[:-1], {})
            named[str(path[-1])] = value
            if len(named) == 2:
                yield from _factory(named["default_factory_module"], named["default_factory_name"], offset)
        elif path[-1] == "context":
            yield from _context(value, offset, limits, names=arguments and path == _KEYWORDS)


def _factory(module: str, name: str, offset: int) -> Iterator[ImportedName]:
    if (module, name) not in _FACTORIES:
        yield ImportedName(module, name, "torch.export imports it as the factory of a defaultdict", offset=offset)


def _context(text: str, offset: int, limits: Limits, *, names: bool) -> Iterator[Finding | ImportedName]:
    """Check the context of a container, which in most cases is JSON. That of a namedtuple is its registered name."""
    if text.lstrip(" \t\n\r")[:1] not in ("[", "{"):
        return
    enums: dict[tuple[str | int, ...], dict[str, JsonLeaf]] = {}
    for leaf in leaves(text.encode("utf-8", "surrogatepass"), limits):
        path, value = leaf.path, leaf.event.value
        if names and isinstance(value, str) and not value.isidentifier():
            yield Finding(
                "pt2-name", Verdict.DANGEROUS, Severity.CRITICAL,
                f"the argument name {value[:200]!r} is no identifier; torch writes it unquoted into Python source, "
                "which it runs when the program is made a module",
                "Do not load this file; ask its author for the weights as safetensors.",
                offset=offset, evidence=value[:200],
            )  # fmt: skip
        if path and path[-1] in ("__enum__", "fqn"):
            enum = enums.setdefault(path[:-1], {})
            enum[str(path[-1])] = leaf
            if len(enum) == 2:
                module, _, name = str(enum["fqn"].event.value).partition(":")
                yield ImportedName(module, name, "torch.export imports it as an enum", offset=offset)


def _type(name: str, offset: int) -> Finding:
    return Finding(
        "pt2-custom-object", Verdict.UNVETTED, Severity.LOW,
        f"the arguments hold a container of the type {name[:200]!r}, which a library outside the file registers",
        _LOOK, offset=offset, evidence=name[:200],
    )  # fmt: skip


def _unread(what: str, offset: int) -> Finding:
    return Finding(
        "pt2-program-form", Verdict.UNJUDGED, Severity.MEDIUM, f"{what}: the program is not understood", _LOOK,
        offset=offset,
    )  # fmt: skip
