"""What stands in the tree for one object of a Document, as tokens: finished text, and children that come in between.

The counting pass and the writing pass of `encode` both read it, so they cannot disagree about what an object holds.
"""

from __future__ import annotations

import base64
import struct
from collections import OrderedDict
from collections.abc import Iterable
from json.encoder import encode_basestring_ascii
from math import isnan
from re import search

from safeload.document.cell import UNSET
from safeload.document.document import (
    ArraySpec,
    Built,
    Document,
    NestedTensorSpec,
    QuantizedSpec,
    SparseSpec,
    StorageValue,
    Symbol,
    TensorSpec,
    WrappedTensor,
    resolve,
)
from safeload.document.record import Record
from safeload.errors import Malformed, UsageError
from safeload.tree import recipes, recipes_numpy, recipes_torch
from safeload.tree.interface import PLACED, Child, Mark, Placed, Plan, names_digest
from safeload.tree.json_text import SAFE_INTEGER
from safeload.tree.recipes import Inline, Made, Recipe, named
from safeload.tree.recipes_torch import Bytes, Table

LONG = 256
"""Characters, bytes or 8 bits from which a value that stands in several places is written once."""

_BUILT = {**recipes.BUILT, **recipes_numpy.BUILT, **recipes_torch.BUILT}
_TRANSPOSED = "numpy.ndarray.transpose"
_NAN = b"\x7f\xf8\x00\x00\x00\x00\x00\x00"
_RANKED = 1000
_FLAT = frozenset({type(None), bool, int, float})


EXISTS = Mark(0)
_ENTER, _LEAVE = Mark(1), Mark(-1)
_EVERY = Mark(2)

Token = str | Child | Mark


def quote(text: str) -> str:
    """A JSON string. Raises Malformed for one that comes back as another: two halves of a pair become one character."""
    if not text.isascii() and search(r"[\ud800-\udbff][\udc00-\udfff]", text):
        raise Malformed("text holds two halves of a surrogate pair, which JSON would join")
    return encode_basestring_ascii(text)


def flat(value: object) -> str | None:
    """The text of a value that is written wherever it stands; None for what may be shared."""
    kind = type(value)
    if kind is str:
        return quote(value) if len(value) <= LONG else None  # type: ignore[arg-type]
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int:
        return _integer(value) if value.bit_length() <= 8 * LONG else None  # type: ignore[attr-defined,arg-type]
    if kind is float:
        return _real(value)  # type: ignore[arg-type]
    if kind is bytes:
        return _binary("bytes", value) if len(value) <= LONG else None  # type: ignore[arg-type]
    if kind is complex:
        parts = f"{_real(value.real)},{_real(value.imag)}"  # type: ignore[attr-defined]
        return f'{{"call":"builtins.complex","args":[{parts}]}}'
    if kind is Symbol:
        name = named(value.name)  # type: ignore[attr-defined]
        if isinstance(name, str):
            return f'{{"name":{quote(name)}}}'
        return f'{{"call":{quote(name.name)},"args":[{",".join(flat(a) or "" for a in name.args)}]}}'
    # An empty tuple is one object to Python, wherever it stands.
    return '{"tuple":[]}' if kind is tuple and not value else None


def rank(value: object) -> str:
    """A text by which the elements of a set are put into one order, whatever process and address they are in.

    Elements without parts that differ have different texts; of what has parts, as many count as a key may have.
    """
    out: list[str] = []
    pending = [value]
    while pending and len(out) < _RANKED:
        part = resolve(pending.pop())
        match part:
            case tuple() | list():
                out.append(f"({len(part)}")
                pending.extend(reversed(part))
            case set() | frozenset():
                out.append(f"{{{len(part)}")
                pending.extend(sorted(part, key=lambda item: flat(resolve(item)) or ""))
            case Built():
                out.append(part.kind)
                pending += [*reversed(part.args), *(part.state or {}).values()]
            case TensorSpec():
                key = "" if part.storage is None else part.storage.key
                out.append(f"{key} {part.dtype} {part.offset} {part.shape} {part.stride}")
            case ArraySpec():
                out.append(f"{part.dtype} {part.shape} {part.data!r}" if part.scalar else part.dtype)
            case Record():
                out.append(f"{part.module}.{part.qualname}")
            case int():
                out.append(f"{part:#x}")
            case str() | bytes() | bytearray():
                out.append(ascii(part))
            case _:
                out.append(flat(part) or type(part).__name__)
    return " ".join(out)


def _integer(value: int) -> str:
    return str(value) if -SAFE_INTEGER <= value <= SAFE_INTEGER else f'{{"int":"{value:#x}"}}'


def _real(value: float) -> str:
    if value - value == 0:
        return repr(value)
    bits = struct.pack(">d", value)
    word = f"0x{bits.hex()}" if isnan(value) and bits != _NAN else repr(value)
    return f'{{"float":"{word}"}}'


