"""YAML that names Python objects: PyYAML's unsafe loaders import them, and call what the text says.

Looks at the tags in the events of PyYAML's parser, and constructs nothing. YAML without such tags is no container.
Semantics: yaml/constructor.py of PyYAML (`FullConstructor`, `UnsafeConstructor`): `tag:yaml.org,2002:python/...`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from safeload.containers.interface import ContainerLayout, ImportedName, Reading
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
# A text with such a tag has one of these in it: the handle `!!`, a tag in full, or a handle that it defines.
_TAGGED = re.compile(rb"!!(?:p|%)|!<|%TAG[ \t]|![\w-]+!")
_PIECE = 1 << 20
_DEPTH = 500


class YamlFile:
    """See the module."""

    name = "yaml"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`. SECURITY: also a text that could hold such a tag and is too large to parse."""
        limits = Limits()
        # A reader takes at least this much at once, and refuses it as a whole if it is no text: nothing is built then.
        head = source.peek(0, 4096)
        # A text in UTF-16 has a byte order mark, and letters of two bytes.
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
            yield ImportedName(
                module or "builtins",
                last,
                "PyYAML's unsafe loader imports it",
                "",
                offset,
                f"python/{kind}:{name[:200]}",
            )
        return ContainerLayout(metadata={"kind": "yaml"})


def _pieces(source: Source) -> Iterator[bytes]:
    """The text in pieces that overlap, so that no tag is cut in two."""
    for at in range(0, source.size, _PIECE):
        yield source.peek(at, _PIECE + 64)


def _tags(data: bytes) -> Iterator[tuple[str, str, int]]:
    """(kind, name, offset) of each tag for a Python object, up to the first error in the YAML.

    A loader of several documents has built those before the error, so an error only ends the walk.
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
