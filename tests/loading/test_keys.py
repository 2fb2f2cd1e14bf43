"""Keys and elements of sets in what is loaded: no method of a trusted class runs, and time is bounded."""

from __future__ import annotations

import pickle
import time
from typing import ClassVar

import pytest

import safeload
from tests.vetted.spelled import named, text


def test_two_equal_towers_of_sets_as_keys_take_little_time() -> None:
    data = b"\x80\x02" + named("builtins", "frozenset") + b"q\x000"
    for place in (b"\x01", b"\x02"):
        data += text("z") + b"q" + place + b"0"
        data += (b"h\x00](h" + place + b"h" + place + b"\x86e\x85Rq" + place + b"0") * 40
    load = safeload.load  # torch is imported here, which is not what is measured
    start = time.monotonic()
    with pytest.raises(safeload.UnsafeCheckpoint):
        load(data + b"}(h\x01Nh\x02Nu.")
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(("parts", "fits"), [(700, True), (800, False)])
def test_a_set_as_a_key_that_only_a_call_makes(parts: int, fits: bool) -> None:
    items = b"](" + b"".join(text(f"e{number}") for number in range(parts)) + b"e"
    data = b"\x80\x02}" + named("builtins", "frozenset") + items + b"\x85RNs."
    assert safeload.scan(data).verdict is safeload.Verdict.CLEAN
    if fits:
        assert safeload.load(data) == {frozenset(f"e{number}" for number in range(parts)): None}
    else:
        with pytest.raises(safeload.Malformed, match="more than 768 parts"):
            safeload.load(data)


class Noisy:
    """A class whose methods say that they ran."""

    ran: ClassVar[list[str]] = []

    def __hash__(self) -> int:
        self.ran.append("hash")
        return 1

    def __eq__(self, other: object) -> bool:
        self.ran.append("eq")
        return False


class Quiet:
    """A class with the hash of object."""


def instance(cls: type) -> bytes:
    return named(cls.__module__, cls.__qualname__) + b")\x81"


FORMS = {
    "dict": lambda one: b"}(" + one + b"K\x01" + one + b"K\x02u",
    "tuple": lambda one: b"}" + one + b"\x85K\x01s",
    "OrderedDict": lambda one: named("collections", "OrderedDict") + b")R" + one + b"K\x01s",
    "set": lambda one: named("builtins", "set") + b"]" + one + b"a\x85R",
    "frozenset": lambda one: named("builtins", "frozenset") + b"]" + one + b"a\x85R",
}


@pytest.mark.parametrize("form", FORMS)
def test_an_object_with_a_hash_of_its_own_is_no_key(form: str) -> None:
    Noisy.ran.clear()
    with pytest.raises(safeload.SafeloadError, match="Noisy is a key"):
        safeload.load(b"\x80\x02" + FORMS[form](instance(Noisy)) + b".", trust=[Noisy])
    assert Noisy.ran == []


@pytest.mark.parametrize("form", FORMS)
def test_an_object_that_hashes_by_identity_is_a_key(form: str) -> None:
    (found, *_) = safeload.load(b"\x80\x02" + FORMS[form](instance(Quiet)) + b".", trust=[Quiet])
    assert type(found[0] if isinstance(found, tuple) else found) is Quiet


def test_an_object_that_cannot_be_a_key_is_malformed() -> None:
    """A defaultdict as a key, which no unpickler takes, came out as LoadFailed: as if memory or torch were missing."""
    data = b"\x80\x02}ccollections\ndefaultdict\n)RNs."
    with pytest.raises(TypeError):
        pickle.loads(data)
    for loader in (safeload.load, lambda given: safeload.load(given, unvetted="record")):
        with pytest.raises(safeload.Malformed, match="unhashable type"):
            loader(data)
