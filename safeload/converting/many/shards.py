"""Sharded outputs: which tensor goes into which file, what the files are called, and the index over them.

The form is the one that transformers and huggingface_hub write and read: `model-00001-of-00003.safetensors` and so on,
and `model.safetensors.index.json` with `weight_map` and `metadata.total_size`. Knows names and sizes, and reads
indexes and headers, no tensor.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from safeload.errors import InputError, InputNotFound, Malformed, UsageError, input_error
from safeload.inputs.walk import beside
from safeload.limits import Limits
from safeload.scanning.shards.index import Index, parse_index

SUFFIX = ".safetensors"
INDEX = ".index.json"
INDEX_BYTES = Limits().index_bytes
"""The most that is read of an index."""

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


_NUMBERED = re.compile(r"(.*-)([0-9]{1,9})(-of-)([0-9]{1,9})((?!.*-of-).*)", re.DOTALL)


def renumbered(names: Sequence[str], kept: Collection[str]) -> dict[str, str]:
    """File name -> its name in a set that holds `kept` alone of `names`: "-00003-of-00003" becomes "-00002-of-00002".

    Names without a number, and sets of which all is kept, stay as they are.
    """
    found = {name: name for name in names if name in kept}
    groups: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for name in names:
        if match := _NUMBERED.fullmatch(name):
            groups.setdefault((match[1], match[4], match[5]), []).append((int(match[2]), name))
    for group in groups.values():
        left = sorted((number, name) for number, name in group if name in kept)
        if len(left) == len(group):
            continue
        for number, (_, name) in enumerate(left, 1):
            match = _NUMBERED.fullmatch(name)
            if match is not None:
                width, total = len(match[2]), f"{len(left):0{len(match[4])}d}"
                found[name] = f"{match[1]}{number:0{width}d}{match[3]}{total}{match[5]}"
    return found


def index_name(dst: str) -> str:
    """The path of the index of `dst`."""
    return f"{stem(dst)}{SUFFIX}{INDEX}"


def index_text(weight_map: Mapping[str, str], total_size: int, metadata: Mapping[str, str]) -> str:
    """The index, as transformers writes it: names in order, indented. `weight_map`: tensor -> file name."""
    document = {"metadata": {"total_size": total_size, **metadata}, "weight_map": dict(sorted(weight_map.items()))}
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def read_index(path: str) -> Index:
    """The index at `path`, with its size and digest. Raises as `scanning.shards.index.parse_index` does."""
    with open(path, "rb") as file:
        raw = file.read(INDEX_BYTES + 1)
    shown = ascii(os.path.basename(path))[1:-1]
    if len(raw) > INDEX_BYTES:
        raise Malformed(f"{shown} is larger than an index can be")
    return parse_index(raw, shown)._replace(size=len(raw), sha256=hashlib.sha256(raw).hexdigest())


def read(path: str) -> Index:
    """See `read_index`; raises InputError too."""
    try:
        return read_index(path)
    except FileNotFoundError as error:
        raise InputNotFound(errno.ENOENT, os.strerror(errno.ENOENT), path) from error
    except OSError as error:
        raise InputError(error.errno, error.strerror, path) from error


def regular_inside(folder: str, names: tuple[str, ...]) -> list[str]:
    """The path of each shard. SECURITY: by the rules of a scan of the folder, which follows no link that leads out."""
    found = beside(folder, names)
    paths = []
    for name in names:
        target = found.get(name)
        if target is None:
            raise InputNotFound(errno.ENOENT, "is named by the index and is not there", os.path.join(folder, name))
        if target.problem is not None or target.skip:
            reason = target.skip or (target.problem.message if target.problem is not None else "")
            raise Malformed(f"the shard {name!a} is not read: {reason}")
        paths.append(os.path.join(folder, name))
    return paths


def joined(maps: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Several tensor -> file name maps as one. Raises Malformed when two files hold a tensor of one name."""
    found: dict[str, str] = {}
    for part in maps:
        for name, file in part.items():
            if name in found:
                raise Malformed(f"{name[:200]!a} is in two shards: {found[name]} and {file}")
            found[name] = file
    return found


def tensor_names(path: str) -> list[str]:
    """The names in a safetensors file, as the library reads them."""
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:
        return list(file.keys())


def file_metadata(path: str) -> dict[str, str]:
    """`__metadata__` of a safetensors file as the library reads it. Raises Malformed when it cannot."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise Malformed(f"{ascii(path)[1:-1]} is no safetensors file: {error}") from error
    except InputError:
        raise
    except OSError as error:
        raise input_error(error, path) from error
