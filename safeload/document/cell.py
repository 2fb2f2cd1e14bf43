"""A place in a Document whose value is denoted, not stored.

The machine's nodes (calls, globals, persistent loads) are cells: the scanner writes into `value` what the vetted table
says they denote, so the tree that the machine built *is* the Document and nothing is copied. Identity of a cell is
identity of the object it stands for. Imports nothing; kept small because it is compiled with the machine.
"""

from __future__ import annotations


class Unset:
    """The type of UNSET: a cell nobody has judged yet. Meeting one after a scan is a bug, never a value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNSET"


UNSET = Unset()


class Cell:
    """Base of the machine's nodes. `value` is UNSET until judged."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: object = UNSET
