"""`{"tensors": digest}`: all tensors of the file at once, and nothing else of them."""

from __future__ import annotations

import pytest

import safeload
from safeload.tree.interface import KEY, names_digest
from tests.tree.shelf import pack
from tests.tree.test_hostile import W, report, tree

DIGEST = names_digest(["w"])
REFUSED: dict[str, str] = {
    "all tensors, and one of them": tree([{"tensors": DIGEST}, {"tensor": "w"}]),
    "one tensor, and all of them": tree([{"tensor": "w"}, {"tensors": DIGEST}]),
    "all tensors, and the storage of one": tree([{"tensors": DIGEST}, {"storage": "w"}]),
    "all tensors, and the bytes of one": tree([{"tensors": DIGEST}, {"bytes_of": "w"}]),
    "all tensors twice": tree([{"tensors": DIGEST}, {"tensors": DIGEST}]),
    "all tensors, one set aside": tree({"tensors": DIGEST}, aside=["w"]),
    "all tensors, one of another type": tree({"tensors": DIGEST}, storages={"w": {"dtype": "complex64"}}),
    "all tensors without their names": tree({"tensors": True}),
    "all tensors in words": tree({"tensors": "true"}),
    "other tensors": tree({"tensors": names_digest(["v"])}),
    "more tensors": tree({"tensors": names_digest(["v", "w"])}),
    "fewer tensors": tree({"tensors": names_digest([])}),
    "in capitals": tree({"tensors": DIGEST.upper()}),
    "all tensors by a number": tree({"tensors": 1}),
    "no tensors": tree({"tensors": False}),
    "all tensors with an id": tree([{"id": 1, "tensors": DIGEST}, {"ref": 1}]),
    "all tensors and a map": tree({"tensors": DIGEST, "map": {}}),
    "all tensors appended": tree({"call": "builtins.list", "changes": [["append", {"tensors": DIGEST}]]}),
    "all tensors as items and more": tree(
        {"call": "collections.OrderedDict", "changes": [["setitem", {"tensors": DIGEST, "map": {}}]]}
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_go_with_it(name: str) -> None:
    found = report(REFUSED[name], {"w": W})
    assert found.verdict == safeload.Verdict.UNJUDGED
    assert {finding.rule for finding in found.findings} == {"malformed-tree"}


@pytest.mark.parametrize("name", ["w", "cos\nsystem\n(S'true'\ntR.", "\x80\x04N.", "(lp0\n."])
def test_all_tensors_are_judged_as_each_of_them(name: str) -> None:
    every = {"tensors": names_digest([name])}
    short, spelled = (report(tree(root), {name: W}) for root in (every, {"map": {name: {"tensor": name}}}))
    assert short.verdict == spelled.verdict
    assert {finding.rule for finding in short.findings} == {finding.rule for finding in spelled.findings}


def test_the_digest_is_as_described() -> None:
    import hashlib

    assert names_digest(["b", "a:", "\xe9"]) == hashlib.sha256(b"2:a:" + b"1:b" + b"2:\xc3\xa9").hexdigest()
    assert names_digest(["ab"]) != names_digest(["a", "b"])


@pytest.mark.parametrize("shape", [(0, 1 << 62), (1 << 62, 0), (0, 1 << 40, 1 << 40), (1 << 31, 1 << 31, 0)])
def test_sizes_that_no_strides_can_have_are_refused_with_and_without_a_tree(shape: tuple[int, ...]) -> None:
    held = {"w": ("F32", shape, b"")}
    for text in (tree({"tensors": DIGEST}), tree({"map": {"w": {"tensor": "w"}}}), None):
        found = safeload.scan(pack(held, {} if text is None else {KEY: text}))
        assert found.verdict == safeload.Verdict.UNJUDGED
        assert "safetensors-shape" in {finding.rule for finding in found.findings}
