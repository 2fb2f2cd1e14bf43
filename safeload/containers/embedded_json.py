"""Pickles that stand as base64 text inside JSON, as stable-baselines3 saves what JSON cannot hold.

Finds them and decodes them as their loader would; judges nothing. Reads text that is in memory already.

Semantics: stable_baselines3/common/save_util.py (`json_to_data`): `base64.b64decode(item[":serialized:"])`, which skips
characters outside the alphabet.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator

from safeload.errors import Malformed

_SERIALIZED = ":serialized:"
_BASE64 = r"[A-Za-z0-9+/_\-\s]{16,}={0,2}\s*"
_STARTS = tuple(bytes((0x80, protocol)) for protocol in range(2, 6))


class _Pairs(tuple[tuple[str, object], ...]):
    """A JSON object with all of its pairs: a dict would keep the last of two equal keys only."""

    __slots__ = ()


def pickles_in_json(text: bytes) -> Iterator[tuple[str, bytes]]:
    """The (nearest key, decoded bytes) of each base64 pickle in `text`; nothing when `text` is no JSON.

    Raises Malformed when the JSON is nested too deeply to be read.
    """
    try:
        root: object = json.loads(text, object_pairs_hook=_Pairs)
    except ValueError:
        return
    except RecursionError as error:
        raise Malformed("the JSON is nested too deeply to be read") from error
    # Iterative, in the order of the text.
    stack: list[tuple[str, str, object]] = [("", "", root)]
    while stack:
        label, key, value = stack.pop()
        if isinstance(value, _Pairs):
            stack.extend(reversed([(k if not k.startswith(":") else label, k, v) for k, v in value]))
        elif isinstance(value, list):
            stack.extend(reversed([(label, key, v) for v in value]))
        elif isinstance(value, str):
            decoded = _decode(key, value)
            if decoded is not None:
                yield label[:100], decoded


def _decode(key: str, value: str) -> bytes | None:
    """What `value` decodes to when it is, or would be taken for, a pickle."""
    if key == _SERIALIZED:
        # SECURITY: without `validate`, as its loader decodes it: characters outside the alphabet are skipped there too.
        try:
            return base64.b64decode(value) or None
        except (binascii.Error, ValueError):
            return None
    if not re.fullmatch(_BASE64, value):
        return None
    try:
        decoded = base64.b64decode(value.translate({ord("-"): "+", ord("_"): "/"}))
    except (binascii.Error, ValueError):
        return None
    return decoded if decoded.startswith(_STARTS) else None
