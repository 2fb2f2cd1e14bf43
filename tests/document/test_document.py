"""The leaves of a Document: values that compare by content and are changed by making another."""

from __future__ import annotations

import inspect

import pytest

from safeload.document import document
from safeload.document.document import Extent, Leaf, StorageSpec, Symbol, TensorSpec

LEAVES = tuple(found for found in vars(document).values() if isinstance(found, type) and issubclass(found, Leaf))


def test_leaves_are_equal_by_type_and_content() -> None:
    assert Extent(1, 2, 3) == Extent(1, 2, 3, stored=True)
    assert Extent(1, 2, 3) != Extent(1, 2, 4)
    assert Extent(1, 2, 3) != (1, 2, 3, True)
    assert len({Symbol("torch.int8"), Symbol("torch.int8"), StorageSpec("torch.int8", None, 0)}) == 2


def test_a_leaf_shows_its_parts() -> None:
    assert repr(Extent(1, 2, 3)) == "Extent(offset=1, length=2, size=3, stored=True)"


def test_another_leaf_is_made_for_a_change() -> None:
    spec = TensorSpec(StorageSpec("0", "float32", 16), "float32", (4,), (1,))
    assert spec.but(requires_grad=True) == TensorSpec(spec.storage, "float32", (4,), (1,), 0, True)
    assert not spec.requires_grad
    with pytest.raises(TypeError):
        spec.but(device="cpu")


def test_a_leaf_has_no_other_attributes() -> None:
    with pytest.raises(AttributeError):
        Symbol("a").other = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("leaf", [found for found in LEAVES if found is not Leaf], ids=lambda found: found.__name__)
def test_parts_are_those_of_the_constructor(leaf: type[Leaf]) -> None:
    assert tuple(inspect.signature(leaf).parameters) == leaf.__match_args__
