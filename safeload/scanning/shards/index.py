"""Reads the index of a sharded checkpoint, the JSON text that says which tensor is in which file.

The form is that of transformers and huggingface_hub: an object with `weight_map` (tensor name -> file name) and
`metadata`. Opens nothing: `sets.py` checks what a name leads to on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from safeload.errors import Malformed

MARK = b'"weight_map"'
"""Every index has this somewhere in its text."""


class Index(NamedTuple):
    """An index as read.

    weight_map  tensor -> file name;  files: each once, in order of first mention
    metadata    its texts (`total_size`, a number, is left out)
    size, sha256  of the file itself, where the reader of the file gives them
    """

    weight_map: Mapping[str, str]
    files: tuple[str, ...]
    metadata: Mapping[str, str]
    size: int = 0
    sha256: str = ""


def parse_index(raw: bytes, shown: str) -> Index:
    """The index whose bytes are `raw`; messages call it `shown`.

    Raises Malformed for bytes that are no index, for a key that stands twice (readers differ in which they take), for
    text that is no Unicode, and for a file name that is more than a name.

    SECURITY: the maker of the folder chose the names. A name that leads out of it ("../x", "/etc/x", "a/../../x", a
    drive) would make safeload read any file of this machine, and write beside it.
    """
    try:
        document = json.loads(raw.decode("utf-8"), object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{shown} is no JSON: {str(error)[:200]}") from error
    found = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(found, dict) or not found or not all(type(name) is str for name in found.values()):
        raise Malformed(f"{shown} has no weight_map of tensor names to file names")
    files = tuple(dict.fromkeys(found.values()))
    for name in files:
        if not is_plain_name(name):
            raise Malformed(f"{shown} names the file {name[:200]!a}, which is not the plain name of a file beside it")
    metadata = document.get("metadata")
    texts = metadata.items() if isinstance(metadata, dict) else ()
    kept = {key: value for key, value in texts if type(value) is str}
    if b"\\u" in raw:
        _whole_characters((*found, *kept, *kept.values()), shown)
    return Index(found, files, kept)


def is_plain_name(name: str) -> bool:
    """Whether `name` is one component of a path on every system, and not hidden: no separator, no drive."""
    return (
        0 < len(name) <= 255
        and not set(name) & set('/\\:*?"<>|')
        and name.isprintable()
        and name.strip(". ") != ""
        and not name.startswith(".")
    )


def _no_repeats(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("one key stands twice in an object")
    return found


def _whole_characters(texts: Sequence[str], shown: str) -> None:
    """Raise Malformed for half of a surrogate pair, which is a str to Python and an error to every other reader."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise Malformed(f"{shown} holds text that is no Unicode: half of a surrogate pair") from error
