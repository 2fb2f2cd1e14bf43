"""Finds every name in a skops `schema.json` that skops would import, at any depth. The policy judges the names.

It takes any object with a loader for a node, wherever it stands, and of equal keys each value counts. The few plain
types in `_PLAIN`, which every file names, pass. A node of an unknown kind makes the file unjudged.

Semantics: skops/io/_audit.py (`get_tree`), `_general.py`, `_numpy.py`, `_scipy.py`, `_sklearn.py`,
`_quantile_forest.py` and `old/`, protocols 0 to 2.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from safeload.containers.interface import ImportedName
from safeload.containers.text.json_text import Event, EventKind, events
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits

_PROTOCOLS = ("0", "1", "2")
"""The protocols whose loader was reviewed. In another protocol the same words may have another meaning."""

_MOST_READINGS = 64
"""Combinations of equal keys in one node; a file that skops writes has one combination."""

_CALLED = "skops imports it and calls it with values of the file"
_FETCHED = "skops imports it, and what holds it may call it"
_BUILT = "skops imports it and builds an object of it from the file"
_NOT_IMPORTED = "the file names it, and skops asks its user to trust it"

_LOADERS = {
    "BytearrayNode": _NOT_IMPORTED,
    "BytesNode": _NOT_IMPORTED,
    "CachedNode": _NOT_IMPORTED,
    "ConstructorFromReduceNode": _CALLED,
    "DTypeNode": _NOT_IMPORTED,
    "DefaultDictNode": _NOT_IMPORTED,
    "DictNode": _CALLED,
    "FunctionNode": _FETCHED,
    "JsonNode": _NOT_IMPORTED,
    "ListNode": _CALLED,
    "LossNode": _CALLED,
    "MaskedArrayNode": _NOT_IMPORTED,
    "MethodNode": _NOT_IMPORTED,
    "NdArrayNode": _CALLED,
    "ObjectNode": _BUILT,
    "OperatorFuncNode": _CALLED,
    "PartialNode": _NOT_IMPORTED,
    "QuantileForestNode": _NOT_IMPORTED,
    "RandomGeneratorNode": _CALLED,
    "RandomStateNode": _CALLED,
    "SetNode": _CALLED,
    "SliceNode": _NOT_IMPORTED,
    "SparseMatrixNode": _NOT_IMPORTED,
    "TreeNode": _NOT_IMPORTED,
    "TupleNode": _CALLED,
    "TypeNode": _FETCHED,
    "_DictWithDeprecatedKeysNode": _NOT_IMPORTED,
}
"""Every kind of node, and what it does with the class that it names."""

_BUILTINS = "bool bytearray bytes complex dict float frozenset int list set slice str tuple"
_SCALARS = """
    bool bool_ bytes_ complex128 complex64 datetime64 float16 float32 float64 int16 int32 int64 int8 ndarray str_
    timedelta64 uint16 uint32 uint64 uint8
