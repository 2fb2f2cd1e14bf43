"""What the tests of loading may ask for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture
def quiet() -> Iterator[None]:
    """Without the warnings of torch about its own formats: quantized, sparse CSR, typed storages."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
