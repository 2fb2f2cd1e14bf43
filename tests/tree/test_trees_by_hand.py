"""Trees made by hand at the edges of their format: what is refused, and what has one meaning only."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import save

import safeload

FOUR = {"t": torch.tensor([1, 2, 3, 4], dtype=torch.uint8)}


def treed(root: Any, tensors: dict[str, torch.Tensor] | None = None, **fields: Any) -> bytes:
    text = json.dumps({"format": "safeload.tree", "version": 1, **fields, "root": root})
    return save(tensors or {}, {"safeload.tree": text})


def doubling(levels: int) -> object:
    found: object = {"id": 1, "tuple": ["a", "b"]}
    for level in range(2, levels):
        found = {"id": level, "tuple": [found, {"ref": level - 1}]}
    return found


@pytest.mark.parametrize(
    "root",
    [
        {"dict": [[doubling(60), 1]]},
        {"set": [doubling(60)]},
        {"call": "collections.OrderedDict", "changes": [["setitem", [doubling(60), 1]]]},
        {"call": "collections.Counter", "changes": [["setitem", [doubling(60), 1]]]},
        {"call": "builtins.set", "changes": [["additem", [doubling(60)]]]},
        {"call": "collections.OrderedDict", "changes": [["setitem", [[], 1]]]},
        {"id": 1, "list": [1, {"call": "collections.deque", "args": [{"ref": 1}]}]},
        {"id": 1, "tuple": [{"dict": [[{"ref": 1}, 2]]}]},
        {"id": 1, "tuple": [{"set": [{"ref": 1}]}]},
        {
            "id": 1, "call": "collections.ChainMap", "kind": "newobj",
            "changes": [["build", {"map": {"maps": [{"ref": 1}]}}]],
        },
    ],
)  # fmt: skip
def test_keys_and_unfinished_objects_are_refused(root: Any) -> None:
    assert safeload.scan(treed(root)).verdict.value != "clean"


@pytest.mark.parametrize("dtype", ["int32", "qint32", "complex128", "float64", "bits16"])
@pytest.mark.parametrize("root", [{"storage": "t"}, {"bytes_of": "t"}, {"tensor": "t", "shape": [1]}])
def test_a_storage_of_part_of_an_element_is_refused(root: Any, dtype: str) -> None:
    """No pickle could say it: there a storage has a count of elements."""
    three = {"t": torch.tensor([1, 2, 3], dtype=torch.uint8)}
    assert safeload.scan(treed(root, three, storages={"t": {"dtype": dtype}})).verdict.value == "unjudged"
    sixteen = {"t": torch.zeros(16, dtype=torch.uint8)}
    assert safeload.scan(treed(root, sixteen, storages={"t": {"dtype": dtype}})).verdict.value == "clean"