"""
_GENERATORS = frozenset(("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"))
_PLAIN = {
    "BytearrayNode": frozenset(("builtins.bytearray",)),
    "BytesNode": frozenset(("builtins.bytes",)),
    "DefaultDictNode": frozenset(("collections.defaultdict",)),
    "DictNode": frozenset(("builtins.dict", "collections.OrderedDict")),
    "JsonNode": frozenset(f"builtins.{name}" for name in _BUILTINS.split()),
    "ListNode": frozenset(("builtins.list",)),
    "NdArrayNode": frozenset(f"numpy.{name}" for name in _SCALARS.split()),
    "RandomGeneratorNode": frozenset(("numpy.random._generator.Generator",)),
    "RandomStateNode": frozenset(("numpy.random.mtrand.RandomState",)),
    "SetNode": frozenset(("builtins.set",)),
    "SliceNode": frozenset(("builtins.slice",)),
    "TupleNode": frozenset(("builtins.tuple",)),
    "TypeNode": frozenset(f"builtins.{name}" for name in ("bool", "float", "int", "list", "set", "str", "tuple")),
}
"""By kind of node, the classes that only hold the values they are given."""

_OWN_CLASSES = {
    "QuantileForestNode": ("quantile_forest._quantile_forest_fast", "QuantileForest"),
    "TreeNode": ("sklearn.tree._tree", "Tree"),
}
"""Kind of node -> what skops calls for it, whatever class it names."""

_KEYS = frozenset(("__class__", "__module__", "__loader__", "content", "module_path", "function", "func"))


@dataclass(slots=True)
class _SkopsObject:
    """An object or array that is open: the texts under the keys that matter, and what its parts gave it."""

    offset: int
    key: str
    texts: dict[str, set[str]] = field(default_factory=dict)
    content: dict[str, set[str]] = field(default_factory=dict)
    generators: set[str] = field(default_factory=set)

    def all(self, key: str) -> list[str]:
        return sorted(self.texts.get(key, ()))


def skops_schema(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    """The names that skops would import for `data`, each once, and findings for unknown nodes. See `ContentReader`."""
    seen: set[tuple[str, ...]] = set()
    for found in _found(data, member, limits):
        mark = ("", found.module, found.name) if isinstance(found, ImportedName) else (found.rule, found.message)
        if mark in seen:
            continue
        if len(seen) >= limits.findings:
            raise LimitExceeded("the schema names too much", limit="findings", offset=found.offset)
        seen.add(mark)
        yield found


def _found(data: bytes, member: str, limits: Limits) -> Iterator[Finding | ImportedName]:
    frames: list[_SkopsObject] = []
    key, has_protocol = "", False
    for event in events(data, limits):
        match event.kind:
            case EventKind.KEY:
                key = str(event.value)
            case EventKind.OBJECT | EventKind.ARRAY:
                if not frames and event.kind is EventKind.ARRAY:
                    break
                frames.append(_SkopsObject(event.offset, key if event.kind is EventKind.OBJECT else ""))
                key = ""
            case EventKind.OBJECT_END | EventKind.ARRAY_END:
                frame = frames.pop()
                yield from _node(frame, member)
                _hand_up(frame, frames, limits)
                key = ""
            case _ if frames:
                if key == "protocol" and len(frames) == 1:
                    has_protocol = True
                    if event.kind is not EventKind.NUMBER or event.value not in _PROTOCOLS:
                        yield _unknown(
                            f"protocol {_shown(str(event.value))!r} is none of 0, 1 and 2", member, event.offset
                        )
                _note(frames[-1], key, event)
    if not has_protocol:
        yield _unknown("it is no object with a protocol", member, 0)


def _note(frame: _SkopsObject, key: str, event: Event) -> None:
    """Keep a text that matters, in the object that is open."""
    if event.kind is EventKind.STRING and key in _KEYS:
        frame.texts.setdefault(key, set()).add(str(event.value))
    if event.kind is EventKind.STRING and key == "bit_generator":
        frame.generators.add(str(event.value))


def _hand_up(frame: _SkopsObject, frames: list[_SkopsObject], limits: Limits) -> None:
    """Give the function, method and bit generator in a part to the node that holds it."""
    if not frames:
        return
    if frame.key == "content":
        for key in ("module_path", "function", "func"):
            frames[-1].content.setdefault(key, set()).update(frame.all(key))
    if frame.key == "bit_generator" and "JsonNode" in frame.all("__loader__"):
        frames[-1].generators.update(map(_json_text, frame.all("content")))
    if "RandomGeneratorNode" not in frame.all("__loader__"):
        frames[-1].generators.update(frame.generators)
    if len(frames[-1].generators) > limits.findings:
        raise LimitExceeded("the schema names too many bit generators", limit="findings", offset=frame.offset)


def _json_text(content: str) -> str:
    """The text that the content of a JsonNode holds; "" when it holds no text."""
    try:
        value: object = json.loads(content) if content.startswith('"') else None
    except ValueError:
        value = None
    return value if isinstance(value, str) else ""


def _node(frame: _SkopsObject, member: str) -> Iterator[Finding | ImportedName]:
    """The names and findings of one object, if it is a node."""
    loaders, modules, names = frame.all("__loader__"), frame.all("__module__"), frame.all("__class__")
    if not loaders:
        if modules or names:
            yield _unknown("a node has a class and no loader", member, frame.offset)
        return
    if len(loaders) * max(len(modules), 1) * max(len(names), 1) > _MOST_READINGS:
        raise Malformed("a node of the schema can be read in too many ways", offset=frame.offset)
    for loader in loaders:
        if loader not in _LOADERS:
            yield _unknown(f"{_shown(loader)!r} is no kind of node that is known", member, frame.offset)
        elif not (modules and names) and loader != "CachedNode":
            yield _unknown(f"a {loader} does not say its class", member, frame.offset)
        for module, name in itertools.product(modules, names):
            if f"{module}.{name}" not in _PLAIN.get(loader, frozenset()):
                yield _named(module, name, _LOADERS.get(loader, _FETCHED), loader, frame, member)
            yield from _particular(loader, module, name, frame, member)


def _particular(
    loader: str, module: str, name: str, frame: _SkopsObject, member: str
) -> Iterator[Finding | ImportedName]:
    """What skops reaches through a node of this kind, besides the class that it names."""
    if loader in _OWN_CLASSES:
        yield _named(*_OWN_CLASSES[loader], _CALLED, loader, frame, member)
    elif loader == "OperatorFuncNode":
        yield _named("operator", name, _CALLED, loader, frame, member)
    elif loader == "FunctionNode":
        pairs = itertools.product(
            sorted(frame.content.get("module_path", ())), sorted(frame.content.get("function", ()))
        )
        for count, (path, function) in enumerate(pairs):
            if count >= _MOST_READINGS:
                raise Malformed("a function of the schema can be read in too many ways", offset=frame.offset)
            yield _named(path, function, _FETCHED, loader, frame, member)
    elif loader == "MethodNode":
        for method in sorted(frame.content.get("func", ())) or [""]:
            if not method:
                yield _unknown("a MethodNode does not say its method", member, frame.offset)
            elif method.startswith("__"):
                yield _inside(f"{module}.{name}.{method}", member, frame.offset)
            else:
                yield _named(f"{module}.{name}", method, "skops takes this method of an object", loader, frame, member)
    elif loader == "RandomGeneratorNode":
        for generator in sorted(frame.generators) or [""]:
            if not generator:
                yield _unknown("a RandomGeneratorNode does not say its bit generator", member, frame.offset)
            elif generator not in _GENERATORS:
                yield _named("numpy.random", generator, _CALLED, loader, frame, member)


def _named(module: str, name: str, why: str, loader: str, frame: _SkopsObject, member: str) -> ImportedName:
    """A name for the policy. A text that is too long for a name is cut: the policy knows neither form."""
    return ImportedName(_shown(module), _shown(name), why, member, frame.offset, loader)


def _unknown(what: str, member: str, offset: int | None) -> Finding:
    return Finding(
        "skops-unknown-node",
        Verdict.UNJUDGED,
        Severity.MEDIUM,
        f"the schema is not understood: {what}",
        "Have the file saved anew by a current skops, or ask its author for another format.",
        member=member,
        offset=offset,
    )


def _inside(name: str, member: str, offset: int) -> Finding:
    return Finding(
        "skops-reaches-inside",
        Verdict.DANGEROUS,
        Severity.HIGH,
        f"the schema takes {_shown(name)}, which leads from an object to the inside of Python",
        "Do not load the file: no model needs it.",
        member=member,
        offset=offset,
        name=_shown(name),
    )


def _shown(text: str) -> str:
    """The beginning of a text of the file, for a report, without halves of surrogate pairs."""
    return text[:500].encode("utf-8", "backslashreplace").decode()
