"""What every input gives: random-access bytes.

A Source reads byte ranges and remembers which it read, so that `judged_sha256` can be computed over what the verdict
rests on. It never maps the file: a file truncated under a map kills the process (SIGBUS), a short read is an error.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

Range = tuple[int, int]
"""(offset, length)."""


class JudgedRanges(NamedTuple):
    """The ranges that were judged, in ascending order.

    read    adjacent ones merged: they are disjoint
    passed  as `pass_over` was asked for them: they may overlap
    """

    read: tuple[Range, ...]
    passed: tuple[Range, ...]


class Source(Protocol):
    """Random access to the bytes of one input. All methods raise InputError when the operating system refuses."""

    @property
    def name(self) -> str:
        """What to call it in a report: the path as given, "-" for stdin, "<bytes>" or "<file object>"."""

    @property
    def size(self) -> int:
        """Length in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset`, remembered as judged.

        Raises Malformed when the range does not lie inside the input (offset and length are compared with `size`
        before anything is allocated) and InputError when the input got shorter meanwhile. The same range read twice
        gives the same bytes: what was read is kept for as long as the source lives.
        """

    def peek(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`, cut at the end, not remembered: for recognising a format only."""

    def pass_over(self, offset: int, length: int) -> bytes:
        """As `read`, but of the bytes only their sha256 is kept: for what is judged and never loaded.

        The same range passed over twice gives the same bytes, or InputError: the input was changed meanwhile.
        """

    def judged_sha256(self) -> str:
        """Hex digest over the judged ranges, merged and in ascending order, each preceded by its offset and length.

        Where ranges were passed over, it binds the sha256 of each of them as well.
        """

    def judged_ranges(self) -> JudgedRanges:
        """What `judged_sha256` is computed over."""

    def close(self) -> None:
        """Give the operating system's resources back; what was read stays readable."""
