"""The leaves of a JSON text, each with its path: for tables that name exact places. Builds no tree.

A leaf is a string, a number, a word, or an empty object or list. Raises what `json_text.events` raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from safeload.containers.text.json_text import Event, EventKind, events
from safeload.errors import Malformed
from safeload.limits import Limits


class JsonLeaf(NamedTuple):
    """One leaf: `path` holds a str for each key and an int for each place in a list."""

    path: tuple[str | int, ...]
    event: Event


def leaves(data: bytes, limits: Limits) -> Iterator[JsonLeaf]:
    """Every leaf of `data`, in order. Raises Malformed for an object with a key twice: readers differ about it."""
    path: list[str | int] = []
    places: list[int] = []  # for each open list the place in it, -1 before the first item; -1 for an open object
    seen: list[set[str]] = []  # for each open object its keys so far; empty for a list
    lists: list[bool] = []
    empty = False
    for event in events(data, limits):
        if event.kind is EventKind.KEY:
            key = str(event.value)
            if key in seen[-1]:
                raise Malformed(f"the key {key[:100]!r} stands twice in one object", offset=event.offset)
            seen[-1].add(key)
            path[-1] = key
            empty = False
            continue
        if event.kind in (EventKind.OBJECT_END, EventKind.ARRAY_END):
            for stack in (path, places, seen, lists):
                stack.pop()
            if not empty:
                continue
        elif lists and lists[-1]:
            places[-1] += 1
            path[-1] = places[-1]
        empty = event.kind in (EventKind.OBJECT, EventKind.ARRAY)
        if empty:
            path.append("")
            places.append(-1)
            seen.append(set())
            lists.append(event.kind is EventKind.ARRAY)
        else:
            yield JsonLeaf(tuple(path), event)
