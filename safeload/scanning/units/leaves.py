"""Reads the values of a JSON or YAML file of a folder, each with the keys that lead to it. Builds no tree, no object.

When a key stands twice in an object, both pairs count: loaders differ in which of them they take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from safeload.containers.text import json_text
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.scanning.units.interface import Folder

if TYPE_CHECKING:
    from yaml.events import Event

_ORDINARY = "tag:yaml.org,2002:"
_PYTHON = _ORDINARY + "python/"


class Leaf(NamedTuple):
    """One value that holds no other.

    keys    from the root: a str for the key of a pair, an int for the place in a list
    value   a text, a truth value, or None for everything else (numbers, null, what an alias repeats)
    offset  in bytes of a JSON, in letters of a YAML
    tag     YAML: the tag of a value that is not of YAML's own types; such a value may be a whole mapping
    """

    keys: tuple[str | int, ...]
    value: str | bool | None
    offset: int
    tag: str = ""

    def below(self, *names: str) -> bool:
        """Whether one of the keys on the way is one of `names`."""
        return any(key in names for key in self.keys if type(key) is str)

    @property
    def last(self) -> str:
        """The nearest key that is a text."""
        return next((key for key in reversed(self.keys) if type(key) is str), "")


class Level:
    """One open mapping or list on the way: the key or place that its next value has."""

    __slots__ = ("key", "pairs")

    def __init__(self, *, pairs: bool) -> None:
        self.pairs = pairs
        self.key: str | int | None = None if pairs else 0

    def advance(self) -> None:
        """A value of this level is complete."""
        if self.pairs:
            self.key = None
        elif isinstance(self.key, int):
            self.key += 1


def content(folder: Folder, name: str, most: int, limit: str) -> bytes:
    """All bytes of `name`. Raises LimitExceeded above `most`, whose name is `limit`, and InputError."""
    source = folder.open(name)
    try:
        if source.size > most:
            raise LimitExceeded(f"{name} has {source.size} bytes", limit=limit)
        return source.read(0, source.size)
    finally:
        source.close()


def text_of(folder: Folder, name: str, most: int, limit: str) -> str:
    """All of `name` as the text in UTF-8 that it must be."""
    try:
        return content(folder, name, most, limit).decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"{name} is no text in UTF-8", offset=error.start) from error


def json_leaves(folder: Folder, name: str, limits: Limits) -> Iterator[Leaf]:
    """The leaves of the JSON `name`. Raises Malformed where Python's reader of JSON would refuse it."""
    levels: list[Level] = []
    for event in json_text.events(content(folder, name, limits.json_bytes, "json_bytes"), limits):
        if event.kind is json_text.EventKind.KEY:
            levels[-1].key = str(event.value)
        elif event.kind in (json_text.EventKind.OBJECT, json_text.EventKind.ARRAY):
            levels.append(Level(pairs=event.kind is json_text.EventKind.OBJECT))
        else:
            if event.kind in (json_text.EventKind.OBJECT_END, json_text.EventKind.ARRAY_END):
                levels.pop()
            else:
                value = None if event.kind is json_text.EventKind.NUMBER else event.value
                yield Leaf(_keys(levels), value, event.offset)
            if levels:
                levels[-1].advance()


def yaml_leaves(folder: Folder, name: str, limits: Limits) -> Iterator[Leaf]:
    """The leaves of every document in the YAML `name`: what PyYAML's parser gives, before it makes any object.

    An alias of a text is that text; what another alias repeats was given at its anchor. Raises Malformed where the
    parser refuses it.
    """
    import yaml

    data = content(folder, name, limits.yaml_bytes, "yaml_bytes")
    try:
        yield from _YamlWalk(name, limits).leaves(yaml.parse(data, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or getattr(error, "reason", None) or type(error).__name__
        raise Malformed(
            f"{name} cannot be read as YAML: {str(reason)[:200]}", offset=mark.index if mark else None
        ) from error
    except (UnicodeError, ValueError, RecursionError) as error:
        if isinstance(error, Malformed | LimitExceeded):
            raise
        raise Malformed(f"{name} cannot be read as YAML ({type(error).__name__})") from error


class _YamlWalk:
    """Where the walk through the events of one YAML stands."""

    def __init__(self, name: str, limits: Limits) -> None:
        self._name = name
        self._depth = limits.depth
        self._levels: list[Level] = []
        self._anchors: dict[str, str | None] = {}

    def leaves(self, events: Any) -> Iterator[Leaf]:
        """The leaves; `events` comes from PyYAML."""
        from yaml import events as kinds

        for event in events:
            if isinstance(event, kinds.CollectionStartEvent):
                yield from self._open(event, pairs=isinstance(event, kinds.MappingStartEvent))
            elif isinstance(event, kinds.CollectionEndEvent):
                self._levels.pop()
                self._close()
            elif isinstance(event, kinds.ScalarEvent):
                text = str(event.value)
                if event.anchor:
                    self._anchors[event.anchor] = text
                yield from self._value(text, event)
            elif isinstance(event, kinds.AliasEvent):
                yield from self._value(self._repeated(event), event)

    def _open(self, event: Event, *, pairs: bool) -> Iterator[Leaf]:
        if len(self._levels) >= self._depth:
            raise LimitExceeded(f"{self._name} is nested too deeply", limit="depth", offset=_place(event))
        if self._levels and self._levels[-1].key is None:
            # A list or mapping as the key of a pair: no configuration that a loader reads has one.
            raise Malformed(f"{self._name} has a key that is no text", offset=_place(event))
        if anchor := getattr(event, "anchor", None):
            self._anchors[anchor] = None
        if tag := _odd(event):
            yield Leaf(_keys(self._levels), None, _place(event), tag)
        self._levels.append(Level(pairs=pairs))

    def _value(self, text: str | None, event: Event) -> Iterator[Leaf]:
        level = self._levels[-1] if self._levels else None
        if level is not None and level.key is None:
            if text is None:
                raise Malformed(f"{self._name} has a key that is no text", offset=_place(event))
            level.key = text
            return
        yield Leaf(_keys(self._levels), text, _place(event), _odd(event))
        self._close()

    def _repeated(self, event: Any) -> str | None:
        if event.anchor not in self._anchors:
            raise Malformed(f"{self._name} repeats an anchor that it has not set", offset=_place(event))
        return self._anchors[event.anchor]

    def _close(self) -> None:
        if self._levels:
            self._levels[-1].advance()


def python_tag(tag: str) -> str:
    """The dotted name that a tag of PyYAML for Python objects would resolve and call, "" for another tag."""
    if not tag.startswith(_PYTHON):
        return ""
    kind, _, name = tag[len(_PYTHON) :].partition(":")
    return name if kind.startswith(("object", "name", "module")) else ""


def _odd(event: Event) -> str:
    tag = getattr(event, "tag", None) or ""
    return tag if tag not in ("", "!") and (not tag.startswith(_ORDINARY) or tag.startswith(_PYTHON)) else ""


def _place(event: Event) -> int:
    return event.start_mark.index if event.start_mark else 0


def _keys(levels: list[Level]) -> tuple[str | int, ...]:
    return tuple(level.key for level in levels if level.key is not None)
