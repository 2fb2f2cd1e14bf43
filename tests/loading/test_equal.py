"""What `safeload.load` gives is what `torch.load(weights_only=False)` gives of the same file, leaf by leaf."""

from __future__ import annotations

import io
import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from tests.loading.equality import difference
from tests.loading.zoo import PLAIN, TENSORS, VALUES

ZOO = {**TENSORS, **VALUES}
PROTOCOLS = (1, 2, 3, 4, 5)


def saved(item: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(item, out, **options)
    return out.getvalue()


def by_torch(data: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.load(io.BytesIO(data), weights_only=False)


@pytest.fixture(params=sorted(ZOO))
def item(request: pytest.FixtureRequest) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ZOO[request.param]()


def test_zip_by_path(item: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    data = saved(item)
    path.write_bytes(data)
    assert difference(safeload.load(path), by_torch(data)) == ""


def test_copies(item: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    data = saved(item)
    path.write_bytes(data)
    assert difference(safeload.load(path, mmap=False), by_torch(data)) == ""
