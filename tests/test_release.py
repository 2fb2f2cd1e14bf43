"""What was judged is freed as soon as nobody has it: no circle keeps a Document alive until the collector comes."""

from __future__ import annotations

import collections
import gc
import pickle

import pytest

import safeload

LARGE = collections.OrderedDict((i, collections.Counter(a=i)) for i in range(50))


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_scan_leaves_nothing_for_the_collector(protocol: int) -> None:
    data = pickle.dumps([LARGE, collections.deque([LARGE]), {1, 2}], protocol)
    assert safeload.scan(data).verdict == "clean"
    gc.collect()
    gc.disable()
    try:
        assert safeload.scan(data).verdict == "clean"
        assert gc.collect() == 0
    finally:
        gc.enable()
