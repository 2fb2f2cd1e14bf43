"""YAML that names Python objects: its loader without a fence imports them and calls what the text says.

Found by the tags of the text's events, which are parsed and never constructed. YAML without such tags is no container.
Semantics: yaml/constructor.py of PyYAML (`FullConstructor`, `UnsafeConstructor`): `tag:yaml.org,2002:python/...`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from safeload.containers.interface import Layout, Named, Reading
from safeload.errors import LimitExceeded, Malformed
from safeload.findings import Finding, Severity, Verdict
from safeload.limits import Limits
from safeload.source import Source

_PYTHON = "tag:yaml.org,2002:python/"
# Tags that stand for plain values.
_PLAIN = frozenset(
    ["none", "bool", "str", "unicode", "bytes", "int", "long", "float", "complex", "list", "tuple", "dict"]
)
_NAMING = frozenset(["name", "module", "object", "object/new", "object/apply"])
# What a text with such a tag has in it, in any spelling: the handle `!!`, a tag in full, or a handle of its own.
_TAGGED = re.compile(rb"!!(?:p|%)|!<|%TAG[ \t]|![\w-]+!")
_PIECE = 1 << 20
_DEPTH = 500


class YamlFile:
    """See the module."""

    name = "yaml"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. SECURITY: a text too large to be parsed is one when it could hold such a tag."""
        limits = Limits()
        # The least that a reader takes at once, and looks through before it acts on any of it.
        head = source.peek(0, 4096)
        # Texts in UTF-16 have a mark, and letters of two bytes.
        wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
        if b"\0" in head and not wide:
            return False
        if not wide and not any(_TAGGED.search(piece) for piece in _pieces(source)):
            return False
        if source.size > limits.yaml_bytes:
            return not wide and any(b"python" in piece or b"%" in piece for piece in _pieces(source))
        try:
            return next(_tags(source.peek(0, source.size)), None) is not None
        except (Malformed, LimitExceeded):
            return False

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        if source.size > limits.yaml_bytes:
            raise LimitExceeded(f"a YAML of {source.size} bytes that may name Python objects", limit="yaml_bytes")
        yield Finding(
            "yaml-python", Verdict.UNVETTED, Severity.MEDIUM,
            "a YAML that names Python objects: yaml.load without a safe loader imports and calls them",
            "read it with yaml.safe_load, which refuses such tags", offset=0,
        )  # fmt: skip
        for kind, name, offset in _tags(source.read(0, source.size)):
            if kind not in _NAMING:
                yield Finding(
                    "yaml-python", Verdict.UNJUDGED, Severity.MEDIUM,
                    f"a tag of PyYAML's that is not known here: python/{kind[:60]}",
                    "read it with yaml.safe_load, which refuses such tags", offset=offset,
                )  # fmt: skip
                continue
            module, _, last = name.rpartition(".")
            if kind == "module":
                module, last = name, "*"
            yield Named(
                module or "builtins",
                last,
                "PyYAML's unsafe loader imports it",
                "",
                offset,
                f"python/{kind}:{name[:200]}",
            )
        return Layout(metadata={"kind": "yaml"})


def _pieces(source: Source) -> Iterator[bytes]:
    """The text in pieces that overlap, so that no tag falls between two."""
    for at in range(0, source.size, _PIECE):
        yield source.peek(at, _PIECE + 64)


def _tags(data: bytes) -> Iterator[tuple[str, str, int]]:
    """(kind, name, offset) of each tag for a Python object, up to where the text is no YAML any more.

    A loader of several documents builds those before the mistake, so an error ends the walk and is none.
    """
    import yaml

    depth = 0
    try:
        events: Any = yaml.parse(data, Loader=yaml.SafeLoader)
        for event in events:
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEPTH:
                raise LimitExceeded(f"a YAML nested more than {_DEPTH} deep", limit="depth")
            tag = getattr(event, "tag", None)
            if not isinstance(tag, str):
                continue
            tag = unquote(tag)
            if tag.startswith(_PYTHON):
                kind, _, name = tag.removeprefix(_PYTHON).partition(":")
                if kind not in _PLAIN:
                    yield kind, name, event.start_mark.index
    except (yaml.YAMLError, RecursionError, ValueError):
        return
