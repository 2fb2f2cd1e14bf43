"""LLVM bitcode (LLVM Bitcode File Format): top-level blocks that tile the file."""

from __future__ import annotations

from safeload.containers.whole.interface import CODE, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

# Blocks that may stand at the top: module, identification, string table, symbol table.
_BLOCKS = frozenset({8, 13, 23, 25})


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    need(view.size % 4 == 0, view.size)
    at, found = 4, set[int]()
    while at < view.size:
        view.step()
        # Two bits: "enter a block"; its number in groups of eight bits, its width of codes in groups of four.
        word = view.number(at, 4, little=True)
        need(word & 3 == 1 and word >> 9 & 1 == 0 and word >> 2 & 255 in _BLOCKS, at)
        need(word >> 13 & 1 == 0 and word >> 14 == 0, at)
        found.add(word >> 2 & 255)
        at += 8 + 4 * view.number(at + 4, 4, little=True)
    need(at == view.size and 8 in found, at)
    return Whole(CODE, "LLVM bitcode")


FORMS = (WholeFormat(((0, b"BC\xc0\xde"),), holds),)
