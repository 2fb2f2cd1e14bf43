"""What the tests of this folder share: the seeds, made once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fuzz.seeds import Seed, make_all


@pytest.fixture(scope="session")
def seeds(root: Path) -> list[Seed]:
    return make_all(root)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Of the age of what damaged files ask torch for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
