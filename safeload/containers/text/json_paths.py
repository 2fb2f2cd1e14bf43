"""The leaves of a JSON text, each with the way to it: for tables that name exact places. Builds no tree.

A leaf is a string, number, word, or an object or list that holds nothing. Raises what `json_text.events` raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from safeload.containers.text.json_text import Event, Kind, events
from safeload.errors import Malformed
from safeload.limits import Limits


class Leaf(NamedTuple):
    """One leaf: `path` holds a str for each key and an int for each place in a list."""

    path: tuple[str | int, ...]
    event: Event


def leaves(data: bytes, limits: Limits) -> Iterator[Leaf]:
    """Every leaf of `data` in its order. An object that gives a key twice is Malformed: readers would differ."""
    path: list[str | int] = []
    places: list[int] = []  # for each open container the place in the list, -1 for none yet and for objects
    seen: list[set[str]] = []  # ... and the keys of the object
    lists: list[bool] = []
    empty = False
    for event in events(data, limits):
        if event.kind is Kind.KEY:
            key = str(event.value)
            if key in seen[-1]:
                raise Malformed(f"the key {key[:100]!r} stands twice in one object", offset=event.offset)
            seen[-1].add(key)
            path[-1] = key
            empty = False
            continue
        if event.kind in (Kind.OBJECT_END, Kind.ARRAY_END):
            for stack in (path, places, seen, lists):
                stack.pop()
            if not empty:
                continue
        elif lists and lists[-1]:
            places[-1] += 1
            path[-1] = places[-1]
        empty = event.kind in (Kind.OBJECT, Kind.ARRAY)
        if empty:
            path.append("")
            places.append(-1)
            seen.append(set())
            lists.append(event.kind is Kind.ARRAY)
        else:
            yield Leaf(tuple(path), event)
