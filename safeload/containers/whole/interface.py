"""What a proof that a file is no model is, and the tools to write one. Knows no format.

A proof is a function over a `FileView`. It returns what the file is, when the structure of one format holds to the very
last byte, and raises Malformed when it does not. For any bytes it raises nothing else but LimitExceeded; it raises
InputError when the input cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from safeload.containers.whole.view import FileView
from safeload.errors import LimitExceeded, Malformed

IMAGE, FONT, AUDIO, VIDEO, PDF, CODE, DATA = "image", "font", "audio", "video", "pdf", "code", "data"


class Whole(NamedTuple):
    """What a file is, proven to its last byte.

    kind   one of the words above
    what   the same for people: "PNG image", "shared library"
    """

    kind: str
    what: str


class WholeFormat(NamedTuple):
    """One format that can be proven.

    starts   (offset, bytes): every file of the format has at least one of these
    holds    the proof
    """

    starts: tuple[tuple[int, bytes], ...]
    holds: Callable[[FileView], Whole]


def need(holds: bool, offset: int) -> None:
    """Raise Malformed, at `offset`, unless `holds`."""
    if not holds:
        raise Malformed("the structure does not hold", offset=offset)


class Spans:
    """Collects the parts of a file that its tables name, to check in the end that they cover the file."""

    def __init__(self, view: FileView) -> None:
        self._view = view
        self._spans: list[tuple[int, int]] = []

    def add(self, offset: int, length: int) -> None:
        """Add a part. Raises Malformed when it does not lie inside the file."""
        need(offset >= 0 and length >= 0 and offset + length <= self._view.size, offset)
        self._view.step()
        if length:
            self._spans.append((offset, offset + length))
            most = self._view.blocks.limits.members
            if len(self._spans) > most:
                raise LimitExceeded(f"has more than {most} parts", limit="members", offset=offset)

    def end(self) -> int:
        """Where the last part ends."""
        return max((end for _, end in self._spans), default=0)

    def holes(self) -> list[tuple[int, int]]:
        """Ranges up to the last part that belong to no part, and hold other bytes than zeros."""
        at, found = 0, []
        for start, end in sorted(set(self._spans)):
            if start > at and not self._view.zeros(at, start):
                found.append((at, start))
            at = max(at, end)
        return found

    def tile(self, *, gap: int | None, overlap: bool = False, last: int = 0) -> None:
        """Raise Malformed unless the parts cover the file.

        SECURITY: bytes that no part has could hold anything, and a program could find it there. Only zeros may lie
        between parts, and only as many as the format pads with.

        gap       how many zero bytes may lie between two parts; None: any number
        overlap   whether parts may share bytes; a table may always name the very same part twice
        last      how many zero bytes may follow the last part
        """
        at, view = 0, self._view
        for start, end in sorted(set(self._spans)):
            need(overlap or start >= at, start)
            if start > at:
                need(gap is None or start - at <= gap, at)
                need(view.zeros(at, start), at)
            at = max(at, end)
        need(view.size - at <= last and view.zeros(at, view.size), at)
