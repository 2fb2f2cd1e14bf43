"""What a report for people shows of a file beyond its findings: opcodes around a finding, and where the bytes are.

Data only, computed by `explaining/details.py` and shown by `reports/html.py`. All text in it may come from the file:
each sink escapes it. Knows nothing of pickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class OpcodeLine(NamedTuple):
    """One opcode of a pickle, in words.

    offset    where it stands, counted like the offset of a finding
    name, argument, memo, note   as in `explaining.listing.Line`
    depth     values and marks on the stack behind it
    here      the finding is about this one
    """

    offset: int
    name: str
    argument: str
    memo: str
    note: str
    depth: int
    here: bool = False


class Part(NamedTuple):
    """A piece of a checkpoint: a module, a tensor, or what belongs to none.

    name    the last piece(s) of its dotted path;  path: all of it, "" for what has none
    size    bytes of the file that it takes, those of `parts` included
    tensors how many stand in it
    parts   what it consists of, largest first; empty for a piece that is not taken apart
    """

    name: str
    path: str
    size: int
    tensors: int = 0
    parts: tuple[Part, ...] = ()


Place = tuple[int, int]
"""The index of a stream and an offset in it: where a finding is."""


class Detail(NamedTuple):
    """What is shown of one file.

    opcodes   place -> the opcodes around it, in their order
    bytes     the whole file, taken apart; None where nothing was understood of it
    note      why something is missing, in words; "" when nothing is
    """

    opcodes: Mapping[Place, tuple[OpcodeLine, ...]] = {}
    bytes: Part | None = None
    note: str = ""
