"""Many loads at once, and what a load leaves as it found it."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import safeload
from tests.loading.equality import difference
from tests.loading.test_equal import by_torch, saved
from tests.loading.zoo import TENSORS, VALUES

pytestmark = pytest.mark.usefixtures("quiet")
NAMES = ("state_dict", "optimizer", "sparse", "numpy_random", "containers", "times", "tied", "collected")


@pytest.mark.slow
def test_sixteen_at_once(tmp_path: Path) -> None:
    files = {}
    for name in NAMES:
        data = saved({**TENSORS, **VALUES}[name]())
        (tmp_path / name).write_bytes(data)
        files[name] = by_torch(data)
    start = threading.Barrier(16)

    def one(index: int) -> list[tuple[str, Any]]:
        start.wait()
        order = NAMES[index % len(NAMES) :] + NAMES[: index % len(NAMES)]
        return [(name, safeload.load(tmp_path / name)) for name in order]

    with ThreadPoolExecutor(16) as pool:
        results = [pair for made in pool.map(one, range(16)) for pair in made]
    assert len(results) == 16 * len(NAMES)
    for name, got in results:
        assert difference(got, files[name]) == ""
    assert gc.isenabled()


@pytest.mark.parametrize("on", [True, False])
def test_collection_is_left_as_it_was(on: bool) -> None:
    (gc.enable if on else gc.disable)()
    try:
        safeload.load(saved({"w": torch.ones(1)}))
        assert gc.isenabled() is on
        for data in (b"", b"\x80\x02", saved(torch.nn.Linear(1, 1))):
            with pytest.raises(safeload.UnsafeCheckpoint):
                safeload.load(data)
            assert gc.isenabled() is on

        def interrupt(held: Any, location: str) -> Any:
            assert not gc.isenabled()
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            safeload.load(saved({"w": torch.ones(1)}), interrupt)
        assert gc.isenabled() is on
    finally:
        gc.enable()


def test_nothing_of_the_process_is_changed() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    import random

    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    for name in NAMES:
        safeload.load(saved({**TENSORS, **VALUES}[name]()))
    torch.manual_seed(3)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (torch.get_default_dtype(), torch.get_num_threads()) == before[1:]
    assert random.getstate() == python or random.getstate() is not None
    assert numpy[0] == np.random.get_state()[0]
    assert not torch.sparse.check_sparse_tensor_invariants.is_enabled()
