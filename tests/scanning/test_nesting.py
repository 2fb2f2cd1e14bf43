"""The limits of nesting: deep and doubling trees load without harm and break whoever prints them, so are not clean."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from typing import Any

import pytest

import safeload
from safeload.limits import Limits
from safeload.scanning.nesting import Nesting, nesting

MANY = 10**8


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def doubled(levels: int, leaf: Any) -> Any:
    for _ in range(levels):
        leaf = [leaf, leaf]
    return leaf


def test_depth_is_the_longest_path() -> None:
    assert nesting(1, 500, MANY).depth == 0
    assert nesting([1, 2], 500, MANY).depth == 1
    assert nesting({"a": [(), ([],)]}, 500, MANY).depth == 4
    shared: list[Any] = [[]]
    # The short way to `shared` is met first, the long one counts.
    assert nesting([shared, [[shared]]], 500, MANY).depth == 5


def test_a_cycle_ends() -> None:
    value: list[Any] = []
    value.append([value])
    assert nesting(value, 500, MANY) == Nesting(2, 0)
    # It is written as three dots at each mention.
    value.extend([value] * 1000)
    assert nesting(value, 500, MANY) == Nesting(2, 0)


def test_what_is_not_shared_does_not_expand() -> None:
    assert nesting([[i] for i in range(1000)], 500, MANY) == Nesting(2, 0)
    assert nesting({"a": [(), ([],)], "b": {1, 2}}, 500, MANY) == Nesting(4, 0)


def test_what_is_shared_counts_at_each_mention_but_one() -> None:
    table = dict.fromkeys(range(10))
    # A dict of ten has 21: itself, keys and values.
    assert nesting([table] * 5, 500, MANY) == Nesting(2, 4 * 21)
    assert nesting([(table,), (table,)], 500, MANY) == Nesting(3, 21)
    empty: list[Any] = []
    assert nesting([empty] * 3, 500, MANY).expanded == 2


def test_a_doubling_structure_is_walked_once_and_cut_off() -> None:
    assert nesting(doubled(3, 1), 500, MANY) == Nesting(3, 3 + 3 * 3)
    assert nesting(doubled(60, []), 500, MANY) == Nesting(61, MANY + 1)
    assert nesting(doubled(400, []), 500, MANY) == Nesting(401, MANY + 1)
    # by keys, values, and in mixed kinds
    value: Any = ()
    for level in range(30):
        value = [(value, value), {"a": value, "b": value}][level % 2]
    assert nesting(value, 500, MANY).expanded == MANY + 1


@pytest.mark.parametrize("leaf", ["x", [], 1.5])
def test_more_than_can_be_printed_is_unjudged(leaf: Any) -> None:
    report = safeload.scan(pickle.dumps(doubled(60, leaf)))
    assert (report.verdict, [f.rule for f in report.findings]) == ("unjudged", ["limit-reached"])
    assert "--limit expanded" in report.findings[0].message
    assert safeload.scan(pickle.dumps(doubled(20, leaf))).verdict == "clean"
    assert safeload.scan(pickle.dumps(doubled(60, leaf)), limits=Limits(expanded=1 << 61)).verdict == "unjudged"
    assert safeload.scan(pickle.dumps(doubled(40, leaf)), limits=Limits(expanded=1 << 50)).verdict == "clean"


def test_calls_expand_through_what_they_hold() -> None:
    value: Any = "x"
    for _ in range(40):
        value = OrderedDict(a=value, b=value)
    assert safeload.scan(pickle.dumps(value)).verdict == "unjudged"


def test_one_table_shared_by_ten_thousand_is_clean() -> None:
    table = {f"setting {i}": i for i in range(1000)}
    assert safeload.scan(pickle.dumps([table] * 10_000)).verdict == "clean"


def test_deeper_than_the_limit_is_unjudged() -> None:
    # Each level is one opcode pair, so the pickle is made by hand: pickle.dumps would recurse.
    data = b"\x80\x04" + b"]" * 1000 + b"a" * 999 + b"."
    report = safeload.scan(data)
    assert (report.verdict, [f.rule for f in report.findings]) == ("unjudged", ["limit-reached"])
    assert safeload.scan(data, limits=Limits(depth=1000)).verdict == "clean"
    assert safeload.scan(pickle.dumps(deep(400))).verdict == "clean"


@pytest.mark.slow
def test_the_walk_stops_at_the_limit() -> None:
    value: Any = []
    for _ in range(10**6):
        value = [value]
    assert nesting(value, 500, MANY).depth == 501
