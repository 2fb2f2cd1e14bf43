"""Sixteen threads that scan, load, record and convert the same files in one process: each gets what one alone gets."""

from __future__ import annotations

import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import safeload
from tests.hostile.child import answer
from tests.hostile.surroundings import FILES

THREADS = 16


@pytest.fixture(autouse=True)
def often() -> Any:
    """Threads take turns a hundred times as often as usual."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(before / 100)
    yield
    sys.setswitchinterval(before)


def test_sixteen_at_once(tmp_path: Path) -> None:
    alone = {path: answer(path, str(tmp_path)) for path in FILES}
    start = threading.Barrier(THREADS)

    def one(index: int) -> dict[str, Any]:
        folder = tmp_path / str(index)
        folder.mkdir()
        start.wait()
        turned = FILES[index:] + FILES[:index]
        return {path: answer(path, str(folder)) for path in turned}

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(one, range(THREADS)))
    for found in results:
        assert found.keys() == alone.keys()
        for path in FILES:
            assert found[path] == alone[path], path
    assert gc.isenabled()


def test_verdicts_do_not_leak_from_thread_to_thread() -> None:
    """A clean file and a dangerous one, over and over, beside each other: no thread sees the other's findings."""
    clean = b"\x80\x02ccollections\nOrderedDict\n)R."
    dangerous = b"\x80\x02ccollections\nOrderedDict\nX\x01\x00\x00\x00x\x85R."
    start = threading.Barrier(THREADS)

    def one(index: int) -> set[str]:
        start.wait()
        seen = set()
        for _ in range(50):
            if index % 2:
                seen.add(str(safeload.scan(clean).verdict))
                assert safeload.load(clean) == {}
            else:
                seen.add(str(safeload.scan(dangerous).verdict))
                with pytest.raises(safeload.UnsafeCheckpoint):
                    safeload.load(dangerous)
        return seen

    with ThreadPoolExecutor(THREADS) as pool:
        results = list(pool.map(one, range(THREADS)))
    assert results == [{"dangerous"}, {"clean"}] * (THREADS // 2)
