"""The nodes of the machine that a tree's calls, names and tensors become, in the order in which they would run.

Means nothing by them. Every check here is about the form of the tree; arguments are the shapes' to judge.
"""

from __future__ import annotations

import re

from safeload.document.cell import Cell
from safeload.document.dtypes import BITS, itemsize
from safeload.document.record import Record
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine import is_nested
from safeload.machine.program import Call, Global, Mutation, Persistent, Program
from safeload.tree.json_text import Object
from safeload.tree.recipes_torch import steps
from safeload.tree.storages import Storages

_NAME = r"[^\x00-\x20.\x7f]+(?:\.[^\x00-\x20.\x7f]+)+"
_NAME_LENGTH = 1000
_CHANGES = frozenset({"build", "append", "setitem", "additem"})
_V2, _V3 = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3"
_FLAGS = ("requires_grad", "conj", "neg")


class Nodes:
    """Makes the nodes of one program.

    dropped   name of each object that was left out -> offset of the first of them
    """

    def __init__(self, program: Program, storages: Storages, limits: Limits) -> None:
        self.program = program
        self.storages = storages
        self.dropped: dict[str, int] = {}
        self._limits = limits
        self._left = limits.pickle_bytes
        self._globals: dict[str, Global] = {}
        self._persistent: dict[tuple[str, bool], Persistent] = {}

    def named(self, name: object, offset: int) -> Global:
        """A name: one node for each, as a pickle keeps it in its memo."""
        found = self._globals.get(name) if type(name) is str else None
        if found is None:
            module, last = _split(name, offset)
            found = Global(module, last, module, last, 2, offset)
            self._globals[f"{module}.{last}"] = found
            self.program.effects.append(found)
        return found

    def call(self, name: object, kind: object, args: tuple[object, ...], offset: int) -> Call:
        """A call of `name`."""
        if kind not in ("reduce", "newobj"):
            raise Malformed(f"no kind of call: {str(kind)[:40]!r}", offset=offset)
        func = self.named(name, offset)
        made = Call(str(kind), func, args, None, offset)
        self.program.effects.append(made)
        return made

    def change(self, target: Call, kind: str, payload: object, offset: int) -> None:
        """A change of what a call made."""
        mutation = Mutation(kind, target, payload, offset)
        if target.mutations is None:
            target.mutations = []
        target.mutations.append(mutation)
        self.program.effects.append(mutation)

    def storage(self, obj: Object) -> Persistent:
        """{"storage": name}, with "untyped": true as bytes of no type."""
        untyped = flag(obj, "untyped")
        return self._storage(obj["storage"], untyped, obj.offset)

    def _storage(self, name: object, untyped: bool, offset: int) -> Persistent:
        spec = self.storages.spec(name, offset)
        found = self._persistent.get((spec.key, untyped))
        if found is None:
            found = Persistent(self.storages.number(spec, untyped), False, offset)
            self._persistent[spec.key, untyped] = found
            self.program.effects.append(found)
        return found

    def tensor(self, obj: Object) -> Call:
        """{"tensor": name}: a strided tensor over the storage that a tensor of the file is."""
        name, offset = obj["tensor"], obj.offset
        declared = self.storages.declared(name, offset)
        kept = self.storages.spec(name, offset).dtype
        dtype = obj.get("dtype", kept)
        if type(dtype) is not str or dtype not in BITS or ("dtype" in obj and dtype == kept):
            raise Malformed(f"no other element type for a tensor: {str(dtype)[:100]!r}", offset=offset)
        if "shape" in obj:
            shape = _numbers(obj, "shape")
            stride = _numbers(obj, "stride") if "stride" in obj else steps(shape)
        elif "stride" in obj or itemsize(dtype) != itemsize(declared.dtype):
            raise Malformed("a tensor of another width or order needs its shape", offset=offset)
        else:
            shape, stride = declared.shape, declared.stride
        start = obj.get("offset", 0)
        if type(start) is not int:
            raise Malformed("the offset of a tensor must be an integer", offset=offset)
        grad, conj, neg = (flag(obj, name) for name in _FLAGS)
        args: tuple[object, ...] = (self._storage(name, False, offset), start, shape, stride, grad, None)
        if "dtype" in obj:
            args = (*args, self.named(f"torch.{dtype}", offset))
        if conj or neg:
            args = (*args, {"conj": conj, "neg": neg})
        return self.call(_V3 if "dtype" in obj else _V2, "reduce", args, offset)

    def every(self, obj: Object) -> dict[object, object]:
        """{"tensors": digest}: a dict of all tensors of the file, in the order of its header: leaves already."""
        made: dict[object, object] = {}
        for name, spec in self.storages.every(obj["tensors"], obj.offset).items():
            self.literal(name, obj.offset)
            made[name] = spec
        self.program.declared += len(made)
        return made

    def drop(self, obj: Object) -> Cell:
        """{"dropped": name}: an object that was left out when the tree was written. Nothing is known of it."""
        module, name = _split(obj["dropped"], obj.offset, dotted=r"[^\x00]*\.[^\x00]*")
        self.dropped.setdefault(f"{module}.{name}", obj.offset)
        made = Cell()
        made.value = Record(module, name)
        return made

    def content(self, name: object, offset: int) -> bytes:
        """The bytes of a tensor of the file, as bytes."""
        size = self.storages.spec(name, offset).nbytes
        # Each use counts: what takes a few letters here may be copied each time.
        self._left -= size
        if self._left < 0 or size > self._limits.string_bytes:
            limit = "pickle_bytes" if self._left < 0 else "string_bytes"
            raise LimitExceeded(f"a tree takes {size} bytes of a tensor as bytes", limit=limit, offset=offset)
        data = self.storages.content(name, offset)
        self.literal(data, offset)
        return data

    def literal(self, value: str | bytes | bytearray, offset: int) -> None:
        """Remember bytes that are a pickle or an archive of their own, as the machine does."""
        if isinstance(value, str):
            return
        raw = bytes(value)
        if is_nested(raw, self._limits):
            if len(self.program.blobs) >= self._limits.nested_files:
                raise LimitExceeded("more bytes that are pickles than are judged", limit="nested_files", offset=offset)
            self.program.blobs.append((offset, raw))


def flag(obj: Object, name: str) -> bool:
    """Whether a field that can only be true is there."""
    if name in obj and obj[name] is not True:
        raise Malformed(f"the field {name} can only be true", offset=obj.offset)
    return name in obj


def known_change(kind: object, offset: int) -> str:
    """The kind of a change; Malformed for another."""
    if type(kind) is not str or kind not in _CHANGES:
        raise Malformed(f"no kind of change: {str(kind)[:40]!r}", offset=offset)
    return kind


def _split(name: object, offset: int, dotted: str = _NAME) -> tuple[str, str]:
    if type(name) is not str or len(name) > _NAME_LENGTH or re.fullmatch(dotted, name) is None:
        raise Malformed("a name must be a module and a name, joined by a dot", offset=offset)
    module, _, last = name.rpartition(".")
    return module, last


def _numbers(obj: Object, field: str) -> tuple[int, ...]:
    found = obj[field]
    if type(found) is not list or any(type(number) is not int for number in found):
        raise Malformed(f"the {field} of a tensor must be a list of integers", offset=obj.offset)
    return tuple(found)
