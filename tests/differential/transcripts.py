"""What an unpickler did, as lines of text that two processes can compare: effects in order, value, containers.

Sharing and cycles are spelled too: a container has the number of its first mention, an object the number of the effect
that made it. Every walk is iterative, and a part that is shared is spelled once. Needs nothing but the standard library
of CPython 3.8, because other versions run it too.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Any

# A spelling longer than this is replaced by its digest: tuples that share their parts would double at each level.
LONGEST = 120
_MADE = {"global": 3, "call": 4, "persistent": 2, "Extension": 1, "Buffer": 1}
"""Where in a line of the log the object is that it made."""
EXTENSIONS = "\0extensions"
"""The module in which the child registers extension codes, under their numbers; no input can spell it."""


class Transcript:
    """`effects` one line for each, `rest` the value and what every container held in the end, `made` the objects."""

    def __init__(self, log: list[tuple[Any, ...]], value: Any, whole: bool) -> None:
        self.made: list[Any] = []
        self._nodes: dict[int, str] = {}
        log = self._numbered(log)
        self._containers: dict[int, str] = {}
        self._queue: list[Any] = []
        self._spelled: dict[int, str] = {}
        self._kept: list[Any] = []
        self.effects: list[str] = []
        for entry in log:
            self._effect(entry)
        self.rest: list[str] = []
        if whole:
            self.rest.append("value " + self.key(value))
            for container in self._queue:
                self.rest.append(self._content(container))

    def _numbered(self, log: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Number what was made; CPython looks an extension code up once, so that the second use of it is no effect."""
        kept: list[tuple[Any, ...]] = []
        codes: dict[int, str] = {}
        for entry in log:
            if entry[0] in _MADE:
                node = entry[_MADE[entry[0]]]
                if entry[0] == "Extension":
                    if node.code in codes:
                        self._nodes[id(node)] = codes[node.code]
                        continue
                    codes[node.code] = f"N{len(self.made)}"
                self._nodes[id(node)] = f"N{len(self.made)}"
                self.made.append(node)
            kept.append(entry)
        return kept

    def _effect(self, entry: tuple[Any, ...]) -> None:
        kind = entry[0]
        if kind == "global" and entry[1] == EXTENSIONS:
            self.effects.append("extension " + entry[2])
        elif kind == "Extension":
            self.effects.append(f"extension {entry[1].code}")
        elif kind == "global":
            self.effects.append(f"global {self.key(entry[1])} {self.key(entry[2])}")
        elif kind == "call":
            self.effects.append(f"call {self.key(entry[1])} {self.key(entry[2])} {self._keywords(entry[3])}")
        elif kind == "append":
            # one line an item: some versions give a list of them to extend, some each to append
            self.effects.extend(f"append {self.key(entry[1])} {self.key(item)}" for item in entry[2])
        elif kind == "Buffer":
            self.effects.append(kind)
        else:
            parts = entry[1:2] if kind == "persistent" else entry[1:]
            self.effects.append(" ".join([kind, *(self.key(part) for part in parts)]))

    def _keywords(self, kwargs: Any) -> str:
        if type(kwargs) is not dict:
            return self.key(kwargs) if kwargs is not None else ""
        return " ".join(f"{self.key(k)}={self.key(v)}" for k, v in kwargs.items())

    def _content(self, container: Any) -> str:
        name = self._containers[id(container)]
        if type(container) is dict:
            parts = [f"{self.key(k)}: {self.key(v)}" for k, v in container.items()]
        elif type(container) is bytearray:
            parts = [bytes(container).hex()]
        else:
            parts = [self.key(part) for part in container]
            if type(container) is set:
                parts.sort()
        return name + " " + _short(", ".join(parts), 4000)

    def key(self, value: Any) -> str:
        """The spelling of one value; what containers hold is spelled later."""
        plain = self._known(value)
        if plain is not None:
            return plain
        pending = [value]
        while pending:
            part = pending[-1]
            missing = [x for x in part if self._known(x) is None]
            if missing:
                pending.extend(reversed(missing))
                continue
            pending.pop()
            if id(part) not in self._spelled:
                keys = [self._known(x) or "" for x in part]
                text = "(" + ",".join(keys) + ")" if type(part) is tuple else "{" + ",".join(sorted(keys)) + "}"
                self._spelled[id(part)] = _short(text, LONGEST)
                self._kept.append(part)
        return self._spelled[id(value)]

    def _known(self, value: Any) -> str | None:
        """The spelling of whatever needs no walk, None for a tuple or frozenset not met yet."""
        kind = type(value)
        if kind is str:
            return _short(ascii(value), LONGEST)
        if kind is int or kind is bool or value is None:
            return _short(repr(value) if kind is not int or abs(value) < 1 << 64 else hex(value), LONGEST)
        if kind is float:
            return "f" + struct.pack(">d", value).hex()
        if kind is bytes:
            return _short("b" + value.hex(), LONGEST)
        found = self._nodes.get(id(value)) or self._spelled.get(id(value))
        if found is not None or kind is tuple or kind is frozenset:
            return found
        if kind in (list, dict, set, bytearray):
            if id(value) not in self._containers:
                self._containers[id(value)] = f"{kind.__name__}{len(self._containers)}"
                self._queue.append(value)
            return self._containers[id(value)]
        return "?" + kind.__name__


def _short(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return "#" + hashlib.sha1(text.encode("utf-8", "surrogatepass")).hexdigest()


def containers_in(values: Any) -> list[Any]:
    """Every list, dict, set and bytearray that can be reached from `values`, up to a bound that no case needs."""
    seen: dict[int, Any] = {}
    found: list[Any] = []
    pending = [values]
    while pending and len(seen) < 1000:
        part = pending.pop()
        kind = type(part)
        if kind not in (list, tuple, dict, set, frozenset, bytearray) or id(part) in seen:
            continue
        seen[id(part)] = part
        if kind in (list, dict, set, bytearray):
            found.append(part)
        if kind is dict:
            pending.extend(part.keys())
            pending.extend(part.values())
        elif kind is not bytearray:
            pending.extend(part)
    return found