def _binary(tag: str, data: bytes | bytearray) -> str:
    return f'{{"{tag}":"{base64.b64encode(data).decode("ascii")}"}}'


class Speller:
    """Spells objects, asking `plan` where their bytes are.

    every   the dict whose items are all tensors of the file, as they stand there, called `names`; None: there is none
    """

    def __init__(self, plan: Plan, every: object = None, names: Iterable[str] = ()) -> None:
        self._plan = plan
        self._every = every
        self._tensors = "" if every is None else f'"tensors":"{names_digest(names)}"'

    def spell(self, value: object, home: Document, number: int = 0) -> list[Token]:
        """The tokens of a resolved `value` that `flat` does not write; with `number`, under that id."""
        start = f'{{"id":{number},' if number else "{"
        match value:
            case list():
                items = self._items(value, home)
                return [start, '"list":[', *items, "]}"] if number else ["[", *items, "]"]
            case dict() if type(value) is dict and value is self._every:
                return [start, self._tensors, "}"]
            case dict() if type(value) is dict:
                return [start, *self._dict(value, home), "}"]
            case tuple():
                return [start, '"tuple":[', *self._items(value, home, slot=False), "]", EXISTS, "}"]
            case set():
                return [start, '"set":[', *self._elements(value, home), "]}"]
            case frozenset():
                return [start, '"frozenset":[', *self._elements(value, home), "]", EXISTS, "}"]
            case str() | int() | bytes() | bytearray():
                return [start, self._long(value)]
            case TensorSpec() if value.storage is not None:
                return [start, self._tensor(value, home)]
            case StorageValue():
                name = quote(self._plan.storage(value.storage, value.storage.home or home))
                return [start, f'"storage":{name}', "" if value.typed else ',"untyped":true', "}"]
            case Record():
                return [self._dropped(value)]
        recipe = self._recipe(value, home)
        if value is self._every:
            changes = [(kind, _EVERY if kind == "setitem" else payload) for kind, payload in recipe.changes]
            recipe = recipe._replace(changes=tuple(changes))
        return [start, *self._call(recipe, home, value), "}"]

    def _items(self, items: Iterable[object], home: Document, *, slot: bool = True) -> list[Token]:
        if isinstance(items, list | tuple) and _FLAT.issuperset(map(type, items)):
            texts = [flat(item) for item in items]
            if None not in texts:
                return [",".join(filter(None, texts))]
        out: list[Token] = []
        for item in items:
            out.append(",")
            out.append(self._part(item, home, slot))
        return out[1:]

    def _part(self, item: object, home: Document, slot: bool) -> Token:
        found = resolve(item)
        text = flat(found)
        return Child(found, home, slot) if text is None else text

    def _elements(self, items: set[object] | frozenset[object], home: Document) -> list[Token]:
        # The order of a set changes from process to process.
        parts = [self._part(item, home, False) for item in items]
        if not all(isinstance(part, str) for part in parts):
            parts.sort(key=lambda part: rank(part.value) if isinstance(part, Child) else "")
        parts.sort(key=lambda part: part if isinstance(part, str) else "")
        out: list[Token] = []
        for part in parts:
            out += [",", part]
        return out[1:]

    def _dict(self, value: dict[object, object], home: Document) -> list[Token]:
        if all(type(key) is str and len(key) <= LONG for key in value):
            return self._map(value, value.values(), home)  # type: ignore[arg-type]
        out: list[Token] = []
        for key, item in value.items():
            out += [",[", self._part(key, home, False), ",", self._part(item, home, True), "]"]
        out[0] = "["
        return ['"dict":[', *out, "]"]

    def _map(self, keys: Iterable[str], values: Iterable[object], home: Document) -> list[Token]:
        out: list[Token] = []
        for key, item in zip(keys, values, strict=True):
            out.append(f",{quote(key)}:")
            out.append(self._part(item, home, True))
        if out:
            out[0] = str(out[0])[1:]
        return ['"map":{', *out, "}"]

    def _long(self, value: str | int | bytes | bytearray) -> str:
        if isinstance(value, str):
            return f'"str":{quote(value)}}}'
        if isinstance(value, int):
            return f'"int":"{value:#x}"}}'
        tag = "bytes" if isinstance(value, bytes) else "bytearray"
        name = self._plan.blob(value, "") if len(value) >= PLACED else None
        return _binary(tag, value)[1:] if name is None else f'"{tag}_of":{quote(name)}}}'

    def _tensor(self, spec: TensorSpec, home: Document) -> str:
        placed = self._place(spec, home)
        parts = [f'"tensor":{quote(placed.name)}']
        if placed.dtype is not None:
            parts.append(f'"dtype":{quote(placed.dtype)}')
        if placed.shape is not None:
            parts.append(f'"shape":{_numbers(placed.shape)}')
            if placed.stride is not None and placed.stride != recipes_torch.steps(placed.shape):
                parts.append(f'"stride":{_numbers(placed.stride)}')
        if placed.offset:
            parts.append(f'"offset":{placed.offset}')
        parts += [f'"{flag}":true' for flag in ("requires_grad", "conj", "neg") if getattr(spec, flag)]
        return ",".join(parts) + "}"

    def _place(self, spec: TensorSpec, home: Document) -> Placed:
        return self._plan.tensor(spec, (spec.storage and spec.storage.home) or home)

    def _dropped(self, value: Record) -> str:
        name = f"{value.module}.{value.qualname}"
        if not self._plan.drops(value):
            raise UsageError(f"an object of {ascii(name)[1:-1][:200]} is outside the vetted table and cannot be kept")
        return f'{{"dropped":{quote(name[:1000])}}}'

    def _recipe(self, value: object, home: Document) -> Recipe:
        match value:
            case Built() if value.kind == _TRANSPOSED:
                return recipes_numpy.transposed(value, self._array_bytes(value.args[0], home))
            case Built() if value.kind in _BUILT:
                return _BUILT[value.kind](value)
            case OrderedDict():
                state = recipes.mapping(vars(value))
                changes = (("build", state),) if state.items else ()
                return Recipe("collections.OrderedDict", (), recipes.pairs(value.items()) + changes)
            case ArraySpec():
                return recipes_numpy.array(value, self._array_bytes(value, home))
            case TensorSpec():
                return recipes_torch.meta(value)
            case QuantizedSpec():
                return recipes_torch.quantized(value, lambda spec: self._place(spec, home))
            case SparseSpec():
                return recipes_torch.sparse(value)
            case NestedTensorSpec():
                return recipes_torch.nested(value)
            case WrappedTensor():
                return recipes_torch.wrapped(value, lambda spec: self._place(spec, home))
        if value is UNSET:
            raise Malformed("a part of the document was never judged")
        raise Malformed(f"no form for a {type(value).__name__}")

    def _array_bytes(self, spec: ArraySpec, home: Document) -> object:
        if not isinstance(spec.data, bytes):
            return Bytes("bytes_of", self._plan.storage(spec.data, spec.data.home or home))
        name = self._plan.blob(spec, "") if len(spec.data) >= PLACED else None
        return Inline(spec.data) if name is None else Bytes("bytes_of", name)

    def _call(self, recipe: Recipe, home: Document, owner: object) -> list[Token]:
        out: list[Token] = [f'"call":{quote(recipe.name)}']
        if recipe.kind != "reduce":
            out.append(f',"kind":{quote(recipe.kind)}')
        if recipe.args:
            out += [',"args":[', _ENTER, *self._spelled_all(recipe.args, home, owner, False), _LEAVE, "]"]
        out.append(EXISTS)
        for index, (kind, payload) in enumerate(recipe.changes):
            out += ["," if index else ',"changes":[', f"[{quote(kind)},"]
            out += [*self._spelled(payload, home, owner, False), "]"]
        return [*out, "]"] if recipe.changes else out

    def _spelled_all(self, parts: Iterable[object], home: Document, owner: object, slot: bool) -> list[Token]:
        out: list[Token] = []
        for part in parts:
            out.append(",")
            out += self._spelled(part, home, owner, slot)
        return out[1:]

    def _spelled(self, part: object, home: Document, owner: object, slot: bool) -> list[Token]:
        """A part of a recipe: what only the recipe has is written here and now, the rest are children."""
        match part:
            case Made(tag="list"):
                return ["[", *self._spelled_all(part.items, home, owner, True), "]"]
            case Made(tag="tuple"):
                return ['{"tuple":[', *self._spelled_all(part.items, home, owner, False), "]}"]
            case Made():
                return ["{", *self._made_map(part, home, owner), "}"]
            case Recipe():
                return ["{", *[token for token in self._call(part, home, owner) if token is not EXISTS], "}"]
            case Mark() if part is _EVERY:
                return ["{", self._tensors, "}"]
            case Bytes():
                return [f'{{"{part.tag}":{quote(part.name)}}}']
            case Table():
                return [self._table(owner, part.part)]
            case Inline():
                return [_binary("bytes", part.data)]
        return [self._part(part, home, slot)]

    def _made_map(self, made: Made, home: Document, owner: object) -> list[Token]:
        out: list[Token] = ['"map":{']
        for index, (key, item) in enumerate(zip(made.keys, made.items, strict=True)):
            out.append(f"{',' if index else ''}{quote(key)}:")
            out += self._spelled(item, home, owner, True)
        return [*out, "}"]

    def _table(self, owner: object, part: str) -> str:
        name = self._plan.blob(owner, part)
        if name is None:
            raise UsageError("the tables of a nested tensor have to be placed in the file")
        return f'{{"tensor":{quote(name)}}}'


def _numbers(values: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, values))}]"
