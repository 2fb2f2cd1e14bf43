"""Sharded outputs: which tensor goes into which file, what the files are called, and the index over them.

The form is the one that transformers and huggingface_hub write and read: `model-00001-of-00003.safetensors` and so on,
and `model.safetensors.index.json` with `weight_map` and `metadata.total_size`. Knows names and sizes, reads no tensor.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from safeload.errors import Malformed, UsageError

SUFFIX = ".safetensors"
INDEX = ".index.json"
INDEX_BYTES = 256 << 20
"""The most that is read of an index; one with a million names has 100 MB."""

_UNITS = {"": 1, "B": 1, **{f"{p}B": 1000**n for n, p in enumerate("KMGT", 1)}}
_UNITS |= {f"{p}IB": 1024**n for n, p in enumerate("KMGT", 1)}


def parse_size(size: int | str) -> int:
    """Bytes of "5GB" (10^9), "5GiB" (2^30) or a number. Raises UsageError."""
    match = re.fullmatch(r"\s*([0-9]{1,15})(\.[0-9]{1,6})?\s*([A-Za-z]*)\s*", str(size))
    unit = _UNITS.get(match[3].upper()) if match else None
    if match is None or unit is None or not (found := int(float(match[1] + (match[2] or "")) * unit)):
        raise UsageError(f"a size is a number of bytes, or one with a unit as in 5GB or 500MiB, not {size!r}")
    return found


def split(sizes: Mapping[str, int], most: int) -> tuple[tuple[str, ...], ...]:
    """The names of each shard, in the order of `sizes` (name -> bytes). A tensor larger than `most` has its own shard.

    Source: huggingface_hub `split_state_dict_into_shards_factory`; tied names are no keys of `sizes`.
    """
    shards: list[tuple[str, ...]] = []
    current: list[str] = []
    filled = 0
    for name, size in sizes.items():
        if size > most:
            shards.append((name,))
            continue
        if current and filled + size > most:
            shards.append(tuple(current))
            current, filled = [], 0
        current.append(name)
        filled += size
    if current or not shards:
        shards.append(tuple(current))
    return tuple(shards)


def stem(dst: str) -> str:
    """What the names of all files of a sharded output begin with: `dst` without `.safetensors` (`.index.json`)."""
    return dst.removesuffix(INDEX).removesuffix(SUFFIX)


def shard_names(dst: str, count: int) -> tuple[str, ...]:
    """The paths of the shards of `dst`."""
    return tuple(f"{stem(dst)}-{number:05d}-of-{count:05d}{SUFFIX}" for number in range(1, count + 1))


def index_name(dst: str) -> str:
    """The path of the index of `dst`."""
    return f"{stem(dst)}{SUFFIX}{INDEX}"


def index_text(weight_map: Mapping[str, str], total_size: int, metadata: Mapping[str, str]) -> str:
    """The index, as transformers writes it: names in order, indented. `weight_map`: tensor -> file name."""
    document = {"metadata": {"total_size": total_size, **metadata}, "weight_map": dict(sorted(weight_map.items()))}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


class Index(NamedTuple):
    """An index as read.

    weight_map  tensor -> file name;  files: each once, in order of first mention
    metadata    its texts (`total_size`, a number, is left out)
    """

    weight_map: Mapping[str, str]
    files: tuple[str, ...]
    metadata: Mapping[str, str]


def read_index(path: str) -> Index:
    """The index at `path`. Raises Malformed for what is none, and for a file name that is more than a name.

    SECURITY: the names come from whoever made the folder. What leads out of it ("../x", "/etc/x", "a/../../x", a drive)
    would have any file of this machine read, and written beside.
    """
    with open(path, "rb") as file:
        raw = file.read(INDEX_BYTES + 1)
    shown = ascii(os.path.basename(path))[1:-1]
    if len(raw) > INDEX_BYTES:
        raise Malformed(f"{shown} is larger than an index can be")
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
    return Index(found, files, {key: value for key, value in texts if type(value) is str})


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


def joined(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Several tensor -> file name maps as one. Raises Malformed when two files hold a tensor of one name."""
    found: dict[str, str] = {}
    for part in maps:
        for name, file in part.items():
            if name in found:
                raise Malformed(f"{name[:200]!a} is in two shards: {found[name]} and {file}")
            found[name] = file
    return found
