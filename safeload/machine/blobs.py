"""A first look at a bytes literal: could it be a pickle of its own? The machine then answers for sure (`nested.acts`).

It says no only of literals with which no unpickler gets anywhere. Most literals cost one or two look-ups in a table.
Nobody asks about text: an unpickler does not take a str.
"""

from __future__ import annotations

import re
from typing import Final

from safeload.machine.opcodes import OPCODES

_NEEDS_STACK: Final = b".012asRbQpqrlteduoi\x81\x85\x86\x87\x90\x91\x92\x93\x94\x98"
_NEEDS_MEMO: Final = b"ghj"
FIRST: Final = bytes(
    int(any(op.code == code for op in OPCODES) and code not in _NEEDS_STACK + _NEEDS_MEMO) for code in range(256)
)
"""1 for each opcode that an unpickler with an empty stack can begin with."""

# Nothing shorter can hold a pickle that calls anything: `(cA\nb\no.` has 8 bytes, one with a hole in it 7.
SHORTEST: Final = 7

# A pickle without a name, an extension or a persistent load makes only plain data. These opcodes bring one: the first
# with what is on the stack or with a number, the others with lines of text.
_TAKING: Final = re.compile(rb"[Q\x82-\x84\x93]")
_READING: Final = re.compile(rb"[ciP]")
_ARCHIVE: Final = b"PK\x03\x04"


def may_begin(raw: bytes) -> bool:
    """Whether `raw` could be a pickle that does something, or a zip archive, as far as a first look tells."""
    if len(raw) < SHORTEST or not FIRST[raw[0]]:
        return False
    if _TAKING.search(raw) is not None:
        return True
    if b"\n" in raw:
        return _READING.search(raw) is not None
    return is_archive(raw)


def is_archive(raw: bytes) -> bool:
    """Whether `raw` begins as a zip archive does."""
    return raw.startswith(_ARCHIVE)
