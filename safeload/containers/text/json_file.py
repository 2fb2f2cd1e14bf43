"""JSON that holds pickles as base64 text. The scanner judges each as a file of its own. Other JSON is no container.

stable-baselines3 saves so what JSON cannot hold. The text need not be valid JSON to its last byte: it counts what the
most lenient reader would find.
"""

from __future__ import annotations

import re

from safeload.containers.interface import ContainerLayout, Nested, Reading
from safeload.document.document import Extent
from safeload.errors import LimitExceeded, Malformed
from safeload.limits import Limits
from safeload.source import Source

_HEAD, _PIECE = 1 << 12, 1 << 16
_BLANK = b" \t\r\n\0"
_STARTS = (b"{", b"[", b'"')
# Strings at the start, and what follows them, unless a lenient reader of JSON would go on there.
_TEXTS = re.compile(
    rb'[ \t\r\n]*+(?:"(?:[^"\\]++|\\.)*+"[ \t\r\n,\0]*+)++(?=[^{}\[\]":,\d\-])(?!true|false|null|NaN|Infinity)',
    re.DOTALL,
)
_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")


class JsonFile:
    """See the module."""

    name = "json"

    def recognise(self, source: Source) -> bool:
        """See `Container.recognise`."""
        if not _starts_like_json(source):
            return False
        limits = Limits()
        if source.size > limits.json_bytes:
            return True  # `read` then reports that it is too large
        from safeload.containers.text.embedded_json import may_hold_pickles, pickles_in_json

        data = source.peek(0, source.size)
        # The docstring of a Python module looks like three JSON strings, two of them empty. Every reader stops there.
        if _TEXTS.match(data):
            return False
        if not may_hold_pickles(data):
            return False
        try:
            return next(iter(pickles_in_json(data, "", limits)), None) is not None
        except LimitExceeded:
            return True
        except Malformed:
            return False  # no text in any encoding of JSON

    def read(self, source: Source, limits: Limits) -> Reading:
        """See `Container.read`."""
        from safeload.containers.text.embedded_json import EmbeddedPickle, pickles_in_json

        if source.size > limits.json_bytes:
            raise LimitExceeded(f"a JSON text of {source.size} bytes", limit="json_bytes")
        for found in pickles_in_json(source.read(0, source.size), "", limits):
            if isinstance(found, EmbeddedPickle):
                extent = Extent(0, source.size, len(found.data), stored=False)
                # Base64 of a text may be a pickle of protocol 0 to a loader, and is just a text to others.
                yield Nested(f"#{found.key}", extent, found.data, skippable=found.text, raw=found.raw)
            else:
                yield found
        return ContainerLayout(metadata={"kind": "json"})


def _starts_like_json(source: Source) -> bool:
    """Whether the text begins with a letter of JSON, after any number of blanks."""
    at = 0
    while at < source.size:
        # A small piece first: few files begin with more blanks.
        piece = source.peek(at, _PIECE if at else _HEAD)
        if at == 0 and piece.startswith(_MARKS):
            return True
        rest = piece.lstrip(_BLANK)
        if rest:
            return rest.startswith(_STARTS)
        # In UTF-16 a blank has a zero beside it. A piece of zeros alone is no text, and the file may be of any length.
        if not piece.strip(b"\0"):
            return False
        at += len(piece)
    return False
