"""Keys and elements of sets: hashing and comparing them stays within a budget, and what cannot be hashed is refused."""

from __future__ import annotations

import pytest

from safeload.findings import Verdict
from tests.vetted.spelled import judged, named, text, within

CLEAN, UNJUDGED, DANGEROUS = Verdict.CLEAN, Verdict.UNJUDGED, Verdict.DANGEROUS


def colliding(count: int) -> list[tuple[int, int]]:
    """Pairs of ints whose tuples all hash like (1, 2) on CPython of 64 bits."""
    mask, first, second, fifth = (1 << 64) - 1, 11400714785074694791, 14029467366897019727, 2870177450012600261
    modulus = (1 << 61) - 1

    def rotated(x: int, by: int) -> int:
        return ((x << by) | (x >> (64 - by))) & mask

    against, back = pow(first, -1, 1 << 64), pow(second, -1, 1 << 64)
    want = rotated((((hash((1, 2)) - (2 ^ (fifth ^ 3527539))) & mask) * against) & mask, 33)
    found: list[tuple[int, int]] = []
    left = 0
    while len(found) < count:
        left += 1
        right = ((want - (rotated((fifth + left * second) & mask, 31) * first & mask)) * back) & mask
        right -= (right >> 63) << 64
        if -modulus < right < modulus and right != -1:
            found.append((left, right))
    assert len({hash(pair) for pair in found}) == 1
    return found


def pair(numbers: tuple[int, int]) -> bytes:
    return b"".join(b"\x8a\x09" + number.to_bytes(9, "little", signed=True) for number in numbers) + b"\x86"


@pytest.mark.parametrize("start", [b"}", named("collections", "OrderedDict") + b")R"], ids=["dict", "OrderedDict"])
def test_keys_of_numbers_set_one_at_a_time_have_one_budget(start: bytes) -> None:
    body = b"".join(pair((number, 1)) + b"Ns" for number in range(300))
    assert judged(b"\x80\x02" + start + body + b".", numeric_tuple_keys=100)[0] == UNJUDGED
    assert judged(b"\x80\x02" + start + body + b".", numeric_tuple_keys=300)[0] == CLEAN


@pytest.mark.parametrize(("count", "verdict"), [(100, CLEAN), (101, UNJUDGED)])
def test_elements_with_one_hash(count: int, verdict: Verdict) -> None:
    items = b"](" + b"".join(map(pair, colliding(count))) + b"e"
    assert judged(b"\x80\x02" + named("builtins", "set") + items + b"\x85R.")[0] == verdict


def test_one_colliding_list_for_many_sets_takes_little_time() -> None:
    keys = b"]q\x01(" + b"".join(map(pair, colliding(5_000))) + b"e0"
    calls = named("builtins", "set") + b"q\x000](" + b"h\x00h\x01\x85R" * 200 + b"e."
    assert within(b"\x80\x02" + keys + calls, 5) == UNJUDGED


@pytest.mark.parametrize(("height", "verdict"), [(4, CLEAN), (7, UNJUDGED), (60, UNJUDGED)])
def test_towers_of_sets_that_share_their_parts(height: int, verdict: Verdict) -> None:
    level = b"h\x00](h\x01h\x01\x86e\x85Rq\x010"
    data = b"\x80\x02" + named("builtins", "frozenset") + b"q\x000" + text("z") + b"q\x010" + level * height + b"h\x01."
    assert within(data, 5) == verdict


@pytest.mark.parametrize("inner", [b"h\x01\x85", b"h\x01h\x01\x86\x85"])
def test_an_element_whose_part_cannot_be_hashed(inner: bytes) -> None:
    data = b"\x80\x02" + named("builtins", "list") + b")Rq\x010" + named("builtins", "set") + b"]" + inner + b"a\x85R."
    found = judged(data)
    assert (found[0], "a list cannot be a key" in found[1]) == (UNJUDGED, True)
