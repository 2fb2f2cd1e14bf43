"""netCDF, the classic formats (Unidata, NetCDF File Format Specifications: CDF-1, -2 and -5): a header, then numbers.

The header says where each variable is; together they cover the file. The newer format is HDF5, and not this.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from safeload.containers.whole.interface import DATA, Spans, Whole, WholeFormat, need
from safeload.containers.whole.view import FileView

_DIMENSIONS, _VARIABLES, _ATTRIBUTES = 10, 11, 12
# Bytes, text, whole and broken numbers; the second row came with CDF-5.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8}
_MORE_SIZES = {7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
_MOST = 1 << 20
# Writers may leave room behind the header, for what is added to it later.
_GAP = 1 << 16


class _Variable(NamedTuple):
    """Where a variable begins, its bytes (those of one record, if it has them), and whether it has records."""

    begin: int
    length: int
    recorded: bool


class _Header:
    """Reads the header, one value after the other."""

    def __init__(self, view: FileView) -> None:
        self._view = view
        version = view.get(3, 1)[0]
        self._count = 8 if version == 5 else 4
        self._offset = 4 if version == 1 else 8
        self._sizes = _SIZES | _MORE_SIZES if version == 5 else _SIZES
        self.at = 4

    def number(self, length: int = 0) -> int:
        """A whole number, as wide as counts are here unless `length` says otherwise."""
        length = length or self._count
        value = self._view.number(self.at, length)
        self.at += length
        return value

    def _skip(self, length: int) -> None:
        end = self.at + length
        padded = end + -end % 4
        # Zeros; an early writer took the digit for it.
        need(self._view.get(end, padded - end) in (bytes(padded - end), b"0" * (padded - end)), self.at)
        self._view.step()
        self.at = padded

    def _name(self) -> None:
        self._skip(self.number())

    def _listed(self, kind: int) -> int:
        """How many things of this kind follow."""
        found, count = self.number(4), self.number()
        need(count <= _MOST and (found == kind or (found == 0 and count == 0)), self.at)
        return count

    def dimensions(self) -> list[int]:
        """The length of each; 0 for the one that grows with the records."""
        found = []
        for _ in range(self._listed(_DIMENSIONS)):
            self._name()
            found.append(self.number())
        need(found.count(0) <= 1, self.at)
        return found

    def attributes(self) -> None:
        """Go over a list of names and values."""
        for _ in range(self._listed(_ATTRIBUTES)):
            self._name()
            size = self._size()
            self._skip(self.number() * size)

    def _size(self) -> int:
        kind = self.number(4)
        need(kind in self._sizes, self.at - 4)
        return self._sizes[kind]

    def variables(self, dimensions: list[int]) -> list[_Variable]:
        """All of them."""
        found = []
        for _ in range(self._listed(_VARIABLES)):
            self._name()
            count = self.number()
            need(count <= 1024, self.at)
            numbers = [self.number() for _ in range(count)]
            need(all(number < len(dimensions) for number in numbers), self.at)
            shape = [dimensions[number] for number in numbers]
            need(0 not in shape[1:], self.at)
            self.attributes()
            size = self._size()
            self.number()  # the length again, which is not to be trusted above 4 GB
            recorded = shape[:1] == [0]
            found.append(_Variable(self.number(self._offset), math.prod(shape[recorded:]) * size, recorded))
        return found


def holds(view: FileView) -> Whole:
    """See `WholeFormat.holds`."""
    header = _Header(view)
    records = header.number()
    dimensions = header.dimensions()
    header.attributes()
    variables = header.variables(dimensions)
    spans = Spans(view)
    for begin, length, recorded in variables:
        if not recorded:
            spans.add(begin, _filled(length))
    grown = sorted(variable for variable in variables if variable.recorded)
    if records and grown:
        # A record has a part of each variable; only a lone variable is not filled up to four bytes.
        place = start = grown[0].begin
        for begin, length, _ in grown:
            need(begin == place, place)
            place += length if len(grown) == 1 else _filled(length)
        spans.add(start, records * (place - start))
    first = min((begin for begin, _, recorded in variables if records or not recorded), default=header.at)
    need(0 <= first - header.at <= _GAP and view.zeros(header.at, first), header.at)
    spans.add(0, first)
    spans.tile(gap=0)
    return Whole(DATA, "netCDF data")


def _filled(length: int) -> int:
    return length + -length % 4


FORMS = (WholeFormat(tuple((0, b"CDF" + bytes((version,))) for version in (1, 2, 5)), holds),)
