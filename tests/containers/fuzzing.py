"""Seeded damage to good files: a reader may return or raise Malformed or LimitExceeded, nothing else."""

import random

import pytest

from safeload.errors import LimitExceeded, Malformed
from safeload.inputs import MemorySource
from tests.containers.driver import drive


def mutations(data, seed, count):
    chance = random.Random(seed)
    for _ in range(count):
        broken = bytearray(data)
        for _ in range(chance.randint(1, 4)):
            kind = chance.randrange(4)
            at = (
                chance.randrange(len(broken) + 1)
                if chance.random() < 0.5
                else chance.randrange(min(300, len(broken) + 1))
            )
            if kind == 0:
                del broken[at : at + chance.choice([1, 2, 8, 100, len(broken)])]
            elif kind == 1:
                broken[at:at] = chance.randbytes(chance.choice([1, 2, 8, 40]))
            elif kind == 2:
                broken[at : at + 8] = chance.choice([b"\xff" * 8, bytes(8), b"\x7f" + b"\xff" * 7, b"9" * 8])
            elif at < len(broken):
                broken[at] ^= 1 << chance.randrange(8)
        yield bytes(broken)


def hold_contract(container, data, seed, count=300, breaks=True):
    """Fails on any other exception. `breaks`: some of the damage must be such that the reader itself refuses it."""
    done = 0
    for broken in mutations(data, seed, count):
        source = MemorySource(broken)
        container.recognise(source)
        try:
            drive(container, source)
        except (Malformed, LimitExceeded):
            continue
        except Exception as error:
            pytest.fail(f"{type(error).__name__}: {error} for {broken.hex()[:2000]}")
        done += 1
    assert (done < count) == breaks
