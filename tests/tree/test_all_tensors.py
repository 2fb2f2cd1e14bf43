"""`{"tensors": true}`: all tensors of the file at once, and nothing else of them."""

from __future__ import annotations

import pytest

import safeload
from tests.tree.test_hostile import W, report, tree

REFUSED: dict[str, str] = {
    "all tensors, and one of them": tree([{"tensors": True}, {"tensor": "w"}]),
    "one tensor, and all of them": tree([{"tensor": "w"}, {"tensors": True}]),
    "all tensors, and the storage of one": tree([{"tensors": True}, {"storage": "w"}]),
    "all tensors, and the bytes of one": tree([{"tensors": True}, {"bytes_of": "w"}]),
    "all tensors twice": tree([{"tensors": True}, {"tensors": True}]),
    "all tensors, one set aside": tree({"tensors": True}, aside=["w"]),
    "all tensors, one of another type": tree({"tensors": True}, storages={"w": {"dtype": "complex64"}}),
    "all tensors in words": tree({"tensors": "true"}),
    "all tensors by a number": tree({"tensors": 1}),
    "no tensors": tree({"tensors": False}),
    "all tensors with an id": tree([{"id": 1, "tensors": True}, {"ref": 1}]),
    "all tensors and a map": tree({"tensors": True, "map": {}}),
    "all tensors appended": tree({"call": "builtins.list", "changes": [["append", {"tensors": True}]]}),
    "all tensors as items and more": tree(
        {"call": "collections.OrderedDict", "changes": [["setitem", {"tensors": True, "map": {}}]]}
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_with_it(name: str) -> None:
    found = report(REFUSED[name], {"w": W})
    assert found.verdict == safeload.Verdict.UNJUDGED
    assert {finding.rule for finding in found.findings} == {"malformed-tree"}


@pytest.mark.parametrize("name", ["w", "cos\nsystem\n(S'true'\ntR.", "\x80\x04N.", "(lp0\n."])
def test_all_tensors_are_judged_as_each_of_them(name: str) -> None:
    short, spelled = (report(tree(root), {name: W}) for root in ({"tensors": True}, {"map": {name: {"tensor": name}}}))
    assert short.verdict == spelled.verdict
    assert {finding.rule for finding in short.findings} == {finding.rule for finding in spelled.findings}
