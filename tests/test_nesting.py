"""The nesting limit: deep trees load without harm and break whoever prints them, so they are not clean by default."""

from __future__ import annotations

import pickle
from typing import Any

import safeload
from safeload.limits import Limits
from safeload.nesting import nesting


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_depth_is_the_longest_path() -> None:
    assert nesting(1, 500) == 0
    assert nesting([1, 2], 500) == 1
    assert nesting({"a": [(), ([],)]}, 500) == 4
    shared = [[]]
    # The short way to `shared` is met first, the long one counts.
    assert nesting([shared, [[shared]]], 500) == 5


def test_a_cycle_ends() -> None:
    value: list[Any] = []
    value.append([value])
    assert nesting(value, 500) == 2


def test_a_doubling_structure_is_walked_once() -> None:
    value: Any = []
    for _ in range(60):
        value = [value, value]
    assert nesting(value, 500) == 61


def test_deeper_than_the_limit_is_unjudged() -> None:
    # Each level is one opcode pair, so the pickle is made by hand: pickle.dumps would recurse.
    data = b"\x80\x04" + b"]" * 1000 + b"a" * 999 + b"."
    report = safeload.scan(data)
    assert (report.verdict, [f.rule for f in report.findings]) == ("unjudged", ["limit-reached"])
    assert safeload.scan(data, limits=Limits(depth=1000)).verdict == "clean"
    assert safeload.scan(pickle.dumps(deep(400))).verdict == "clean"


def test_the_walk_stops_at_the_limit() -> None:
    value: Any = []
    for _ in range(10**6):
        value = [value]
    assert nesting(value, 500) == 501
