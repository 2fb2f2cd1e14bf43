"""How the campaign compares what two loads of one file gave."""

from __future__ import annotations

import safeload
from tests.fuzz.values import changed


def test_records_are_compared_by_what_they_hold() -> None:
    """A vetted function as a value is an inert Record: the oracle of the campaign knew none."""
    one = safeload.Record("builtins", "type", ([1, 2],), state={"a": 1})
    assert changed(one, safeload.Record("builtins", "type", ([1, 2],), state={"a": 1})) == ""
    assert changed(one, safeload.Record("builtins", "type", ([1, 3],), state={"a": 1}))
    assert changed(one, safeload.Record("builtins", "str", ([1, 2],), state={"a": 1}))
