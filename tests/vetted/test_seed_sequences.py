"""A SeedSequence of numpy: mixing its entropy costs far more than the bytes that say it."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
from numpy.random import bit_generator

import safeload

_CHECKSUM = 0x3EAA222


class _Sequence:
    """Pickled as a SeedSequence whose entropy and pool others have too."""

    def __init__(self, entropy: Any, pool: Any) -> None:
        self.state = (entropy, 0, pool, len(pool), ())

    def __reduce__(self) -> Any:
        return (
            bit_generator.__dict__["__pyx_unpickle_SeedSequence"],
            (np.random.SeedSequence, _CHECKSUM, None),
            self.state,
        )


def sequences(count: int, entropy: Any, pool: int) -> bytes:
    words, file = np.zeros(pool, np.uint32), io.BytesIO()
    pickle.Pickler(file, 2).dump([_Sequence(entropy, words) for _ in range(count)])
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "entropy", "pool"),
    [(300, list(range(10_000)), 4), (3_000, 7, 1024), (60, list(range(10_000)), 1024), (3_000, 1 << 13_000, 1024)],
)
def test_seed_sequences_pay_for_what_mixing_costs(count: int, entropy: Any, pool: int) -> None:
    """numpy mixes each word of the entropy into each word of the pool: a few bytes for each would be minutes."""
    report = safeload.scan(sequences(count, entropy, pool))
    assert report.verdict.value == "unjudged"
    assert "over and over" in report.findings[0].message


def test_honest_seed_sequences_are_clean() -> None:
    children = np.random.SeedSequence(2**127 + 5).spawn(3_000)
    data = pickle.dumps(children)
    assert safeload.scan(data).verdict.value == "clean"
    loaded = safeload.load(data)
    assert [s.generate_state(2).tolist() for s in loaded[:5]] == [s.generate_state(2).tolist() for s in children[:5]]
