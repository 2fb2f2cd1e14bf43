"""The limits of a scan: values, each with the reason for its number.

Nothing here enforces; each reader takes a `Limits` and raises `LimitExceeded` naming the field. Knows no other file but
errors.
"""

from __future__ import annotations

from typing import NamedTuple

from safeload.errors import UsageError


class Limits(NamedTuple):
    """Every limit of one scan. Sizes are in bytes, times in seconds."""

    # The largest optimizer states seen have about 1e6 opcodes; 1e8 take a minute and 3 KB of deflate can hold 3e6.
    opcodes: int = 100_000_000
    # data.pkl of the largest public checkpoints is below 200 MB; a bare numpy pickle may hold its array.
    pickle_bytes: int = 4 << 30
    # One string: vocabularies pickled as one text reach some MB. Bytes may be whole arrays.
    string_bytes: int = 1 << 30
    # Text integers convert in quadratic time; CPython itself stops text at 4300 digits.
    integer_bytes: int = 65_536
    # Memo entries are one pointer each; the table is a dict, so a huge index costs nothing.
    memo: int = 50_000_000
    # Values on the stack at once: APPENDS batches hold 1000, RNG states 625, one flat tuple may hold millions.
    stack: int = 50_000_000
    # Nested containers. Real checkpoints stay below 40; CPython's C hash and repr recurse at about 100,000.
    depth: int = 500
    # Elements of one dict or set key once tuples are flattened.
    key_elements: int = 64
    # Tuple and frozenset keys made of numbers can be built to collide: their count bounds the quadratic time.
    numeric_tuple_keys: int = 20_000
    # Distinct tensors in a file; each costs microseconds when loaded.
    tensors: int = 10_000_000
    # Bytes of one tensor once it is made contiguous, as a multiple of its storage (stride-0 expansions).
    expansion: int = 4
    # ... with this many bytes always allowed.
    expansion_bytes: int = 64 << 20
    # Names given to the tensors of a file by `open` and conversion: containers that share parts have 2^40 paths.
    names: int = 1_000_000
    # Values read at scan to validate sparse and nested indices and zero points, all together: some 10 s.
    validated_bytes: int = 256 << 20
    # What one member may inflate to, and the ratio allowed above one MiB: deflate reaches 1032.
    inflated_bytes: int = 1 << 30
    inflation_ratio: int = 100
    # Entries of one archive: a million small tensors.
    members: int = 2_000_000
    # Checkpoints inside checkpoints, and bytes judged inside bytes.
    nesting: int = 4
    nested_files: int = 10_000
    # Findings kept for one file; the rest are counted.
    findings: int = 1_000
    # The safetensors library's own cap on a header.
    header_bytes: int = 100_000_000
    # The text of the tree in or beside a safetensors file: 10,000 tensors of an optimizer take 3 MB.
    tree_bytes: int = 256 << 20
    # The text of an index of shards: one with a million names has 100 MB, and a tree may stand in it.
    index_bytes: int = 256 << 20
    # Files of one sharded checkpoint: the largest public models have about 200. Each stays open and is mapped through a
    # second descriptor, and many systems give a process 1024.
    shards: int = 500
    # A file that may be proven to be no model is read whole: the largest shared libraries of frameworks.
    passive_bytes: int = 1 << 30
    # Chunks, frames and objects in such a file: a compiled module of 20 MB has 2 million. So many take half a minute.
    passive_steps: int = 20_000_000
    # A JSON beside pickles is read whole, in a few times its size: settings with a vocabulary in them have 20 MB.
    json_bytes: int = 64 << 20
    # A chat template: the longest published ones have 60 KB. The steps of working one out are counted by it too.
    template_bytes: int = 256 << 10
    # A YAML that says how to load a folder: its parser reads 300 KB a second, and signatures of models reach 100 KB.
    yaml_bytes: int = 2 << 20
    # Elements that a value has more when whatever is shared is written out at each mention, as printing and comparing
    # do. Sharing on many levels multiplies: 60 lists that hold the next one twice have 2^60. A table of 10,000 settings
    # shared by 10,000 layers is allowed; real checkpoints stay far below a million.
    expanded: int = 100_000_000

    @classmethod
    def parse(cls, settings: tuple[str, ...], start: Limits | None = None) -> Limits:
        """`start` (the defaults) with each `NAME=VALUE` applied; VALUE takes the suffixes k, m, g.

        Raises UsageError for an unknown name or a value that is not a positive whole number.
        """
        changes: dict[str, int] = {}
        for setting in settings:
            name, _, text = setting.partition("=")
            name = name.strip().replace("-", "_")
            if name not in cls._fields:
                raise UsageError(f"unknown limit {name!r}; the limits are {', '.join(cls._fields)}")
            scale = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}.get(text[-1:].lower(), 1)
            digits = text[:-1] if scale > 1 else text
            if not (digits.isascii() and digits.isdigit() and int(digits[:18]) > 0 and len(digits) <= 18):
                raise UsageError(f"limit {name} needs a positive whole number (suffix k, m or g allowed), not {text!r}")
            changes[name] = int(digits) * scale
        return (start or cls())._replace(**changes)
