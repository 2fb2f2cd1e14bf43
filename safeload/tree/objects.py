"""The values of a tree as Python has them, built from the inside out, with references and cycles.

The walk is iterative: a stack of what is still to do, a stack of what is done. A list, dict or set exists from its
opening, a call from its changes on, anything else from its end; a reference before that is admitted in one form only,
see `_Unmade`. Nothing is called or built here but plain containers and the machine's nodes (`nodes`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.machine.keys import Keys
from safeload.machine.program import Call
from safeload.tree.json_text import Object
from safeload.tree.nodes import Nodes, known_change
from safeload.tree.scalars import binary, integer, real

_PLAIN = frozenset({type(None), bool, int, float})
_SCALARS = _PLAIN | {str}
# What `Program.touched` says of a container that a call saw before it was complete: changed after everything.
_LATER = 1 << 62

Step = Callable[[], None]


class _Unmade:
    """A tuple or frozenset whose elements are not complete.

    Only a list or a dict below it, with no call in between that would consume them, may refer to it: `places` are
    filled when it exists. `barriers` counts the argument lists around it.
    """

    __slots__ = ("barriers", "places")

    def __init__(self, barriers: int) -> None:
        self.barriers = barriers
        self.places: list[tuple[Any, object]] = []


class Objects:
    """Builds the values of one tree."""

    def __init__(self, nodes: Nodes, limits: Limits) -> None:
        self._nodes = nodes
        self._limits = limits
        self._keys = Keys(limits.key_elements, limits.numeric_tuple_keys)
        self._todo: list[tuple[bool, Any]] = []
        self._done: list[object] = []
        self._ids: dict[int, object] = {}
        # Containers and calls that are not complete yet: how many argument lists were around them when they began.
        self._open: dict[int, int] = {}
        self._barriers = 0
        self._unmade = 0
        self._at = 0

    def build(self, root: object) -> object:
        """The value of the field root."""
        todo = self._todo
        todo.append((True, root))
        try:
            while todo:
                visit, item = todo.pop()
                if visit:
                    self._visit(item)
                else:
                    item()
        except (Malformed, LimitExceeded) as error:
            error.offset = self._at
            raise
        return self._done.pop()

    def _visit(self, item: object) -> None:
        self._nodes.program.opcodes += 1
        if type(item) is Object:
            self._at = item.offset
            for key in item:
                found = _TAGS.get(key)
                if found is not None:
                    break
            else:
                raise self._bad("an object without a known tag")
            tag, fields = found
            if not fields >= item.keys():
                raise self._bad(f"an object tagged {key!r} with other fields")
            tag(self, item)
        elif type(item) is list:
            self._filled_list(item, 0)
        else:
            if type(item) is str:
                self._nodes.literal(item, self._at)
            self._done.append(item)

    def _bad(self, message: str) -> Malformed:
        return Malformed(message)

    def _then(self, step: Step, items: list[object] | tuple[object, ...]) -> None:
        """Visit `items`, then take `step`."""
        self._todo.append((False, step))
        self._todo.extend([(True, item) for item in reversed(items)])

    def _take(self, count: int) -> list[Any]:
        if not count:
            return []
        taken = self._done[-count:]
        del self._done[-count:]
        return taken

    # References

    def _number(self, obj: Object) -> int:
        """The id of an object, 0 for none."""
        if "id" not in obj:
            return 0
        number = obj["id"]
        if type(number) is not int or number < 1 or number in self._ids:
            raise self._bad("an id must be a whole number above 0, given once")
        return number

    def _begin(self, number: int, made: object) -> None:
        """`made` exists from now on, and is not complete."""
        if number:
            self._ids[number] = made
            self._open[number] = self._barriers

    def _end(self, number: int) -> None:
        self._open.pop(number, None)

    def _finish(self, number: int, made: object) -> None:
        """`made` exists, and is complete."""
        if number:
            self._ids[number] = made
        self._done.append(made)

    def _ref(self, obj: Object) -> None:
        number = obj["ref"]
        if type(number) is not int or number not in self._ids:
            raise self._bad("a reference to an object that does not exist, or not yet")
        found = self._ids[number]
        if type(found) is _Unmade:
            if found.barriers != self._barriers:
                raise self._bad("an argument of a call holds an object that is not complete")
            self._unmade += 1
        elif self._open.get(number, self._barriers) != self._barriers:
            # SECURITY: a call would see it half filled, and everybody after it sees the rest.
            self._nodes.program.touched[id(found)] = _LATER
        self._done.append(found)

    def _refused(self, items: list[Any] | tuple[Any, ...]) -> None:
        """Require that no element is unmade."""
        if self._unmade and any(type(item) is _Unmade for item in items):
            raise self._bad("an object holds itself where nothing could build it")

    def _promised(self, container: Any, items: list[Any], keys: list[Any] | range) -> None:
        """Note the places of unmade elements in `container`."""
        if self._unmade:
            for key, item in zip(keys, items, strict=True):
                if type(item) is _Unmade:
                    item.places.append((container, key))
                    self._unmade -= 1

    # Containers

    def _filled_list(self, items: list[object], number: int) -> None:
        """A list: the one that was parsed, its elements replaced by what they stand for."""
        self._begin(number, items)
        kinds = set(map(type, items))
        if kinds <= _SCALARS:
            if str in kinds:
                for item in items:
                    if type(item) is str:
                        self._nodes.literal(item, self._at)
            self._end(number)
            self._done.append(items)
            return

        def fill() -> None:
            items[:] = self._take(len(items))
            self._promised(items, items, range(len(items)))
            self._end(number)
            self._done.append(items)

        self._then(fill, items)

    def _list(self, obj: Object) -> None:
        self._filled_list(self._array(obj, "list"), self._number(obj))

    def _array(self, obj: Object, tag: str) -> list[object]:
        found = obj[tag]
        if type(found) is not list:
            raise self._bad(f"the value of {tag!r} must be an array")
        return found

    def _map(self, obj: Object) -> None:
        items, number = obj["map"], self._number(obj)
        if type(items) is not Object:
            raise self._bad("the value of 'map' must be an object")
        made: dict[object, object] = dict.fromkeys(items)
        for key in items:
            self._nodes.literal(key, self._at)
        self._begin(number, made)

        def fill() -> None:
            values = self._take(len(made))
            keys = list(made)
            made.update(zip(keys, values, strict=True))
            self._promised(made, values, keys)
            self._end(number)
            self._done.append(made)

        self._then(fill, list(items.values()))

    def _dict(self, obj: Object) -> None:
        items, number = self._array(obj, "dict"), self._number(obj)
        flat: list[object] = []
        for pair in items:
            if type(pair) is not list or len(pair) != 2:
                raise self._bad("the value of 'dict' must hold pairs")
            flat += pair
        made: dict[object, object] = {}
        self._begin(number, made)

        def fill() -> None:
            taken = self._take(len(flat))
            keys, values = taken[::2], taken[1::2]
            self._hashable(keys)
            made.update(zip(keys, values, strict=True))
            if len(made) != len(keys):
                raise self._bad("a dict holds one key twice")
            self._promised(made, values, keys)
            self._end(number)
            self._done.append(made)

        self._then(fill, flat)

    def _hashable(self, keys: list[Any]) -> None:
        """Require keys that are complete and can be hashed at a bounded price."""
        self._refused(keys)
        for key in keys:
            self._keys.check(key, self._at)

    def _set(self, obj: Object) -> None:
        items, number = self._array(obj, "set"), self._number(obj)
        made: set[object] = set()
        self._begin(number, made)

        def fill() -> None:
            made.update(self._distinct(len(items)))
            self._end(number)
            self._done.append(made)

        self._then(fill, items)

    def _distinct(self, count: int) -> frozenset[object]:
        taken = self._take(count)
        self._hashable(taken)
        made = frozenset(taken)
        if len(made) != count:
            raise self._bad("a set holds one element twice")
        return made

    def _frozen(self, obj: Object) -> None:
        if "tuple" in obj:
            items = self._array(obj, "tuple")
        else:
            items = self._array(obj, "frozenset")
        number = self._number(obj)
        unmade = _Unmade(self._barriers)
        if number:
            self._ids[number] = unmade

        def fill() -> None:
            if "tuple" in obj:
                taken = self._take(len(items))
                self._refused(taken)
                made: object = tuple(taken)
            else:
                made = self._distinct(len(items))
            for container, key in unmade.places:
                container[key] = made
            self._finish(number, made)

        self._then(fill, items)

    # Scalars that JSON does not have

    def _str(self, obj: Object) -> None:
        found = obj["str"]
        if type(found) is not str:
            raise self._bad("the value of 'str' must be a string")
        self._nodes.literal(found, self._at)
        self._finish(self._number(obj), found)

    def _int(self, obj: Object) -> None:
        self._finish(self._number(obj), integer(obj["int"], self._limits))

    def _float(self, obj: Object) -> None:
        self._done.append(real(obj["float"]))

    def _bytes(self, obj: Object) -> None:
        tag = "bytes" if "bytes" in obj else "bytearray"
        data = binary(obj[tag])
        self._nodes.literal(data, self._at)
        self._finish(self._number(obj), data if tag == "bytes" else bytearray(data))

    def _bytes_of(self, obj: Object) -> None:
        tag = "bytes_of" if "bytes_of" in obj else "bytearray_of"
        number = self._number(obj)
        data = self._nodes.content(obj[tag], self._at)
        self._finish(number, data if tag == "bytes_of" else bytearray(data))

    # Nodes

    def _name(self, obj: Object) -> None:
        self._done.append(self._nodes.named(obj["name"], self._at))

    def _tensor(self, obj: Object) -> None:
        self._finish(self._number(obj), self._nodes.tensor(obj))

    def _every(self, obj: Object) -> None:
        self._done.append(self._nodes.every(obj))

    def _storage(self, obj: Object) -> None:
        self._finish(self._number(obj), self._nodes.storage(obj))

    def _dropped(self, obj: Object) -> None:
        self._done.append(self._nodes.drop(obj))

    def _call(self, obj: Object) -> None:
        args = self._array(obj, "args") if "args" in obj else []
        changes = self._array(obj, "changes") if "changes" in obj else []
        number = self._number(obj)
        self._barriers += 1

        def called() -> None:
            taken = tuple(self._take(len(args)))
            self._at = obj.offset
            self._refused(taken)
            self._barriers -= 1
            made = self._nodes.call(obj["call"], obj.get("kind", "reduce"), taken, obj.offset)
            self._begin(number, made)
            self._todo.append((False, lambda: self._called(number, made)))
            for change in reversed(changes):
                self._change(made, change)

        self._then(called, args)

    def _called(self, number: int, made: Call) -> None:
        self._end(number)
        self._done.append(made)

    def _change(self, target: Call, change: object) -> None:
        if type(change) is not list or len(change) != 2:
            raise self._bad("a change is a kind and a payload")
        kind = known_change(change[0], self._at)
        every = kind == "setitem" and type(change[1]) is Object and "tensors" in change[1]
        uneven = kind == "setitem" and type(change[1]) is list and len(change[1]) % 2
        if kind != "build" and not every and (type(change[1]) is not list or uneven):
            raise self._bad(f"the payload of {kind!r} must be an array of elements, or of keys and values in turn")

        def apply() -> None:
            payload = self._done.pop()
            self._refused((payload,))
            if every and isinstance(payload, dict):
                payload = [part for pair in payload.items() for part in pair]
            self._nodes.change(target, kind, payload, target.offset)

        self._then(apply, (change[1],))


def _fields(*names: str) -> frozenset[str]:
    return frozenset((*names, "id"))


_TENSOR = _fields("tensor", "dtype", "shape", "stride", "offset", "requires_grad", "conj", "neg")
_TAGS: dict[str, tuple[Callable[[Objects, Object], None], frozenset[str]]] = {
    "tensor": (Objects._tensor, _TENSOR),
    "map": (Objects._map, _fields("map")),
    "call": (Objects._call, _fields("call", "kind", "args", "changes")),
    "tensors": (Objects._every, frozenset({"tensors"})),
    "ref": (Objects._ref, frozenset({"ref"})),
    "name": (Objects._name, frozenset({"name"})),
    "list": (Objects._list, _fields("list")),
    "dict": (Objects._dict, _fields("dict")),
    "tuple": (Objects._frozen, _fields("tuple")),
    "set": (Objects._set, _fields("set")),
    "frozenset": (Objects._frozen, _fields("frozenset")),
    "str": (Objects._str, _fields("str")),
    "int": (Objects._int, _fields("int")),
    "float": (Objects._float, frozenset({"float"})),
    "bytes": (Objects._bytes, _fields("bytes")),
    "bytearray": (Objects._bytes, _fields("bytearray")),
    "bytes_of": (Objects._bytes_of, _fields("bytes_of")),
    "bytearray_of": (Objects._bytes_of, _fields("bytearray_of")),
    "storage": (Objects._storage, _fields("storage", "untyped")),
    "dropped": (Objects._dropped, frozenset({"dropped"})),
}
"""tag -> what reads it, and the fields that may stand beside it."""
